package shim_test

import (
	"bytes"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/doctor"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
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

// damageRecord flips a bit in the value of a record.
func (p *program) damageRecord(bucket, key string) {
	p.t.Helper()
	db := must(bbolt.Open(filepath.Join(p.dir, "state.db"), 0o600, nil))
	defer db.Close()
	err := db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		value := bytes.Clone(b.Get([]byte(key)))
		if len(value) == 0 {
			return fmt.Errorf("there is no record %q", key)
		}
		value[0] ^= 1
		return b.Put([]byte(key), value)
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// TestDamagedRandoms: the values that recognize registered apps and the owner's
// browsers survive a bit that is lost in either of their two records. If both
// are lost, connected apps keep working, and the owner is told until the message
// is deleted.
func TestDamagedRandoms(t *testing.T) {
	for _, name := range []string{"client id key", "form token key", "cookie name"} {
		for _, damaged := range [][]string{{name}, {name + " (copy)"}, {name, name + " (copy)"}} {
			t.Run(strings.Join(damaged, " and "), func(t *testing.T) {
				p := start(t)
				_, mcpURL, app := p.connect()
				browser := p.owner()
				p.stop()
				for _, record := range damaged {
					p.damageRecord("settings", record)
				}
				http.DefaultClient.CloseIdleConnections()
				p = startIn(t, p.dir, p.addr)

				if status, answer := app.DoRefresh(app.Refresh); status != http.StatusOK {
					t.Errorf("a refresh = %d %v", status, answer)
				}
				if resp, body := p.post(mcpURL, app.Access, initialize); resp.StatusCode != http.StatusOK {
					t.Errorf("a call = %d %s", resp.StatusCode, body)
				}
				if !strings.Contains(p.log.String(), name) {
					t.Error("the log does not name the record")
				}
				if len(damaged) == 1 {
					if page := browser.Open("/settings"); page.Status != http.StatusOK {
						t.Errorf("the owner's browser gets %d", page.Status)
					}
					if page := p.browser().Open(app.AuthorizeURL()); page.Status != http.StatusOK {
						t.Errorf("a new sign-in of the app gets %d", page.Status)
					}
					st := p.shim.Status()
					if len(st.Damaged) > 0 || len(st.Notes) != 1 || st.Notes[0].Kind != api.NoteRepaired || st.Notes[0].Words != web.Text("note.repaired") {
						t.Errorf("the status says %+v and %+v", st.Damaged, st.Notes)
					}
					p = p.restart()
					if st := p.shim.Status(); len(st.Damaged)+len(st.Notes) > 0 {
						t.Errorf("after a restart the status says %+v and %+v", st.Damaged, st.Notes)
					}
					return
				}
				p = p.restart()
				if d := p.shim.Status().Damaged; len(d) != 1 || d[0].Kind != api.DamagedReplaced || d[0].ID != name || d[0].Words == "" || d[0].Next == "" {
					t.Fatalf("after a restart the status says %+v", d)
				}
				b := p.owner()
				if page := b.Submit(b.Form(b.Open("/"), "/damaged"), nil); page.Status != http.StatusOK {
					t.Errorf("deleting the message = %d", page.Status)
				}
				p = p.restart()
				if d := p.shim.Status().Damaged; len(d) > 0 {
					t.Errorf("after it was deleted the status says %+v", d)
				}
				if status, answer := app.DoRefresh(app.Refresh); status != http.StatusOK {
					t.Errorf("then a refresh = %d %v", status, answer)
				}
			})
		}
	}
}

// TestDamagedSealedKey: a saved key that lost a bit is named as such by the list,
// the status, the tray's overview, the examination and the page. Pasting it again
// repairs it, and nothing else is offered: the apps that use it stay connected.
func TestDamagedSealedKey(t *testing.T) {
	p := start(t)
	up, mcpURL, app := p.connect()
	_, out := p.api("GET", "/api/grants", nil)
	g := out["grants"].([]any)[0].(map[string]any)
	slug, credential := g["slug"].(string), g["credential"].(string)
	p.stop()
	p.damageRecord("sealed", "key/"+credential)
	http.DefaultClient.CloseIdleConnections()
	p = startIn(t, p.dir, p.addr)

	words := endpoint.TroubleDamaged.Words()
	server := p.slugs()[0]
	shown := server["credentials"].([]any)[0].(map[string]any)
	if server["state"] != api.EndpointKeyNeeded || shown["state"] != api.CredentialKeyNeeded || shown["words"] != problem.Join(words, endpoint.TroubleDamaged.Next()) {
		t.Errorf("the list says %q, and of the key %q and %q", server["state"], shown["state"], shown["words"])
	}
	st := p.shim.Status()
	if len(st.Damaged) != 1 || st.Damaged[0].Kind != api.DamagedSealedKey || st.Damaged[0].ID != credential || st.Damaged[0].Slug != slug ||
		st.Damaged[0].Words != web.Text("damage.sealed", "Weather") || st.Damaged[0].Next != web.Text("damage.sealed.next") {
		t.Fatalf("the status says %+v", st.Damaged)
	}
	if o, err := p.shim.Overview(); err != nil || len(o.Status.Damaged) != 1 || o.Endpoints[0].State != api.EndpointKeyNeeded {
		t.Errorf("the tray is told %+v, %v", o, err)
	}
	b := p.owner()
	if page := b.Open("/"); !strings.Contains(page.Body, html.EscapeString(words)) || strings.Contains(page.Body, web.Text("damage.delete")) {
		t.Errorf("the page does not say it, or offers to delete the key")
	}
	finding := func() (f map[string]any, ok bool) {
		t.Helper()
		b.Submit(b.Form(b.Open("/check"), "/check"), nil)
		waitFor(t, "the examination of the key", func() bool {
			_, report := p.api("GET", "/api/doctor", nil)
			findings, _ := report["findings"].([]any)
			for _, x := range findings {
				if x := x.(map[string]any); x["id"] == "servers."+slug+"."+credential {
					f = x
				}
			}
			ok, _ = report["ok"].(bool)
			return f != nil && report["ended"] != nil
		})
		return f, ok
	}
	if f, ok := finding(); ok || f["state"] != api.FindingFailed || f["whose"] != api.WhoseYours || f["words"] != words || f["next"] != doctor.NextPaste {
		t.Errorf("the examination found %v, and all is well: %v", f, ok)
	}
	if status, _ := p.api("DELETE", "/api/damaged/"+url.PathEscape(api.DamagedSealedKey)+"/"+credential, nil); status != http.StatusConflict {
		t.Errorf("deleting it = %d, want 409", status)
	}

	if status, out := p.api("PUT", "/api/slugs/"+slug+"/key", map[string]any{"api_key": up.Key(), "credential": credential}); status != http.StatusNoContent {
		t.Fatalf("pasting the key again = %d %v", status, out)
	}
	if resp, body := p.post(mcpURL, app.Access, initialize); resp.StatusCode != http.StatusOK {
		t.Errorf("then a call = %d %s", resp.StatusCode, body)
	}
	if d := p.shim.Status().Damaged; len(d) > 0 {
		t.Errorf("then the status says %+v", d)
	}
}
