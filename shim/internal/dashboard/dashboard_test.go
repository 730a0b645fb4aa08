package dashboard

import (
	"encoding/base64"
	"testing"
)

func TestNext(t *testing.T) {
	tests := map[string]string{
		"/":                          "/",
		"/consent/ABC":               "/consent/ABC",
		"/servers/abc/key":           "/servers/abc/key",
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
		"/servers/k3v9x0q2m7ab":      "/servers/k3v9x0q2m7ab",
	}
	for in, want := range tests {
		if got := Next(base64.RawURLEncoding.EncodeToString([]byte(in))); got != want {
			t.Errorf("Next(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Next("/consent/x"); got != "/" {
		t.Errorf("Next of something that is not encoded = %q, want /", got)
	}
}
