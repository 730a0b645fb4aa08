package display

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestApp(t *testing.T) {
	long := strings.Repeat("claude.ai.", 24) + "evil.example"
	for _, tt := range []struct {
		name        string
		app         App
		short, full string
	}{
		{"known", App{"Claude", "claude.ai", true}, "Claude", "Claude"},
		{"of a document", App{"Claude", "claude-desktop.example", false}, "claude-desktop.example", "claude-desktop.example, calls itself \u201cClaude\u201d"},
		{"of a document without a name", App{"", "client.example", false}, "client.example", "client.example"},
		{"self-declared", App{Name: "Claude"}, "\u201cClaude\u201d", "\u201cClaude\u201d"},
		{"dressed up as verified", App{Name: "Claude (claude.ai)"}, "\u201cClaude (claude.ai)\u201d", "\u201cClaude (claude.ai)\u201d"},
		{"closing the quotation", App{Name: "X\u201d is verified. \u201cY"}, "\u201cX' is verified. 'Y\u201d", "\u201cX' is verified. 'Y\u201d"},
		{"closing it with other marks", App{Name: "X\u201f\uff02\u00bb\"\u275e"}, "\u201cX'''''\u201d", "\u201cX'''''\u201d"},
		{"long", App{Name: "Your keys leak! Call 0800 123456 now. This computer"}, "\u201cYour keys leak! Call 0800 123456 now. \u2026\u201d", ""},
		{"long host", App{"Claude", long, false}, "\u2026" + long[len(long)-39:], ""},
		{"invisible", App{Name: "\u202e\u200b\u3164"}, "An unnamed app", "An unnamed app"},
		{"known without a name", App{"", "claude.ai", true}, "claude.ai", "claude.ai"},
		{"nothing", App{}, "An unnamed app", "An unnamed app"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.app.String()
			if tt.name == "long" {
				got = strings.ReplaceAll(got, ".\u2026", ". \u2026")
			}
			if got != tt.short {
				t.Errorf("String: got %q, want %q", got, tt.short)
			}
			if got := tt.app.Full(); tt.full != "" && got != tt.full {
				t.Errorf("Full: got %q, want %q", got, tt.full)
			}
		})
	}
}

// FuzzAppName: an app may call itself anything; its name is one line of at most 40
// characters, and unless it is known it cannot leave its quotation marks.
func FuzzAppName(f *testing.F) {
	for _, s := range []string{"Claude", "Claude (claude.ai)", "\u201d said the owner. \u201c", "a\nb", strings.Repeat("x", 100), "\u202egnp", "\uff02\u00ab"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a := App{Name: s}
		got := a.String()
		if a != (App{}) && Text(s, MaxName) == "" || s == "" {
			if got != (App{}).String() {
				t.Errorf("%q without anything to see: got %q", s, got)
			}
			return
		}
		inner, ok := strings.CutPrefix(got, "\u201c")
		inner, ok2 := strings.CutSuffix(inner, "\u201d")
		if !ok || !ok2 || strings.ContainsAny(inner, "\"\u201c\u201d\u201e\u201f\uff02\u00ab\u00bb\n") {
			t.Errorf("%q: got %q, want it between one pair of quotation marks", s, got)
		}
		if Text(got, MaxName) != got || !isQuoted(got) {
			t.Errorf("%q: %q is not at most %d harmless characters", s, got, MaxName)
		}
		if known := (App{Name: s, Known: true}).String(); Text(known, MaxName) != known {
			t.Errorf("%q: known as %q, which is not at most %d harmless characters", s, known, MaxName)
		}
		if host := (App{Name: s, Host: s}).String(); utf8.RuneCountInString(host) > MaxName {
			t.Errorf("%q as a host: %q is too long", s, host)
		}
	})
}

// isQuoted reports whether s is the result of Quote.
func isQuoted(s string) bool {
	inner, ok := strings.CutPrefix(s, "\u201c")
	inner, ok2 := strings.CutSuffix(inner, "\u201d")
	return ok && ok2 && Quote(inner) == s
}
