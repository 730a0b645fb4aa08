package origin

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/limits"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

// tunneled is an origin behind a tunnel that says in a header who sent a
// request.
func tunneled(header string) *Origin {
	o := &Origin{preset: header}
	o.sign.Store(&sign{header: header, apart: header != ""})
	return o
}

// The value that the tunnel appends counts, not what a stranger puts in the
// header.
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
		if got, ok := tunneled("X-Forwarded-For").clientAddr(r); !ok || got.String() != real {
			t.Errorf("%q: got %v, %v, want %s", r.Header, got, ok, real)
		}
		if _, ok := tunneled("").clientAddr(r); ok {
			t.Errorf("%q: an address from a tunnel that names none", r.Header)
		}
		r.Header = http.Header{"X-Forwarded-For": {first}}
		addr, _ := tunneled("X-Forwarded-For").clientAddr(r)
		if s := sender(addr); s == "" || len(s) > 64 || strings.Contains(s, "%") {
			t.Errorf("%q: the sender is %q", first, s)
		}
	})
}

func TestSender(t *testing.T) {
	for _, tt := range []struct{ a, b string }{
		{"198.51.100.7", "::ffff:198.51.100.7"},
		{"2001:db8:1:2::3", "2001:db8:1:2:ffff::4"},
	} {
		a, b := sender(netip.MustParseAddr(tt.a)), sender(netip.MustParseAddr(tt.b))
		if a != b {
			t.Errorf("%s is %q and %s is %q, want the same sender", tt.a, a, tt.b, b)
		}
	}
	if a, b := sender(netip.MustParseAddr("2001:db8:1:2::3")), sender(netip.MustParseAddr("2001:db8:1:3::3")); a == b {
		t.Errorf("two networks are one sender, %q", a)
	}
}

// TestUnknownSender: two packages have the same word for an unknown sender.
func TestUnknownSender(t *testing.T) {
	if limits.Unknown != oauth.FromUnknown {
		t.Errorf("limits say %q, oauth says %q", limits.Unknown, oauth.FromUnknown)
	}
}

func TestSplitSlug(t *testing.T) {
	tests := []struct{ path, slug, rest string }{
		{"/k3v9x0q2m7ab/mcp", "k3v9x0q2m7ab", "/mcp"},
		{"/k3v9x0q2m7ab", "k3v9x0q2m7ab", ""},
		{"/k3v9x0q2m7ab/", "k3v9x0q2m7ab", "/"},
		{"/k3v9x0q2m7ab/mcp/a/b", "k3v9x0q2m7ab", "/mcp/a/b"},
		{"/K3v9x0q2m7ab/mcp", "", ""},
		{"/k3v9x0q2m7a/mcp", "", ""},
		{"/k3v9x0q2m7abc/mcp", "", ""},
		{"/.well-known/x", "", ""},
		{"/", "", ""},
		{"", "", ""},
	}
	for _, tt := range tests {
		if slug, rest := SplitSlug(tt.path); slug != tt.slug || rest != tt.rest {
			t.Errorf("SplitSlug(%q) = %q, %q, want %q, %q", tt.path, slug, rest, tt.slug, tt.rest)
		}
	}
}

func FuzzSplitSlug(f *testing.F) {
	f.Add("/k3v9x0q2m7ab/mcp/x")
	f.Add("/k3v9x0q2m7ab/mcpx")
	f.Fuzz(func(t *testing.T, p string) {
		if slug, rest := SplitSlug(p); slug != "" && "/"+slug+rest != p {
			t.Fatalf("SplitSlug(%q) = %q, %q: something is lost", p, slug, rest)
		}
	})
}
