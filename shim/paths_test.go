package shim

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestNextPath(t *testing.T) {
	tests := map[string]string{
		"/":                          "/",
		"/consent/ABC":               "/consent/ABC",
		"/endpoints/abc/key":         "/endpoints/abc/key",
		"//evil.example/":            "/",
		"https://evil.example/":      "/",
		"/\\evil.example":            "/",
		"/consent/../../evil":        "/",
		"/%2f/evil.example":          "/",
		"/somewhere":                 "/",
		"javascript:alert(1)":        "/",
		"/consent/x?next=//evil.com": "/consent/x",
		"":                           "/",
		"/#e-k3v9x0q2m7ab":           "/#e-k3v9x0q2m7ab",
		"/?done=copy#e-k3v9x0q2m7ab": "/?done=copy#e-k3v9x0q2m7ab",
		"/?done=something":           "/",
		"/?done=copy&done=%0a":       "/?done=copy",
		"/#<script>":                 "/",
		"/somewhere?done=copy#add":   "/",
	}
	for in, want := range tests {
		if got := nextPath(base64.RawURLEncoding.EncodeToString([]byte(in))); got != want {
			t.Errorf("nextPath(%q) = %q, want %q", in, got, want)
		}
	}
	if got := nextPath("/consent/x"); got != "/" {
		t.Errorf("nextPath of something that is not encoded = %q, want /", got)
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
		if slug, rest := splitSlug(tt.path); slug != tt.slug || rest != tt.rest {
			t.Errorf("splitSlug(%q) = %q, %q, want %q, %q", tt.path, slug, rest, tt.slug, tt.rest)
		}
	}
}

// TestOwnerPathsAreNoSlugs keeps the two name spaces of the loopback side
// apart: a path of the owner's that looked like a slug would be a program's.
func TestOwnerPathsAreNoSlugs(t *testing.T) {
	for _, first := range strings.Fields("activity api open consent endpoints grants pause resume keychain sign-out authorize token register revoke .well-known") {
		if slug, _ := splitSlug("/" + first); slug != "" {
			t.Errorf("/%s can be taken for an endpoint", first)
		}
	}
}

func FuzzEndpointPath(f *testing.F) {
	f.Add("/k3v9x0q2m7ab/mcp/x")
	f.Add("/k3v9x0q2m7ab/mcpx")
	f.Fuzz(func(t *testing.T, p string) {
		slug, rest := splitSlug(p)
		if slug == "" {
			return
		}
		if "/"+slug+rest != p {
			t.Fatalf("splitSlug(%q) = %q, %q: something is lost", p, slug, rest)
		}
		if isOwnerPath(p) {
			t.Errorf("%q is the owner's and an endpoint's", p)
		}
		// Whatever is passed on begins a segment of its own.
		if sub, ok := endpointPath(rest); ok && sub != "" && sub[0] != '/' {
			t.Errorf("endpointPath(%q) = %q", rest, sub)
		}
	})
}
