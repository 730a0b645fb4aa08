package shim_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// flip flips a bit after each place where the state file has text.
func (p *program) flip(text string) {
	p.t.Helper()
	name := filepath.Join(p.dir, "state.db")
	b := must(os.ReadFile(name))
	if !bytes.Contains(b, []byte(text)) {
		p.t.Fatalf("the state has no %q", text)
	}
	for i := 0; ; {
		n := bytes.Index(b[i:], []byte(text))
		if n < 0 {
			break
		}
		i += n + len(text)
		b[i] ^= 1
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// TestDamagedRecords: the record of one app, server, key or setting that lost a
// bit is named by the status, the page, the tray's overview and the examination,
// and can be deleted. Other apps notice nothing.
func TestDamagedRecords(t *testing.T) {
	for _, tt := range []struct {
		kind  string
		place func(grant, slug, credential string) string // after which a bit is lost
		by    string                                      // how it is deleted
	}{
		{api.DamagedApp, func(grant, _, _ string) string { return `{"id":"` + grant + `","slug` }, "grant"},
		{api.DamagedApp, func(grant, _, _ string) string { return `{"id":"` + grant + `","slug` }, "page"},
		{api.DamagedServer, func(_, slug, _ string) string { return `{"slug":"` + slug + `","base` }, "server"},
		{api.DamagedServer, func(_, slug, _ string) string { return `{"slug":"` + slug + `","base` }, "page"},
		{api.DamagedKey, func(_, _, credential string) string { return `{"id":"` + credential + `","slug` }, "key"},
		{api.DamagedKey, func(_, _, credential string) string { return `{"id":"` + credential + `","slug` }, "damage"},
		{api.DamagedSetting, func(_, _, _ string) string { return "access token lifetime" }, "page"},
	} {
		t.Run(tt.kind+" by "+tt.by, func(t *testing.T) {
			p := start(t)
			p.api("PATCH", "/api/settings", map[string]any{"access_token_lifetime": 7200})
			_, healthyURL, healthy := p.connect()
			_, _, doomed := p.connect()
			_, out := p.api("GET", "/api/grants", nil)
			g := out["grants"].([]any)[1].(map[string]any)
			grant, slug, credential := g["id"].(string), g["slug"].(string), g["credential"].(string)
			p.stop()
			p.flip(tt.place(grant, slug, credential))
			http.DefaultClient.CloseIdleConnections()
			p = startIn(t, p.dir, p.addr)

			st := p.shim.Status()
			if len(st.Damaged) != 1 || st.Damaged[0].Kind != tt.kind || st.Damaged[0].Words == "" || st.Damaged[0].Next == "" {
				t.Fatalf("the status names %+v", st.Damaged)
			}
			d := st.Damaged[0]
			if o, err := p.shim.Overview(); err != nil || len(o.Status.Damaged) != 1 {
				t.Errorf("the tray is told %+v, %v", o.Status.Damaged, err)
			}
			b := p.owner()
			home := b.Open("/")
			if home.Status != http.StatusOK || !strings.Contains(home.Body, web.Text("damage.delete")) {
				t.Errorf("the page = %d without a button", home.Status)
			}
			b.Submit(b.Form(b.Open("/check"), "/check"), nil)
			waitFor(t, "the examination to name it", func() bool {
				_, out := p.api("GET", "/api/doctor", nil)
				findings, _ := out["findings"].([]any)
				for _, f := range findings {
					f := f.(map[string]any)
					if f["id"] == "computer.damage" && f["state"] == api.FindingFailed && strings.Contains(f["words"].(string), d.Words) {
						return true
					}
				}
				return false
			})
			if resp, body := p.post(healthyURL, healthy.Access, initialize); resp.StatusCode != http.StatusOK {
				t.Errorf("a call of the other app = %d %s", resp.StatusCode, body)
			}
			if status, answer := healthy.DoRefresh(healthy.Refresh); status != http.StatusOK {
				t.Errorf("a refresh of the other app = %d %v", status, answer)
			}
			if tt.kind == api.DamagedApp {
				if status, answer := doomed.DoRefresh(doomed.Refresh); status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
					t.Errorf("a refresh of the damaged app = %d %v, want invalid_grant: it has to sign in again", status, answer)
				}
			}

			var status int
			switch tt.by {
			case "grant":
				status, _ = p.api("DELETE", "/api/grants/"+d.ID, nil)
			case "server":
				status, _ = p.api("DELETE", "/api/slugs/"+d.ID, nil)
			case "key":
				status, _ = p.api("DELETE", "/api/slugs/"+slug+"/credentials/"+d.ID, nil)
			case "damage":
				status, _ = p.api("DELETE", "/api/damaged/"+d.Kind+"/"+d.ID, nil)
			case "page":
				if status = b.Submit(b.Form(home, "/damaged"), nil).Status; status == http.StatusOK {
					status = http.StatusNoContent
				}
			}
			if status != http.StatusNoContent {
				t.Errorf("deleting it = %d", status)
			}
			if left := p.shim.Status().Damaged; len(left) > 0 {
				t.Errorf("after it was deleted the status names %+v", left)
			}
			if resp, body := p.post(healthyURL, healthy.Access, initialize); resp.StatusCode != http.StatusOK {
				t.Errorf("afterwards a call of the other app = %d %s", resp.StatusCode, body)
			}
			p = p.restart()
			if left := p.shim.Status().Damaged; len(left) > 0 {
				t.Errorf("after a restart the status names %+v", left)
			}
		})
	}
}
