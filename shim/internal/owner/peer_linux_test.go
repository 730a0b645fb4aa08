package owner

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// table is how the kernel of a little-endian machine prints its sockets.
const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1D1A 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11 1
   1: 0100007F:C350 0100007F:1D1A 01 00000000:00000000 00:00000000 00000000  1001        0 12 1
   2: 0100007F:C351 0100007F:1D1A 06 00000000:00000000 00:00000000 00000000     0        0 0 3
   3: 0000000000000000FFFF00000100007F:C352 0000000000000000FFFF00000100007F:1D1A 01 00000000:00000000 00:00000000 00000000  1002        0 13 1
   4: short
`

func TestSocketUser(t *testing.T) {
	tests := []struct {
		name, from string
		want       int
		unknown    bool
	}{
		{name: "established", from: "127.0.0.1:50000", want: 1001},
		{name: "a socket that is closing reads as root's", from: "127.0.0.1:50001", unknown: true},
		{name: "IPv4 in an IPv6 socket", from: "127.0.0.1:50002", want: 1002},
		{name: "not there", from: "127.0.0.1:50009", unknown: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := socketUser(strings.NewReader(table), netip.MustParseAddrPort(tt.from), netip.MustParseAddrPort("127.0.0.1:7450"))
			if tt.unknown {
				if err == nil {
					t.Errorf("socketUser(%s) = %d, want an error", tt.from, got)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("socketUser(%s) = %d, %v, want %d", tt.from, got, err, tt.want)
			}
		})
	}
}

// TestOwnedByUs asks the real kernel about a real connection.
func TestOwnedByUs(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Logf("%s: %v", addr, err) // no IPv6 here
			continue
		}
		defer ln.Close()
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := ownedByUs(addrPort(c.LocalAddr()), addrPort(ln.Addr())); err != nil {
			t.Errorf("our own connection to %s: %v", ln.Addr(), err)
		}
		other := netip.AddrPortFrom(addrPort(c.LocalAddr()).Addr(), 1)
		if err := ownedByUs(other, addrPort(ln.Addr())); err == nil {
			t.Errorf("a connection that does not exist passed as user %d's", os.Geteuid())
		}
	}
}

func FuzzProcAddr(f *testing.F) {
	f.Add("0100007F:1D1A")
	f.Add("0000000000000000FFFF00000100007F:C352")
	f.Fuzz(func(t *testing.T, s string) {
		ap, ok := procAddr(s)
		if ok && (!ap.IsValid() || ap.Addr().Is4In6()) {
			t.Errorf("procAddr(%q) = %v", s, ap)
		}
	})
}
