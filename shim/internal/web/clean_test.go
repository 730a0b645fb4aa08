package web

import (
	"strings"
	"testing"
)

func TestStrip(t *testing.T) {
	in := "<p>\n\t two  blanks and\u00a0one that holds \u202ea \u2764\ufe0f\u200b\x00</p>\n"
	want := "<p>\n\t two  blanks and\u00a0one that holds a \u2764\ufe0f</p>\n"
	if got := strip(in); got != want {
		t.Errorf("strip(%q): got %q, want %q", in, got, want)
	}
}

func TestHost(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "claude.ai", "claude.ai"},
		{"port", "127.0.0.1:8080", "127.0.0.1:8080"},
		{"look-alike letter", "cl\u0430ude.ai", `cl\u0430ude.ai`},
		{"long", strings.Repeat("claude.ai.", 30) + "evil.example", "\u2026" + (strings.Repeat("claude.ai.", 30) + "evil.example")[60:]},
		{"bidi", "ia.edualc\u202e", "ia.edualc"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := host(tt.in); got != tt.want {
				t.Errorf("host(%q): got %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}
