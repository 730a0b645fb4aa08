package shim_test

import (
	"net/http"
	"testing"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/doctor"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
)

// TestDamagedKeyRecord: a record that says whose key one is may lose any bit. The
// list, the status, the tray's overview, the page and the examination then say
// that its server needs the key. Pasting it again repairs the record, and its app
// stays connected.
func TestDamagedKeyRecord(t *testing.T) {
	for name, place := range map[string]func(slug, credential string) string{
		"a quote":            func(_, credential string) string { return `{"id":"` + credential + `","slug` },
		"the server's name":  func(_, credential string) string { return `{"id":"` + credential + `","slug":"` },
		"a quote at its end": func(slug, credential string) string { return `{"id":"` + credential + `","slug":"` + slug },
		"the name of a field": func(slug, credential string) string {
			return `{"id":"` + credential + `","slug":"` + slug + `","lab`
		},
	} {
		for _, connected := range []bool{true, false} {
			if name == "the server's name" && !connected {
				continue // nothing says whose it was
			}
			t.Run(name, func(t *testing.T) {
				p := start(t)
				p.connect()
				up, mcpURL, app := p.connect()
				_, out := p.api("GET", "/api/grants", nil)
				g := out["grants"].([]any)[1].(map[string]any)
				slug, credential := g["slug"].(string), g["credential"].(string)
				if !connected {
					if status, _ := p.api("DELETE", "/api/grants/"+g["id"].(string), nil); status != http.StatusNoContent {
						t.Fatalf("disconnecting = %d", status)
					}
					if status, out := p.api("PUT", "/api/slugs/"+slug+"/key", map[string]any{"api_key": up.Key()}); status != http.StatusNoContent {
						t.Fatalf("pasting a key of the owner's = %d %v", status, out)
					}
					credential = p.slugs()[1]["credentials"].([]any)[0].(map[string]any)["id"].(string)
				}
				whose := p.slugs()[1]["credentials"].([]any)[0].(map[string]any)["for"]
				p.stop()
				p.flip(place(slug, credential))
				http.DefaultClient.CloseIdleConnections()
				p = startIn(t, p.dir, p.addr)

				trouble := endpoint.TroubleDamaged
				for _, server := range p.slugs() {
					want := api.EndpointOK
					if server["slug"] == slug {
						want = api.EndpointKeyNeeded
					}
					if server["state"] != want {
						t.Errorf("the list says %v of %v, want %v", server["state"], server["slug"], want)
					}
					keys := server["credentials"].([]any)
					if len(keys) != 1 {
						t.Fatalf("the list has %v of %v", keys, server["slug"])
					}
					key := keys[0].(map[string]any)
					if server["slug"] == slug && (key["id"] != credential || key["label"] == "" || key["state"] != api.CredentialKeyNeeded || key["words"] != problem.Join(trouble.Words(), trouble.Next())) {
						t.Errorf("the list says of the key %v", key)
					}
				}
				st := p.shim.Status()
				if len(st.Damaged) != 1 || st.Damaged[0].Kind != api.DamagedKey || st.Damaged[0].ID != credential || st.Damaged[0].Slug != slug || st.Damaged[0].Server == "" {
					t.Fatalf("the status says %+v", st.Damaged)
				}
				o, err := p.shim.Overview()
				if err != nil || o.Endpoints[1].Slug != slug || o.Endpoints[1].State != api.EndpointKeyNeeded || o.Endpoints[1].Why != problem.Join(trouble.Words(), trouble.Next()) {
					t.Errorf("the tray is told %+v, %v", o.Endpoints, err)
				}
				b := p.owner()
				if page := b.Open("/servers/" + slug); page.Status != http.StatusOK {
					t.Errorf("the page = %d", page.Status)
				}
				b.Submit(b.Form(b.Open("/check"), "/check"), nil)
				waitFor(t, "the examination of the key", func() bool {
					_, report := p.api("GET", "/api/doctor", nil)
					findings, _ := report["findings"].([]any)
					for _, f := range findings {
						if f := f.(map[string]any); f["id"] == "servers."+slug+"."+credential {
							return f["state"] == api.FindingFailed && f["words"] == trouble.Words() && f["next"] == doctor.NextPaste && report["ok"] != true
						}
					}
					return false
				})

				page := b.Submit(b.Form(b.Open("/servers/"+slug+"/key"), "/servers/"+slug+"/key"), map[string]string{"api_key": up.Key()})
				if page.Status != http.StatusOK {
					t.Errorf("pasting the key again = %d", page.Status)
				}
				for range 2 {
					if d := p.shim.Status().Damaged; len(d) > 0 {
						t.Errorf("then the status says %+v", d)
					}
					server := p.slugs()[1]
					if keys := server["credentials"].([]any); server["state"] != api.EndpointOK || len(keys) != 1 || keys[0].(map[string]any)["id"] != credential || keys[0].(map[string]any)["for"] != whose {
						t.Errorf("then the list says %v", server)
					}
					if connected {
						if resp, body := p.post(mcpURL, app.Access, initialize); resp.StatusCode != http.StatusOK {
							t.Errorf("then a call = %d %s", resp.StatusCode, body)
						}
					}
					p = p.restart()
				}
			})
		}
	}
}
