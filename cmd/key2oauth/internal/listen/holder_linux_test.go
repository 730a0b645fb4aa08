package listen

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
)

func TestHolder(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "127.3.2.1:0", "[::1]:0"} {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			if strings.HasPrefix(addr, "[") {
				continue // a machine without IPv6
			}
			t.Fatal(err)
		}
		ap := netip.MustParseAddrPort(ln.Addr().String())
		want := fmt.Sprintf("(pid %d)", os.Getpid())
		if got := holder(ap); !strings.HasSuffix(got, want) {
			t.Errorf("holder(%s): got %q, want %q at its end", ap, got, want)
		}
		ln.Close()
		if got := holder(ap); got != "" {
			t.Errorf("holder(%s) after Close: got %q, want none", ap, got)
		}
	}
}

func TestParseProcAddr(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"0100007F:1D1A", "127.0.0.1:7450"},
		{"00000000:0050", "0.0.0.0:80"},
		{"00000000000000000000000001000000:1D1A", "[::1]:7450"},
		{"00000000000000000000000000000000:1D1A", "[::]:7450"},
		{"0000000000000000FFFF00000100007F:1D1A", "127.0.0.1:7450"},
		{"0100007F", ""},
		{"0100007F:", ""},
		{"0100007F:1D1A1", ""},
		{"01007F:1D1A", ""},
		{"local_address", ""},
	} {
		got := ""
		if ap, ok := parseProcAddr(tt.in); ok {
			got = ap.String()
		}
		if got != tt.want {
			t.Errorf("parseProcAddr(%q): got %q, want %q", tt.in, got, tt.want)
		}
	}
}
