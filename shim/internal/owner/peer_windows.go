package owner

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"
)

// ChecksUser reports whether connections are checked on this system.
func ChecksUser() bool { return true }

var procGetExtendedTCPTable = windows.NewLazySystemDLL("iphlpapi.dll").NewProc("GetExtendedTcpTable")

// ownedByUs finds the process that owns the socket at remote which is
// connected to local, and compares its user with ours.
func ownedByUs(remote, local netip.AddrPort) error {
	pid, err := socketProcess(remote, local)
	if err != nil {
		return err
	}
	theirs, err := processUser(pid)
	if err != nil {
		return err
	}
	ours, err := processUser(windows.GetCurrentProcessId())
	if err != nil {
		return err
	}
	if !windows.EqualSid(ours, theirs) {
		return fmt.Errorf("connection by %s", theirs)
	}
	return nil
}

func processUser(pid uint32) (*windows.SID, error) {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return nil, err
	}
	defer windows.CloseHandle(h)
	var token windows.Token
	if err := windows.OpenProcessToken(h, windows.TOKEN_QUERY, &token); err != nil {
		return nil, err
	}
	defer token.Close()
	u, err := token.GetTokenUser()
	if err != nil {
		return nil, err
	}
	return u.User.Sid.Copy()
}

// Layout of MIB_TCPTABLE_OWNER_PID and MIB_TCP6TABLE_OWNER_PID: a count, then
// rows. Ports are in network byte order in the low 16 bits.
const (
	tcpTableOwnerPIDConnections = 4
	row4Size                    = 24
	row6Size                    = 56
)

func socketProcess(from, to netip.AddrPort) (uint32, error) {
	for _, family := range []uint32{windows.AF_INET, windows.AF_INET6} {
		table, err := tcpTable(family)
		if err != nil {
			return 0, err
		}
		if pid, ok := findRow(table, family == windows.AF_INET6, from, to); ok {
			return pid, nil
		}
	}
	return 0, errors.New("the other end of the connection is not in the table of connections")
}

func tcpTable(family uint32) ([]byte, error) {
	size := uint32(32 << 10)
	for {
		b := make([]byte, size)
		r, _, _ := procGetExtendedTCPTable.Call(uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&size)),
			0, uintptr(family), tcpTableOwnerPIDConnections, 0)
		switch windows.Errno(r) {
		case 0:
			return b, nil
		case windows.ERROR_INSUFFICIENT_BUFFER:
			size += 4 << 10 // the table may grow between the calls
		default:
			return nil, windows.Errno(r)
		}
	}
}

func findRow(b []byte, v6 bool, from, to netip.AddrPort) (pid uint32, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	n := int(binary.LittleEndian.Uint32(b))
	b = b[4:]
	size := row4Size
	if v6 {
		size = row6Size
	}
	for ; n > 0 && len(b) >= size; n-- {
		row := b[:size]
		b = b[size:]
		var local, remote netip.AddrPort
		if v6 {
			local = netip.AddrPortFrom(netip.AddrFrom16([16]byte(row[0:16])).Unmap(), binary.BigEndian.Uint16(row[20:]))
			remote = netip.AddrPortFrom(netip.AddrFrom16([16]byte(row[24:40])).Unmap(), binary.BigEndian.Uint16(row[44:]))
			pid = binary.LittleEndian.Uint32(row[52:])
		} else {
			local = netip.AddrPortFrom(netip.AddrFrom4([4]byte(row[4:8])), binary.BigEndian.Uint16(row[8:]))
			remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte(row[12:16])), binary.BigEndian.Uint16(row[16:]))
			pid = binary.LittleEndian.Uint32(row[20:])
		}
		if local == from && remote == to {
			return pid, true
		}
	}
	return 0, false
}
