package upstream

import (
	"net/url"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestProbeLegacySSE has an upstream that checks the key only when it opens a
// stream.
func TestProbeLegacySSE(t *testing.T) {
	u := shimtest.NewUpstream(t, shimtest.Options{LegacySSE: true})
	u.Break(shimtest.Only("POST", shimtest.Status(404, "Cannot POST /mcp")))
	c := newClient(t)
	tg := target(t, u, endpoint.DefaultHeader)
	if rejected, err := c.Probe(t.Context(), *tg); rejected || err != nil {
		t.Errorf("good key: rejected %t, %v; want neither", rejected, err)
	}
	u.SetKey("another-key-999")
	if rejected, err := c.Probe(t.Context(), *tg); !rejected || err != nil {
		t.Errorf("key that was good before: rejected %t, %v; want rejected", rejected, err)
	}
}

func TestMessageURL(t *testing.T) {
	tests := []struct{ base, ref, want string }{
		{"https://up.example/v1/sse", "https://up.example/m?s=1", "https://up.example/m?s=1"},
		{"https://up.example/v1/sse", "https://UP.example:443/m", "https://up.example/m"},
		{"https://up.example/v1/sse", "//up.example/m", "https://up.example/m"},
		{"https://up.example/v1/sse", "/m?s=1#f", "https://up.example/m?s=1"},
		{"https://up.example/v1/sse", "m/x", "https://up.example/v1/m/x"},
		{"https://up.example/v1/sse/", "../m", "https://up.example/v1/m"},
		{"https://up.example/v1/sse?key=k", "?s=1", "https://up.example/v1/sse?s=1"},
		{"https://up.example/v1/sse", " /m?a b=\u00fc\t", "https://up.example/m?a%20b=%C3%BC"},
		{"https://up.example/v1/sse", "/m%2Fx/\n?s", "https://up.example/m%2Fx/?s"},
		{"https://up.example/v1/sse", "https://u:p@up.example/m", "https://up.example/m"},
		{"https://up.example/v1/sse", "http://up.example/m", ""},
		{"https://up.example/v1/sse", "https://up.example:444/m", ""},
		{"https://up.example/v1/sse", "https://up.example.evil.example/m", ""},
		{"https://up.example/v1/sse", "https://up.example@evil.example/m", ""},
		{"https://up.example/v1/sse", "//evil.example/m", ""},
		{"https://up.example/v1/sse", "https:m", ""},
		{"https://up.example/v1/sse", "javascript:x", ""},
		{"https://up.example/v1/sse", "http://[::1", ""},
	}
	for _, tt := range tests {
		base, err := url.Parse(tt.base)
		if err != nil {
			t.Fatal(err)
		}
		got, err := (&Target{URL: base}).MessageURL(base, tt.ref)
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("%q: got %s, want an error", tt.ref, got)
		case tt.want != "" && (err != nil || got.String() != tt.want):
			t.Errorf("%q: got %v, %v; want %s", tt.ref, got, err, tt.want)
		}
	}
}
