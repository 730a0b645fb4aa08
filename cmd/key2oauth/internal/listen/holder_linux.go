package listen

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/key2oauth/key2oauth/shim/display"
)

// holder names the program that listens on an address, as "nginx (pid 42)". It
// returns "" if that cannot be known, since the open files of other users'
// programs are not visible to us.
func holder(want netip.AddrPort) string {
	inode := ""
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		if inode = listenerInode(table, want); inode != "" {
			break
		}
	}
	if inode == "" {
		return ""
	}
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	socket := "socket:[" + inode + "]"
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err != nil || to != socket {
			continue
		}
		proc := filepath.Dir(filepath.Dir(fd))
		name, err := os.ReadFile(filepath.Join(proc, "comm"))
		if err != nil {
			return "" // it has just ended
		}
		return fmt.Sprintf("%s (pid %s)", display.Text(strings.TrimSpace(string(name)), display.NoLimit), filepath.Base(proc))
	}
	return ""
}

// listenerInode finds the socket that listens on want, or on its port of every
// address, in a table as proc_net_tcp(5) describes it.
func listenerInode(table string, want netip.AddrPort) string {
	f, err := os.Open(table)
	if err != nil {
		return ""
	}
	defer f.Close()
	const (
		fieldLocal, fieldState, fieldInode = 1, 3, 9
		stateListen                        = "0A"
	)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) <= fieldInode || fields[fieldState] != stateListen {
			continue
		}
		have, ok := parseProcAddr(fields[fieldLocal])
		if ok && have.Port() == want.Port() && (have.Addr() == want.Addr() || have.Addr().IsUnspecified()) {
			return fields[fieldInode]
		}
	}
	return ""
}

// parseProcAddr reads "0100007F:1D1A": the address in words of four bytes,
// each in the byte order of the machine, which is little-endian on every system
// we support.
func parseProcAddr(s string) (netip.AddrPort, bool) {
	addr, port, ok := strings.Cut(s, ":")
	if !ok {
		return netip.AddrPort{}, false
	}
	b, err := hex.DecodeString(addr)
	if err != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(b, 4) {
		slices.Reverse(word)
	}
	ip, ok := netip.AddrFromSlice(b)
	if !ok {
		return netip.AddrPort{}, false
	}
	n, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), err == nil
}
