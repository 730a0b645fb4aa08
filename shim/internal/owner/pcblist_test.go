package owner

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
)

// A pcbEntry becomes the blocks that macOS 26 writes for one socket, with the
// sizes that they have there: 104 bytes of addresses, 104 of the socket, two of
// 32 of buffers, 136 of statistics and 204 of TCP.
type pcbEntry struct {
	local, remote string
	uid, state    uint32
}

func pcbList(count int, entries ...pcbEntry) []byte {
	le := binary.LittleEndian
	block := func(kind uint32, size int, fill func(b []byte)) []byte {
		b := make([]byte, (size+7)&^7)
		le.PutUint32(b, uint32(size))
		le.PutUint32(b[4:], kind)
		if fill != nil {
			fill(b)
		}
		return b
	}
	header := func() []byte {
		b := make([]byte, pcbHeader)
		le.PutUint32(b, pcbHeader)
		le.PutUint32(b[4:], uint32(count))
		return b
	}
	list := header()
	for _, e := range entries {
		local, remote := netip.MustParseAddrPort(e.local), netip.MustParseAddrPort(e.remote)
		list = append(list, block(blockAddrs, 104, func(b []byte) {
			binary.BigEndian.PutUint16(b[16:], remote.Port())
			binary.BigEndian.PutUint16(b[18:], local.Port())
			b[44] = 1
			put := func(at int, a netip.Addr) {
				if a.Is4() {
					copy(b[at+12:], a.AsSlice())
					return
				}
				b[44] = 2
				copy(b[at:], a.AsSlice())
			}
			put(48, remote.Addr())
			put(64, local.Addr())
		})...)
		list = append(list, block(blockSocket, 104, func(b []byte) { le.PutUint32(b[64:], e.uid) })...)
		list = append(list, block(0x02, 32, nil)...)
		list = append(list, block(0x04, 32, nil)...)
		list = append(list, block(0x08, 136, nil)...)
		list = append(list, block(blockTCP, 204, func(b []byte) { le.PutUint32(b[36:], e.state) })...)
	}
	return append(list, header()...)
}

func TestPCBUser(t *testing.T) {
	ours := pcbEntry{"127.0.0.1:7450", "127.0.0.1:50001", 501, 4} // the server's end
	all := []pcbEntry{
		{"0.0.0.0:22", "0.0.0.0:0", 0, 1}, ours,
		{"127.0.0.1:50001", "127.0.0.1:7450", 502, 4},
		{"[::1]:50002", "[::1]:7450", 501, 4},
		{"127.0.0.1:50003", "127.0.0.1:7450", 501, 6}, // being closed
		{"127.0.0.1:50004", "127.0.0.1:7451", 501, 4}, // connected to another port
	}
	for _, tt := range []struct {
		name, from, to string
		list           []byte
		want           uint32
		err            error
	}{
		{"another user", "127.0.0.1:50001", "127.0.0.1:7450", pcbList(6, all...), 502, nil},
		{"IPv6", "[::1]:50002", "[::1]:7450", pcbList(6, all...), 501, nil},
		{"being closed", "127.0.0.1:50003", "127.0.0.1:7450", pcbList(6, all...), 0, errPCBUnknown},
		{"another port", "127.0.0.1:50004", "127.0.0.1:7450", pcbList(6, all...), 0, errPCBUnknown},
		{"the way round", "127.0.0.1:7450", "127.0.0.1:50001", pcbList(6, all...), 501, nil},
		{"the kernel shows only our own", "127.0.0.1:50001", "127.0.0.1:7450", pcbList(180, ours), 0, errPCBHidden},
		{"nothing", "127.0.0.1:50001", "127.0.0.1:7450", nil, 0, errPCBFormat},
		{"cut off", "127.0.0.1:50001", "127.0.0.1:7450", pcbList(6, all...)[:300], 0, errPCBFormat},
		{"another header", "127.0.0.1:50001", "127.0.0.1:7450", append([]byte{32, 0, 0, 0}, pcbList(6, all...)[4:]...), 0, errPCBFormat},
	} {
		got, err := pcbUser(tt.list, netip.MustParseAddrPort(tt.from), netip.MustParseAddrPort(tt.to))
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: got user %d, %v; want %d, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
}

// FuzzPCBList: no list crashes the program, and a user comes only from a socket
// with these two ends.
func FuzzPCBList(f *testing.F) {
	f.Add(pcbList(2, pcbEntry{"127.0.0.1:50001", "127.0.0.1:7450", 501, 4}, pcbEntry{"[::1]:1", "[::1]:2", 0, 4}))
	f.Add(pcbList(9))
	f.Add([]byte{24, 0, 0, 0})
	from, to := netip.MustParseAddrPort("127.0.0.1:50001"), netip.MustParseAddrPort("127.0.0.1:7450")
	f.Fuzz(func(t *testing.T, list []byte) {
		uid, err := pcbUser(list, from, to)
		if err != nil {
			return
		}
		sockets, _, err := readPCBList(list)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sockets {
			if s.local == from && s.remote == to && s.uid == uid && s.established {
				return
			}
		}
		t.Errorf("user %d of no such socket", uid)
	})
}
