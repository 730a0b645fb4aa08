package web

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "Claude Code", "Claude Code"},
		{"other scripts", "\u65e5\u672c\u8a9e \u0440\u0443\u0441 caf\u00e9 e\u0301", "\u65e5\u672c\u8a9e \u0440\u0443\u0441 caf\u00e9 e\u0301"},
		{"bidi", "a\u202eb\u2066c\u200fd\u061ce", "abcde"},
		{"zero width", "cl\u200baude\u200d.\ufeffai\u2060", "claude.ai"},
		{"controls", "a\x00b\x1b[31mc\u0085d\x7f", "ab[31mcd"},
		{"white space", "  a \n\t b\u00a0 c\u2003", "a b c"},
		{"line separators", "a\u2028b\u2029c", "abc"},
		{"blank letters", "a\u3164\u115f\uffa0\u2800b", "ab"},
		{"tags", "a\U000e0041b", "ab"},
		{"variation selectors", "a\ufe0fb\U000e0100c", "abc"},
		{"tower of marks", "Z\u0300\u0301\u0302\u0303\u0304!", "Z\u0300\u0301\u0302!"},
		{"broken UTF-8", "a\xffb\xc3", "ab"},
		{"only rubbish", "\u202e\u200b\x00", ""},
		{"cut", strings.Repeat("x", 81), strings.Repeat("x", 79) + "\u2026"},
		{"not cut", strings.Repeat("\u00e9", 80), strings.Repeat("\u00e9", 80)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Clean(tt.in, 80); got != tt.want {
				t.Errorf("Clean(%q): got %q, want %q", tt.in, got, tt.want)
			}
		})
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

func FuzzClean(f *testing.F) {
	f.Add(hostile, 80)
	f.Add(tower, 3)
	f.Fuzz(func(t *testing.T, s string, max int) {
		if max < 1 {
			return
		}
		got := Clean(s, max)
		if n := utf8.RuneCountInString(got); n > max {
			t.Errorf("Clean(%q, %d): got %d runes", s, max, n)
		}
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r == '\n' || r == '\t' || invisible(r) }) {
			t.Errorf("Clean(%q, %d): got %q, want nothing invisible", s, max, got)
		}
		if again := Clean(got, max); again != got {
			t.Errorf("Clean(%q, %d): got %q, then %q", s, max, got, again)
		}
	})
}
