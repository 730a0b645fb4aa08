package shim_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/tunnel"
)

const (
	goodToken = "2goodTokenOfTheOwner_4aaaaaaaaaaaaaaaaaaaa"
	badToken  = "2badTokenOfTheOwner_4aaaaaaaaaaaaaaaaaaaaa"
)

// judgeToken stands in for ngrok: it accepts one token.
func judgeToken(w tunnel.Wish) error {
	if w.Provider == tunnel.ProviderNgrok && w.Authtoken.Reveal() != goodToken {
		return tunnel.NewFault("107", nil)
	}
	return nil
}

// TestPutTunnel turns the tunnel on and off as the owner does.
func TestPutTunnel(t *testing.T) {
	p := start(t)
	p.wire.refuse = judgeToken
	put := func(in map[string]any) (int, map[string]any) { return p.api("PUT", "/api/tunnel", in) }
	public := func() string {
		_, st := p.api("GET", "/api/status", nil)
		s, _ := st["public_origin"].(string)
		return s
	}
	if st := p.shim.Status(); st.Tunnel.State != api.TunnelOff || st.PublicOrigin != nil || len(p.wire.wished()) > 0 && p.wire.wished()[0].Provider != api.TunnelOff {
		t.Errorf("a first run: %+v, want nothing public", st.Tunnel)
	}
	for _, tt := range []struct {
		name string
		in   map[string]any
		want string
	}{
		{"no provider", map[string]any{}, "provider"},
		{"unknown provider", map[string]any{"provider": "frp"}, "no such tunnel"},
		{"no authtoken yet", map[string]any{"provider": "ngrok"}, "authtoken"},
		{"a wrong authtoken", map[string]any{"provider": "ngrok", "authtoken": badToken}, tunnel.ProblemOf("107").Words},
		{"an API key of ngrok", map[string]any{"provider": "ngrok", "authtoken": "ak_2abc"}, web.TextAPIKeyNotAuthtoken},
		{"no word", map[string]any{"provider": "ngrok", "authtoken": "two words"}, web.TextNotAuthtoken},
		{"external without URL", map[string]any{"provider": "external"}, "public URL"},
		{"external, http", map[string]any{"provider": "external", "url": "http://example.com"}, "https://"},
		{"external, a path", map[string]any{"provider": "external", "url": "https://example.com/x"}, "a path"},
		{"external, no such preset", map[string]any{"provider": "external", "url": "https://example.com", "preset": "nginx"}, "cloudflared"},
		{"external, a preset in other letters", map[string]any{"provider": "external", "url": "https://example.com", "preset": "Caddy"}, "no preset"},
		{"external, this computer", map[string]any{"provider": "external", "url": "https://127.0.0.1"}, "internet"},
		{"a field too many", map[string]any{"provider": "off", "token": "x"}, "no field"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, out := put(tt.in)
			if msg, _ := out["error"].(string); status != http.StatusBadRequest || !strings.Contains(msg, tt.want) || strings.Contains(msg, badToken) {
				t.Errorf("PUT %v = %d %v, want 400 with %q", tt.in["provider"], status, out, tt.want)
			}
			if got := public(); got != "" || p.shim.Status().Tunnel.State != api.TunnelOff {
				t.Errorf("it changed something: public origin %q, %+v", got, p.shim.Status().Tunnel)
			}
		})
	}

	// As ngrok's own page shows it.
	status, out := put(map[string]any{"provider": "ngrok", "authtoken": "ngrok config add-authtoken " + goodToken + "\n"})
	if status != http.StatusOK || out["state"] != "online" || public() != publicOrigin {
		t.Fatalf("PUT with the right authtoken = %d %v, public origin %q", status, out, public())
	}
	before := len(p.wire.wished())
	if status, out = put(map[string]any{"provider": "ngrok", "authtoken": badToken}); status != http.StatusBadRequest {
		t.Errorf("a wrong authtoken later = %d %v, want 400", status, out)
	}
	waitFor(t, "the tunnel as it was", func() bool { return p.shim.Status().Tunnel.State == api.TunnelOnline })
	if w := p.wire.wished(); len(w) < before+2 || w[len(w)-1].Authtoken.Reveal() != goodToken {
		t.Error("after a wrong authtoken the old one is not used again")
	}

	p = p.restart()
	p.waitOnline()
	if w := p.wire.wished(); w[len(w)-1].Authtoken.Reveal() != goodToken || w[len(w)-1].Known != publicOrigin {
		t.Errorf("after a restart the tunnel is wanted at %q, want the authtoken and the address of before", w[len(w)-1].Known)
	}
	for _, f := range must(filepath.Glob(filepath.Join(p.dir, "*"))) {
		if bytes.Contains(must(os.ReadFile(f)), []byte(goodToken)) {
			t.Errorf("%s holds the authtoken in the clear", filepath.Base(f))
		}
	}
	if strings.Contains(p.log.String(), goodToken) || strings.Contains(p.log.String(), badToken) {
		t.Error("the log holds an authtoken")
	}

	if status, out = p.api("PUT", "/api/tunnel", map[string]any{"provider": "off"}); status != http.StatusOK || out["state"] != "off" {
		t.Errorf("go offline = %d %v", status, out)
	}
	if _, st := p.api("GET", "/api/status", nil); st["public_origin"] != nil {
		t.Errorf("public origin while offline: %v, want null", st["public_origin"])
	}
	p = p.restart()
	if st := p.shim.Status(); st.Tunnel.State != api.TunnelOff {
		t.Errorf("after going offline and a restart: %+v", st.Tunnel)
	}
	if status, out = p.api("PUT", "/api/tunnel", map[string]any{"provider": "ngrok"}); status != http.StatusOK || out["state"] != "online" {
		t.Errorf("online again without pasting = %d %v", status, out)
	}
}

