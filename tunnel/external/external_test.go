package external

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/tunnel"
)

func TestOpen(t *testing.T) {
	ln, o, err := (&Tunnel{URL: "https://MCP.example.com/", Addr: "127.0.0.1:0"}).Open(t.Context(), "")
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
		want            tunnel.Cause
		permanent       bool
	}{
		{"a port that is taken", "https://mcp.example.com", ln.Addr().String(), tunnel.CausePortTaken, false},
		{"all addresses", "https://mcp.example.com", "0.0.0.0:0", tunnel.CauseBadAddress, true},
		{"all of IPv6", "https://mcp.example.com", "[::]:0", tunnel.CauseBadAddress, true},
		{"another computer", "https://mcp.example.com", "192.0.2.1:7451", tunnel.CauseBadAddress, true},
		{"a name", "https://mcp.example.com", "localhost:7451", tunnel.CauseBadAddress, true},
		{"no port", "https://mcp.example.com", "127.0.0.1", tunnel.CauseBadAddress, true},
		{"no https", "http://mcp.example.com", "127.0.0.1:0", tunnel.CauseBadURL, true},
	} {
		_, _, err := (&Tunnel{URL: test.url, Addr: test.addr}).Open(t.Context(), "")
		f, ok := errors.AsType[*tunnel.Fault](err)
		if !ok || f.Problem.Cause != test.want || f.Problem.Permanent != test.permanent {
			t.Errorf("%s: got %+v, want %q", test.name, err, test.want)
		}
	}
}

// The commands of a preset contain the owner's own address and port.
func TestPresets(t *testing.T) {
	const o, addr = "https://mcp.example.com:8443", "127.0.0.1:7999"
	want := map[string]struct {
		header tunnel.ClientHeader
		text   []string
	}{
		"tailscale":   {tunnel.LastForwardedFor, []string{"tailscale funnel --bg --https=8443 http://127.0.0.1:7999"}},
		"cloudflared": {tunnel.CfConnectingIP, []string{"cloudflared tunnel route dns key2oauth mcp.example.com", "cloudflared tunnel run --url http://127.0.0.1:7999 key2oauth"}},
		"caddy":       {tunnel.LastForwardedFor, []string{"mcp.example.com:8443 {\n\treverse_proxy 127.0.0.1:7999\n}\n", "ssh -N -R 127.0.0.1:7999:127.0.0.1:7999"}},
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
