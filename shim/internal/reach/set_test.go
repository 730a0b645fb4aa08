package reach

import (
	"strings"
	"testing"
)

// An accepted value is one word that can be part of a header.
func FuzzAuthtoken(f *testing.F) {
	for _, s := range []string{"2abc_DEF", "ngrok config add-authtoken 2abc", `"2abc"`, "two words", "\u200b2abc", "ak_x", "ngrok authtoken '2abc'\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		token := ReadAuthtoken(s).Reveal()
		err := checkAuthtoken(token)
		if err == nil && (len(token) > 200 || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })) {
			t.Errorf("%q became %q", s, token)
		}
		if err != nil && token != "" && strings.Contains(err.Error(), token) && len(token) > 20 {
			t.Errorf("%q: the error repeats the authtoken", s)
		}
	})
}