// TestTunnelAtStart: only the owner decides what is public at a start.
func TestTunnelAtStart(t *testing.T) {
	begin := func(t *testing.T, dir string, c shim.TunnelConfig) *program {
		return startConfig(t, shim.Config{Dir: dir, Tunnel: c}, "127.0.0.1:0")
	}
	state := func(p *program) string { return p.shim.Status().Tunnel.State }
	t.Run("an authtoken in the environment turns nothing on", func(t *testing.T) {
		p := begin(t, t.TempDir(), shim.TunnelConfig{Mode: "auto", Authtoken: tunnel.NewAuthtoken(goodToken)})
		if got := state(p); got != api.TunnelOff {
			t.Errorf("state %q, want off", got)
		}
		if status, out := p.api("PUT", "/api/tunnel", map[string]any{"provider": "ngrok"}); status != http.StatusOK || out["state"] != "online" {
			t.Errorf("turned on = %d %v, want the environment's authtoken to be used", status, out)
		}
		p = p.restart()
		p.waitOnline() // the choice was kept
	})
	t.Run("off is for this run", func(t *testing.T) {
		dir := t.TempDir()
		p := begin(t, dir, shim.TunnelConfig{Mode: api.TunnelNgrok, Authtoken: tunnel.NewAuthtoken(goodToken)})
		p.waitOnline()
		p.stop()
		p = begin(t, dir, shim.TunnelConfig{Mode: api.TunnelOff})
		if got := state(p); got != api.TunnelOff {
			t.Errorf("state %q, want off", got)
		}
		p.stop()
		begin(t, dir, shim.TunnelConfig{Mode: "auto"}).waitOnline()
	})
	t.Run("without an authtoken it says what to do", func(t *testing.T) {
		p := begin(t, t.TempDir(), shim.TunnelConfig{Mode: api.TunnelNgrok})
		if st := p.shim.Status().Tunnel; st.State != api.TunnelFailed || st.Words == "" || st.Next == "" || st.Link == "" {
			t.Errorf("status %+v, want what to do", st)
		}
	})
	t.Run("external", func(t *testing.T) {
		dir := t.TempDir()
		p := begin(t, dir, shim.TunnelConfig{Mode: api.TunnelExternal, URL: "https://K2O.Example.com:443/"})
		p.waitOnline()
		if got := *p.shim.Status().PublicOrigin; got != "https://k2o.example.com" {
			t.Errorf("public origin %q, want it in the form of an issuer", got)
		}
		p.stop()
		p = begin(t, dir, shim.TunnelConfig{})
		p.waitOnline()
	})
	t.Run("external without URL", func(t *testing.T) {
		if _, err := shim.Open(shim.Config{Dir: t.TempDir(), Keychain: "file", Tunnel: shim.TunnelConfig{Mode: api.TunnelExternal}}); err == nil {
			t.Error("Open took it")
		}
	})
}

// TestN06DomainChange: the page names the clients that use another public
// address.
func TestN06DomainChange(t *testing.T) {
	p := startPublic(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	_, mcpURL := p.add(up.URL, nil)
	c := p.farClient("http://localhost:3118/callback", mcpURL)
	link := continueLink(t, p, p.farBrowser(homeAddr).Open(c.AuthorizeURL()))
	here := p.browser()
	page := here.Open(link)
	c.CodeFrom(here.Submit(here.Form(page, page.URL.Path), map[string]string{"api_key": up.Key(), "action": "approve"}).Location)
	if got := p.shim.Status().Tunnel.Stranded; len(got) != 0 {
		t.Errorf("stranded %q, want none", got)
	}
	p.wire.move("https://other.ngrok-free.dev")
	if status, out := p.api("PUT", "/api/tunnel", map[string]any{"provider": "ngrok"}); status != http.StatusOK || out["state"] != "online" {
		t.Fatalf("opened again = %d %v", status, out)
	}
	if got, want := p.shim.Status().Tunnel.Stranded, []string{"\u201cTest client\u201d"}; !slices.Equal(got, want) {
		t.Errorf("after the address changed: stranded %q, want %q", got, want)
	}
	if got := *p.shim.Status().PublicOrigin; got != "https://other.ngrok-free.dev" {
		t.Errorf("public origin %q, want the new one", got)
	}
}
