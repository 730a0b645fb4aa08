package tunnel

import (
	"errors"
	"net"
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

func TestExternal(t *testing.T) {
	ln, o, err := (&External{URL: "https://MCP.example.com/", Addr: "127.0.0.1:0"}).Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if o != "https://mcp.example.com" {
		t.Errorf("got %q", o)
	}
	if a := ln.Addr().(*net.TCPAddr); !a.IP.IsLoopback() {
		t.Errorf("listens on %v", a)
	}
	for _, test := range []struct {
		name, url, addr string
		want            Cause
		permanent       bool
	}{
		{"a port that is taken", "https://mcp.example.com", ln.Addr().String(), CausePortTaken, false},
		{"all addresses", "https://mcp.example.com", "0.0.0.0:0", CauseBadAddress, true},
		{"all of IPv6", "https://mcp.example.com", "[::]:0", CauseBadAddress, true},
		{"another computer", "https://mcp.example.com", "192.0.2.1:7451", CauseBadAddress, true},
		{"a name", "https://mcp.example.com", "localhost:7451", CauseBadAddress, true},
		{"no port", "https://mcp.example.com", "127.0.0.1", CauseBadAddress, true},
		{"no https", "http://mcp.example.com", "127.0.0.1:0", CauseBadURL, true},
	} {
		_, _, err := (&External{URL: test.url, Addr: test.addr}).Open(t.Context(), "")
		f, ok := errors.AsType[*Fault](err)
		if !ok || f.Problem.Cause != test.want || f.Problem.Permanent != test.permanent {
			t.Errorf("%s: got %+v, want %q", test.name, err, test.want)
		}
	}
}

// The commands of a preset contain the owner's own address and port.
func TestPresets(t *testing.T) {
	const o, addr = "https://mcp.example.com:8443", "127.0.0.1:7999"
	want := map[string]struct {
		header ClientHeader
		text   []string
	}{
		"tailscale":   {LastForwardedFor, []string{"tailscale funnel --bg --https=8443 http://127.0.0.1:7999"}},
		"cloudflared": {CfConnectingIP, []string{"cloudflared tunnel route dns key2oauth mcp.example.com", "cloudflared tunnel run --url http://127.0.0.1:7999 key2oauth"}},
		"caddy":       {LastForwardedFor, []string{"mcp.example.com:8443 {\n\treverse_proxy 127.0.0.1:7999\n}\n", "ssh -N -R 127.0.0.1:7999:127.0.0.1:7999"}},
	}
	if got := len(Presets(o, addr)); got != len(want) {
		t.Errorf("got %d presets, want %d", got, len(want))
	}
	for id, w := range want {
		p, ok := PresetByID(id, o, addr)
		if !ok || p.ClientHeader != w.header || p.Name == "" {
			t.Errorf("%s: got %+v", id, p)
		}
		var all strings.Builder
		for _, s := range p.Steps {
			if s.Words == "" {
				t.Errorf("%s: %q has no words", id, s.Text)
			}
			all.WriteString(s.Text + "\n")
		}
		for _, text := range w.text {
			if !strings.Contains(all.String(), text) {
				t.Errorf("%s: no %q in\n%s", id, text, &all)
			}
		}
	}
	if p, _ := PresetByID("tailscale", "", ""); p.Steps[0].Text != "tailscale funnel --bg http://"+DefaultAddr {
		t.Errorf("without settings: got %q", p.Steps[0].Text)
	}
	if _, ok := PresetByID("", o, addr); ok {
		t.Error("no name, and a preset")
	}
}
