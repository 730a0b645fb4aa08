package shim_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim"
)

// Whatever a stranger sends in the header, what the tunnel appends is what
// counts.
func FuzzClientAddr(f *testing.F) {
	for _, s := range []string{"", "127.0.0.1", "10.0.0.1, 10.0.0.2", ",,", "::1", "[::1]:443", "unknown", "\t 1.2.3.4:5 ,", "for=1.2.3.4"} {
		f.Add(s, "more", true)
		f.Add(s, s, false)
	}
	f.Fuzz(func(t *testing.T, first, second string, lines bool) {
		const real = "198.51.100.7"
		r := &http.Request{Header: http.Header{"X-Forwarded-For": {first, second, real}}}
		if !lines {
			r.Header = http.Header{"X-Forwarded-For": {first + "," + second + ", " + real}}
		}
		if got, ok := shim.ClientAddr(r, "X-Forwarded-For"); !ok || got.String() != real {
			t.Errorf("%q: got %v, %v, want %s", r.Header, got, ok, real)
		}
		if _, ok := shim.ClientAddr(r, ""); ok {
			t.Errorf("%q: an address from a tunnel that names none", r.Header)
		}
		r.Header = http.Header{"X-Forwarded-For": {first}}
		addr, _ := shim.ClientAddr(r, "X-Forwarded-For")
		if s := shim.Sender(addr); s == "" || len(s) > 64 || strings.Contains(s, "%") {
			t.Errorf("%q: the sender is %q", first, s)
		}
	})
}

func TestSender(t *testing.T) {
	for _, tt := range []struct{ a, b string }{
		{"198.51.100.7", "::ffff:198.51.100.7"},
		{"2001:db8:1:2::3", "2001:db8:1:2:ffff::4"},
	} {
		a, b := shim.Sender(netip.MustParseAddr(tt.a)), shim.Sender(netip.MustParseAddr(tt.b))
		if a != b {
			t.Errorf("%s is %q and %s is %q, want the same sender", tt.a, a, tt.b, b)
		}
	}
	if a, b := shim.Sender(netip.MustParseAddr("2001:db8:1:2::3")), shim.Sender(netip.MustParseAddr("2001:db8:1:3::3")); a == b {
		t.Errorf("two networks are one sender, %q", a)
	}
}
