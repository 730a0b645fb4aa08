package owner

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// ChecksUser reports whether connections are checked on this system.
func ChecksUser() bool { return true }

var errPeerUnknown = errors.New("the other end of the connection is not in /proc/net/tcp")

// ownedByUs finds the socket at remote that is connected to local, and
// compares its user with ours.
func ownedByUs(remote, local netip.AddrPort) error {
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) && name == "/proc/net/tcp6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return err
		}
		uid, err := socketUser(f, remote, local)
		f.Close()
		if errors.Is(err, errPeerUnknown) {
			continue
		}
		if err != nil {
			return err
		}
		if uid != os.Geteuid() {
			return fmt.Errorf("connection by user %d, not %d", uid, os.Geteuid())
		}
		return nil
	}
	return errPeerUnknown
}

// socketUser reads one of the kernel's socket tables. Only established sockets
// count: one that is being closed has lost its user and reads as root's.
func socketUser(table io.Reader, from, to netip.AddrPort) (int, error) {
	const established = "01"
	sc := bufio.NewScanner(table)
	sc.Scan() // the heading
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) < 8 || f[3] != established {
			continue
		}
		if l, ok := procAddr(f[1]); !ok || l != from {
			continue
		}
		if r, ok := procAddr(f[2]); !ok || r != to {
			continue
		}
		return strconv.Atoi(f[7])
	}
	if err := sc.Err(); err != nil {
		return 0, err
	}
	return 0, errPeerUnknown
}

// procAddr reads an address as the kernel prints it: 32-bit words in the
// machine's byte order, in hexadecimal, then the port.
func procAddr(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	if !ok {
		return netip.AddrPort{}, false
	}
	b, err := hex.DecodeString(host)
	if err != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.BigEndian.PutUint32(b[i:], binary.NativeEndian.Uint32(b[i:]))
	}
	a, ok := netip.AddrFromSlice(b)
	if !ok {
		return netip.AddrPort{}, false
	}
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), true
}
