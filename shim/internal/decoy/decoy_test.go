package decoy

import (
	"regexp"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

func TestKey(t *testing.T) {
	tests := []struct{ name, key, form string }{
		{"GitHub", "ghp_0123456789abcdefghijABCDEFGHIJ012345", `^ghp_[A-Za-z0-9]{36}$`},
		{"GitHub, fine-grained", "github_pat_11ABCDEFG0abcdefghijkl_0123456789abcdefghijABCDEFGHIJ0123456789abcdefghi012345678", `^github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{58}$`},
		{"Anthropic", "sk-ant-api03-0123456789abcdefABCDEF-xyz_AA", `^sk-ant-api03-[A-Za-z0-9]{22}-[a-z]{3}_[A-Z]{2}$`},
		{"Google, without a separator", "AIzaSyA0123456789abcdefghijABCDEFGHIJ01", `^AIza[A-Za-z0-9]{35}$`},
		{"UUID", "550e8400-e29b-41d4-a716-446655440000", `^550e8400-e29b-41d4-a716-[0-9a-f]{12}$`},
		{"hexadecimal", "0123456789abcdef0123456789abcdef", `^[0-9a-f]{32}$`},
		{"digits", "123456", `^[0-9]{6}$`},
		{"JWT", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U", `^eyJhbGciOiJIUzI1NiJ9\.eyJzdWIiOiIxIn0\.[A-Za-z0-9_-]{43}$`},
		{"one character", "a", `^[a-z]$`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 20 {
				got := Key(endpoint.NewSecret(tt.key), endpoint.DefaultHeader).Reveal()
				if got == tt.key || !regexp.MustCompile(tt.form).MatchString(got) {
					t.Errorf("got %q, want another one like %q", got, tt.key)
				}
			}
		})
	}
}

// FuzzKey: a wrong key is never the right one and has the same form.
func FuzzKey(f *testing.F) {
	f.Add("ghp_0123456789abcdefghijABCDEFGHIJ012345")
	f.Add("--------")
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, pasted string) {
		key, err := endpoint.ParseKey(pasted, endpoint.DefaultHeader)
		if err != nil {
			return
		}
		k := key.Reveal()
		got := Key(key, endpoint.DefaultHeader).Reveal()
		if got == k {
			t.Fatalf("%q is the key", got)
		}
		class := func(s string) string {
			return strings.Map(func(r rune) rune {
				switch {
				case '0' <= r && r <= '9':
					return '0'
				case 'a' <= r && r <= 'z':
					return 'a'
				case 'A' <= r && r <= 'Z':
					return 'A'
				}
				return r
			}, s)
		}
		if strings.ContainsAny(class(k), "0aA") && len(got) == len(k) && class(got) != class(k) {
			t.Errorf("%q has another form than %q", got, k)
		}
	})
}
