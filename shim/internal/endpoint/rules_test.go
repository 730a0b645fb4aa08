package endpoint

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
)

func TestNewSlug(t *testing.T) {
	const n = 20000
	count := map[rune]int{}
	seen := map[string]bool{}
	for range n {
		s := NewSlug()
		if len(s) != slugLen || strings.Trim(s, slugAlphabet) != "" || seen[s] {
			t.Fatalf("NewSlug() = %q, want %d new characters of %s", s, slugLen, slugAlphabet)
		}
		seen[s] = true
		for _, c := range s {
			count[c]++
		}
	}
	// A byte modulo the alphabet's size would favor the first four letters by a
	// seventh. Ten percent is over eight standard deviations.
	want := n * slugLen / len(slugAlphabet)
	for _, c := range slugAlphabet {
		if got := count[c]; got < want*9/10 || got > want*11/10 {
			t.Errorf("%c was drawn %d times, want about %d", c, got, want)
		}
	}
}

func TestMCPURL(t *testing.T) {
	if got, want := MCPURL("https://a.example", "abc"), "https://a.example/abc/mcp"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseUpstream(t *testing.T) {
	good := []struct{ name, in, want string }{
		{"https", "https://mcp.example.com/mcp", "https://mcp.example.com/mcp"},
		{"spaces and line ends around it", " \n\u200bhttps://mcp.example.com/mcp\r\n", "https://mcp.example.com/mcp"},
		{"upper case", "HTTPS://MCP.Example.COM/Mcp", "https://mcp.example.com/Mcp"},
		{"default port", "https://mcp.example.com:443/mcp", "https://mcp.example.com/mcp"},
		{"other port", "https://mcp.example.com:8443/mcp", "https://mcp.example.com:8443/mcp"},
		{"no path", "https://mcp.example.com", "https://mcp.example.com/"},
		{"query", "https://mcp.example.com/mcp?apiKey=s&b=%20", "https://mcp.example.com/mcp?apiKey=s&b=%20"},
		{"space in the query", "https://mcp.example.com/mcp?a=b c\u00e9", "https://mcp.example.com/mcp?a=b%20c%C3%A9"},
		{"public address", "https://93.184.215.14/mcp", "https://93.184.215.14/mcp"},
		{"IPv6", "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:444/", "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:444/"},
		{"loopback", "http://127.0.0.1:3000/mcp", "http://127.0.0.1:3000/mcp"},
		{"loopback, IPv6", "http://[::1]/mcp", "http://[::1]/mcp"},
		{"private", "http://192.168.1.20:8080/mcp", "http://192.168.1.20:8080/mcp"},
		{"name over http", "http://nas.local/mcp", "http://nas.local/mcp"},
		{"localhost", "http://localhost:3000/mcp", "http://localhost:3000/mcp"},
	}
	for _, tt := range good {
		t.Run(tt.name, func(t *testing.T) {
			u, note, err := ParseUpstream(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if u.String() != tt.want {
				t.Errorf("ParseUpstream(%q) = %s, want %s", tt.in, u, tt.want)
			}
			want := ""
			if u.Scheme == "http" && !isLoopback(u.Hostname()) {
				want = plainNote
			}
			if note != want {
				t.Errorf("note is %q, want %q", note, want)
			}
		})
	}
	bad := []struct{ name, in, want string }{
		{"empty", "  ", "Enter the URL"},
		{"no scheme", "mcp.example.com/mcp", "https://"},
		{"other scheme", "ftp://mcp.example.com/", "https://"},
		{"javascript", "javascript://x/%0aalert(1)", "https://"},
		{"opaque", "https:mcp.example.com://", "valid"},
		{"user name", "https://user:" + canary + "@mcp.example.com/", "user name"},
		{"empty user name", "https://@mcp.example.com/", "user name"},
		{"fragment", "https://mcp.example.com/#x", "#"},
		{"empty fragment", "https://mcp.example.com/#", "#"},
		{"no host", "https:///mcp", "no server name"},
		{"port alone", "https://:443/mcp", "no server name"},
		{"empty port", "https://mcp.example.com:/mcp", "port"},
		{"port 0", "https://mcp.example.com:0/mcp", "port"},
		{"port too large", "https://mcp.example.com:65536/mcp", "port"},
		{"not a URL, with a secret in it", "https://mcp.example.com/%zz?apiKey=" + canary, "valid URL"},
		{"control character", "https://mcp.example.com/\x00a?k=" + canary, "valid URL"},
		{"public address over http", "http://93.184.215.14/mcp", "Use https://"},
		{"metadata", "http://169.254.169.254/latest", "does not connect"},
		{"metadata over https", "https://169.254.169.254/latest", "does not connect"},
		{"metadata, v4-mapped", "https://[::ffff:169.254.169.254]/", "does not connect"},
		{"link-local", "http://[fe80::1]/", "does not connect"},
		{"zone", "http://[fe80::1%25eth0]/", "zone"},
		{"unspecified", "http://0.0.0.0:80/", "does not connect"},
		{"number for an address", "http://2130706433/", "name is not valid"},
		{"hex for an address", "http://0x7f.1/", "name is not valid"},
		{"short address", "http://127.1/", "name is not valid"},
		{"other letters", "https://m\u0441p.example/", "xn--"},
		{"space in the name", "https://mcp example.com/", "valid"},
		{"empty label", "https://mcp..example.com/", "name is not valid"},
		{"too long", "https://mcp.example.com/" + strings.Repeat("x", maxURL), "longer than"},
	}
	for _, tt := range bad {
		t.Run(tt.name, func(t *testing.T) {
			u, _, err := ParseUpstream(tt.in)
			if err == nil {
				t.Fatalf("ParseUpstream(%q) = %s, want an error", tt.in, u)
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), canary) {
				t.Errorf("ParseUpstream(%q): %v; want %q in it, and no secret", tt.in, err, tt.want)
			}
		})
	}
}

// FuzzParseUpstream: every parser reads an accepted URL the same way. It leads
// to no forbidden address and is its own normal form.
func FuzzParseUpstream(f *testing.F) {
	for _, s := range []string{"https://a.example/mcp?k=v", "http://127.0.0.1:1/", "http://[::1]:8080/a b", "https://u@h/", "http://0x7f.1", "HTTPS://A:443"} {
		f.Add(s)
	}
	f.Add("https://a.example/" + strings.Repeat("\u00e9", 400)) // longer when it is escaped
	f.Fuzz(func(t *testing.T, s string) {
		u, note, err := ParseUpstream(s)
		if err != nil {
			if note != "" || u != nil {
				t.Errorf("ParseUpstream(%q): %v, but also %v, %q", s, err, u, note)
			}
			return
		}
		if u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.Fragment != "" || u.Opaque != "" || u.Hostname() == "" {
			t.Errorf("ParseUpstream(%q) = %#v", s, u)
		}
		if (u.Scheme == "http" && !isLoopback(u.Hostname())) != (note != "") {
			t.Errorf("ParseUpstream(%q): note %q with %s", s, note, u.Scheme)
		}
		for _, c := range []byte(u.String()) {
			if c <= ' ' || c > '~' {
				t.Errorf("ParseUpstream(%q) = %q holds %q", s, u, c)
			}
		}
		if addr, err := netip.ParseAddr(u.Hostname()); err == nil {
			if why := safedial.Judge(addr, u.Scheme); why != "" {
				t.Errorf("ParseUpstream(%q) leads to %s: %s", s, addr, why)
			}
		}
		again, _, err := ParseUpstream(u.String())
		if err != nil || again.String() != u.String() {
			t.Errorf("ParseUpstream(%q) = %s, which parses to %v, %v", s, u, again, err)
		}
		if std, err := url.Parse(u.String()); err != nil || std.Host != u.Host {
			t.Errorf("ParseUpstream(%q) = %s, which package url reads as %v, %v", s, u, std, err)
		}
	})
}

func TestParseName(t *testing.T) {
	tests := []struct {
		name, in, fallback, want string
		wantErr                  bool
	}{
		{"plain", "Linear", "h", "Linear", false},
		{"other letters", " \u65e5\u672c \U0001F600 caf\u00e9 ", "h", "\u65e5\u672c \U0001F600 caf\u00e9", false},
		{"empty", "", "mcp.example.com", "mcp.example.com", false},
		{"only what is not seen", "\u200b\u202e \u3164", "h", "h", false},
		{"bidi and control characters", "a\u202eb\u2066c\x00\x1bd\u200e", "h", "abcd", false},
		{"line ends", "a\r\n\tb", "h", "a b", false},
		{"bad UTF-8", "a\xffb", "h", "ab", false},
		{"80 characters", strings.Repeat("\u00e9", 80), "h", strings.Repeat("\u00e9", 80), false},
		{"81 characters", strings.Repeat("\u00e9", 81), "h", "", true},
		{"nothing at all", " ", " ", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseName(tt.in, tt.fallback)
			if got != tt.want || (err != nil) != tt.wantErr {
				t.Errorf("ParseName(%q) = %q, %v; want %q, error %t", tt.in, got, err, tt.want, tt.wantErr)
			}
		})
	}
}

