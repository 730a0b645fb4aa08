package owner

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// macOS tells about sockets in the sysctl net.inet.tcp.pcblist_n, which netstat
// reads. It is parsed in a file for all systems, so that it is tested on all.
//
// The list begins with a header (struct xinpgen): its length and how many
// sockets there are. Blocks follow, each with its own length and kind, and
// padded to 8 bytes. One socket is some blocks in a row, of which that for its
// addresses (struct xinpcb_n) is the first. See bsd/netinet/in_pcblist.c and
// bsd/sys/socketvar.h of the kernel.
const (
	pcbHeader   = 24 // bytes of the header
	pcbCount    = 4  // offset in the header
	blockSocket = 0x01
	blockAddrs  = 0x10
	blockTCP    = 0x20

	addrsForeignPort = 16
	addrsLocalPort   = 18
	addrsFlags       = 44
	addrsForeign     = 48
	addrsLocal       = 64
	addrsSize        = 80
	flagIPv6         = 0x2

	socketUID  = 64
	socketSize = 68

	tcpState       = 36
	tcpSize        = 40
	tcpEstablished = 4
)

var (
	errPCBFormat  = errors.New("the kernel's list of sockets has another form than expected")
	errPCBHidden  = errors.New("the kernel does not show other programs' sockets")
	errPCBUnknown = errors.New("the other end of the connection is not in the kernel's list of sockets")
)

// pcbSocket is one socket in the list.
type pcbSocket struct {
	local, remote netip.AddrPort
	uid           uint32
	hasUID        bool
	established   bool
}

// pcbUser finds the user whose socket at from is connected to to. It returns
// errPCBHidden if most sockets are missing: since macOS 27, programs that Apple
// has not notarized may see only their own.
func pcbUser(list []byte, from, to netip.AddrPort) (uint32, error) {
	sockets, count, err := readPCBList(list)
	if err != nil {
		return 0, err
	}
	for _, s := range sockets {
		if s.local == from && s.remote == to && s.established && s.hasUID {
			return s.uid, nil
		}
	}
	if 2*len(sockets) < count {
		return 0, errPCBHidden
	}
	return 0, errPCBUnknown
}

// readPCBList reads all sockets. count is how many the kernel has.
func readPCBList(b []byte) (sockets []pcbSocket, count int, err error) {
	le := binary.LittleEndian
	if len(b) < pcbHeader || le.Uint32(b) != pcbHeader {
		return nil, 0, errPCBFormat
	}
	count = int(le.Uint32(b[pcbCount:]))
	for b = b[pcbHeader:]; len(b) >= 8; {
		n, kind := int(le.Uint32(b)), le.Uint32(b[4:])
		if n < 8 || n > len(b) {
			return nil, 0, errPCBFormat
		}
		if n == pcbHeader {
			return sockets, count, nil // the list ends with another header
		}
		block := b[:n]
		b = b[min(len(b), (n+7)&^7):]
		if kind == blockAddrs {
			s, ok := pcbAddrs(block)
			if !ok {
				return nil, 0, errPCBFormat
			}
			sockets = append(sockets, s)
			continue
		}
		if len(sockets) == 0 {
			continue
		}
		s := &sockets[len(sockets)-1]
		switch {
		case kind == blockSocket && n >= socketSize:
			s.uid, s.hasUID = le.Uint32(block[socketUID:]), true
		case kind == blockTCP && n >= tcpSize:
			s.established = le.Uint32(block[tcpState:]) == tcpEstablished
		}
	}
	return nil, 0, errPCBFormat
}

// pcbAddrs reads the addresses of a socket. An IPv4 address stands in the last
// four of sixteen bytes.
func pcbAddrs(block []byte) (s pcbSocket, ok bool) {
	if len(block) < addrsSize {
		return s, false
	}
	addr := func(at, port int) netip.AddrPort {
		a := netip.AddrFrom4([4]byte(block[at+12 : at+16]))
		if block[addrsFlags]&flagIPv6 != 0 {
			a = netip.AddrFrom16([16]byte(block[at : at+16])).Unmap()
		}
		return netip.AddrPortFrom(a, binary.BigEndian.Uint16(block[port:]))
	}
	s.local, s.remote = addr(addrsLocal, addrsLocalPort), addr(addrsForeign, addrsForeignPort)
	return s, true
}
