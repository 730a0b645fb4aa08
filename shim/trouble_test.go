package shim_test

import (
	"html"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/proxy"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

const toolCall = `{"jsonrpc":"2.0","id":"c-1","method":"tools/call","params":{"name":"echo","arguments":{}}}`

// TestKeyTrouble: where a key cannot be used, the app, the page, the API and the
// log say the same reason, which is not that the server rejected it; and pasting
// the key again ends it.
func TestKeyTrouble(t *testing.T) {
	for _, tt := range []struct {
		why  endpoint.Trouble
		make func(p *program, up *shimtest.Upstream, slug, credential string) *program
	}{
		{endpoint.TroubleKeychain, func(p *program, _ *shimtest.Upstream, _, _ string) *program {
			p.stop()
			if err := os.Remove(filepath.Join(p.dir, "master.key")); err != nil {
				p.t.Fatal(err)
			}
			http.DefaultClient.CloseIdleConnections()
			return startIn(p.t, p.dir, p.addr)
		}},
		{endpoint.TroubleAddress, func(p *program, up *shimtest.Upstream, slug, _ string) *program {
			if status, out := p.api("PATCH", "/api/slugs/"+slug, map[string]any{"upstream_url": up.URL + "/?x=1"}); status != http.StatusOK {
				p.t.Fatalf("PATCH = %d %v", status, out)
			}
			return p
		}},
		{endpoint.TroubleDamaged, func(p *program, _ *shimtest.Upstream, _, credential string) *program {
			p.stop()
			p.flip("key/" + credential)
			http.DefaultClient.CloseIdleConnections()
			return startIn(p.t, p.dir, p.addr)
		}},
	} {
		t.Run(string(tt.why), func(t *testing.T) {
			p := start(t)
			up, mcpURL, c := p.connect()
			first := p.slugs()[0]
			slug := first["slug"].(string)
			credential := first["credentials"].([]any)[0].(map[string]any)["id"].(string)
			p = tt.make(p, up, slug, credential)

			resp, body := p.post(mcpURL, c.Access, toolCall)
			if resp.StatusCode != http.StatusOK || !strings.Contains(body, tt.why.ToApp()) || strings.Contains(body, proxy.TextRejected) {
				t.Errorf("the app got %d %s, want %q", resp.StatusCode, body, tt.why.ToApp())
			}
			shown := p.slugs()[0]["credentials"].([]any)[0].(map[string]any)
			if words, _ := shown["words"].(string); shown["state"] != "key needed" || !strings.Contains(words, tt.why.Words()) {
				t.Errorf("the API says %v", shown)
			}
			page := html.UnescapeString(p.owner().Open("/servers/" + slug).Body)
			if !strings.Contains(strings.ReplaceAll(page, "\u2019", "'"), tt.why.Words()) {
				t.Errorf("the page does not say %q", tt.why.Words())
			}
			if log := p.log.String(); strings.Count(log, tt.why.Words()) != 1 {
				t.Errorf("the log says it %d times, want once", strings.Count(log, tt.why.Words()))
			}
			if status, out := p.api("PUT", "/api/slugs/"+slug+"/key", map[string]any{"api_key": up.Key(), "credential": credential}); status != http.StatusNoContent {
				t.Fatalf("PUT of the key = %d %v", status, out)
			}
			if resp, body := p.post(mcpURL, c.Access, initialize); resp.StatusCode != http.StatusOK || strings.Contains(body, "error") {
				t.Errorf("after the paste a call = %d %s", resp.StatusCode, body)
			}
		})
	}
}

// TestCutCalls: a call that is cut says why, each by its own reason.
func TestCutCalls(t *testing.T) {
	for _, tt := range []struct {
		why endpoint.Trouble
		cut func(p *program)
	}{
		{endpoint.TroublePaused, func(p *program) { p.api("POST", "/api/pause", nil) }},
		{endpoint.TroubleQuitting, func(p *program) { p.api("POST", "/api/quit", nil) }},
		{endpoint.TroubleDisconnected, func(p *program) {
			_, out := p.api("GET", "/api/grants", nil)
			p.api("DELETE", "/api/grants/"+out["grants"].([]any)[0].(map[string]any)["id"].(string), nil)
		}},
	} {
		t.Run(string(tt.why), func(t *testing.T) {
			t.Parallel()
			p := start(t)
			up, mcpURL, c := p.connect()
			f, held, release := shimtest.Hold(t)
			defer release()
			up.Break(f)
			type answer struct {
				status int
				body   string
			}
			got := make(chan answer, 1)
			go func() {
				resp, body := p.post(mcpURL, c.Access, toolCall)
				got <- answer{resp.StatusCode, body}
			}()
			<-held
			tt.cut(p)
			if a := <-got; a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, tt.why.ToApp()) {
				t.Errorf("the app got %d %s, want %q", a.status, a.body, tt.why.ToApp())
			}
		})
	}
}
