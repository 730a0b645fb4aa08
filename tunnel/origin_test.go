package tunnel

import (
	"net/url"
	"strings"
	"testing"
)

func TestParseOrigin(t *testing.T) {
	tests := []struct{ in, want string }{
		{"https://mcp.example.com", "https://mcp.example.com"},
		{" https://MCP.Example.com/ ", "https://mcp.example.com"},
		{"HTTPS://mcp.example.com:8443", "https://mcp.example.com:8443"},
		{"https://mcp.example.com:443", "https://mcp.example.com"},
		{"https://node.tailnet-name.ts.net:10000", "https://node.tailnet-name.ts.net:10000"},
		{"https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"},
		{"https://xn--bcher-kva.example", "https://xn--bcher-kva.example"},
		{"https://localhost", "https://localhost"},

		{"", ""},
		{"mcp.example.com", ""},
		{"http://mcp.example.com", ""},
		{"https://", ""},
		{"https:///", ""},
		{"https://mcp.example.com/mcp", ""},
		{"https://mcp.example.com//", ""},
		{"https://mcp.example.com?", ""},
		{"https://mcp.example.com/?a=b", ""},
		{"https://mcp.example.com#", ""},
		{"https://mcp.example.com/#x", ""},
		{"https://user@mcp.example.com", ""},
		{"https://mcp.example.com:", ""},
		{"https://mcp.example.com:0", ""},
		{"https://mcp.example.com:65536", ""},
		{"https://mcp.example.com:https", ""},
		{"https://mcp..example.com", ""},
		{"https://mcp.example.com.", ""},
		{"https://-mcp.example.com", ""},
		{"https://mcp example.com", ""},
		{"https://m%63p.example.com", ""},
		{"https://mcp%2fexample.com", ""},
		{"https://b\u00fccher.example", ""},
		{"https://[fe80::1%25eth0]", ""},
		{"https://mcp.example.com\\@evil.example", ""},
	}
	for _, test := range tests {
		got, err := ParseOrigin(test.in)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("ParseOrigin(%q): got %q, %v, want %q", test.in, got, err, test.want)
		}
	}
}

// Browsers and clients write an origin the same way, and parsing it again
// changes nothing.
func FuzzParseOrigin(f *testing.F) {
	for _, s := range []string{"https://mcp.example.com", "https://MCP.example.com:8443/", "https://[::1]", "https://user@x?y#z", "https://a%62"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseOrigin(s)
		if err != nil {
			return
		}
		again, err := ParseOrigin(got)
		if err != nil || again != got {
			t.Errorf("%q became %q and then %q, %v", s, got, again, err)
		}
		u, err := url.Parse(got)
		if err != nil || u.Scheme != "https" || "https://"+u.Host != got || u.Host != strings.ToLower(u.Host) || u.Hostname() == "" || u.Port() == "443" {
			t.Errorf("%q became %q: %+v, %v", s, got, u, err)
		}
	})
}