// FuzzParseName: a name is one printable line and its own normal form.
func FuzzParseName(f *testing.F) {
	f.Add("a\u202eb", "h")
	f.Fuzz(func(t *testing.T, s, fallback string) {
		got, err := ParseName(s, fallback)
		if err != nil {
			return
		}
		if n := utf8.RuneCountInString(got); n == 0 || n > MaxName {
			t.Errorf("ParseName(%q) has %d characters", s, n)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) || unicode.Is(unicode.Cf, r) {
				t.Errorf("ParseName(%q) = %q holds %U", s, got, r)
			}
		}
		if again, err := ParseName(got, ""); err != nil || again != got {
			t.Errorf("ParseName(%q) = %q, which becomes %q, %v", s, got, again, err)
		}
	})
}

// An address that is private only in a network which this computer is not in now
// is not called public.
func TestParseUpstreamShared(t *testing.T) {
	if safedial.Judge(netip.MustParseAddr("100.101.102.103"), "http") == "" {
		testenv.Skip(t, "is in a network of 100.64.0.0/10, and the test needs one that is not")
	}
	_, _, err := ParseUpstream("http://100.101.102.103:8000/mcp")
	if err == nil || strings.Contains(err.Error(), TextUseHTTPS) || !strings.Contains(err.Error(), "Tailscale") {
		t.Errorf("got %v", err)
	}
	if _, _, err := ParseUpstream("https://100.101.102.103/mcp"); err != nil {
		t.Errorf("https: got %v", err)
	}
}
