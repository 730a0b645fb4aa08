package shim_test

import (
	"html"
	"net/http"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/display"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestNamesOfApps shows what an app calls itself on every page and in every
// answer that names it: in quotation marks and cut short, so that it cannot be
// taken for a sentence of ours, or be longer than its place.
func TestNamesOfApps(t *testing.T) {
	const evil = "Zounds! Your keys leak! Call 0800 123456 now. This computer is"
	for _, tt := range []struct{ name, calls, shown string }{
		{"a sentence", evil, display.Quote(evil)},
		{"dressed up as verified", "Gnu (claude.ai)", "\u201cGnu (claude.ai)\u201d"},
		{"leaving its quotation marks", "Zebra\u201d is verified by claude.ai. \u201cY", "\u201cZebra' is verified by claude.ai. 'Y\u201d"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := startPublic(t)
			up := shimtest.NewUpstream(t, shimtest.Options{})
			slug, mcpURL := p.add(up.URL, map[string]any{"api_key": up.Key()})
			local := p.origin + "/" + slug + "/mcp"
			c := p.client(local)
			c.Register(tt.calls)
			owner := p.owner()
			page := owner.Open(c.AuthorizeURL())
			var seen int
			look := func(where, body string) {
				t.Helper()
				body = html.UnescapeString(body)
				head := tt.calls[:strings.IndexAny(tt.calls, " \u201d")]
				for i := 0; ; {
					n := strings.Index(body[i:], head)
					if n < 0 {
						return
					}
					i += n
					before, after := body[max(0, i-len("\u201c")):i], body[i:min(len(body), i+200)]
					if strings.HasPrefix(after, strings.TrimPrefix(tt.shown, "\u201c")) && before == "\u201c" {
						seen++
					} else {
						t.Errorf("%s names the app without its quotation marks: %q", where, before+after[:min(len(after), 80)])
					}
					i += len(head)
				}
			}
			look("the consent page", page.Body)
			look("the Servers page with the request", owner.Open("/").Body)
			form := owner.Form(page, page.URL.Path)
			done := owner.Submit(form, map[string]string{"credential": "new", "api_key": up.Key(), "action": "approve"})
			if status, body := c.Redeem(c.CodeFrom(done.Location)); status != http.StatusOK {
				t.Fatalf("POST /token = %d %v", status, body)
			}
			p.post(local, c.Access, initialize)
			_, out := p.api("GET", "/api/grants", nil)
			g := out["grants"].([]any)[0].(map[string]any)
			if g["app"] != tt.shown || g["client_name"] == tt.shown {
				t.Errorf("GET /api/grants: %v, want the app %s", g, tt.shown)
			}
			_, obj := p.api("GET", "/api/slugs/"+slug, nil)
			key := obj["credentials"].([]any)[0].(map[string]any)["id"].(string)
			for _, path := range []string{"/", "/activity", "/check", "/tunnel", "/grants/" + g["id"].(string) + "/revoke", "/servers/" + slug + "/keys/" + key + "/delete"} {
				look(path, owner.Open(path).Body)
			}
			if seen < 6 {
				t.Errorf("the name was seen %d times, want it in every place that names the app", seen)
			}
			o, err := p.shim.Overview()
			if err != nil || len(o.Clients) != 1 || o.Clients[0].Name != tt.shown {
				t.Errorf("the tray gets %+v, %v", o.Clients, err)
			}
			for _, a := range o.Status.Attempts {
				look("an attempt", a.Diagnosis.Words+a.Diagnosis.Next)
			}

			// Seen from the internet.
			far := p.farClient("https://claude.ai/api/mcp/auth_callback", mcpURL)
			far.Register(tt.calls)
			b := p.farBrowser(farAddr)
			first := b.Open(far.AuthorizeURL())
			look("the public page", first.Body)
			id := strings.TrimPrefix(continueLink(t, p, first), p.origin+"/consent/")
			look("the waiting page", b.Submit(b.Form(first, "/authorize/"+id), nil).Body)
			look("the Servers page with two requests", owner.Open("/").Body)
		})
	}
}

// TestDocumentIsNoTrustMark: anybody can publish a document that says "Claude".
// What it proves is its host, so that is who the app is, and the mark is for
// documents that came with the program.
func TestDocumentIsNoTrustMark(t *testing.T) {
	srv := shimtest.NewDocuments(t)
	p, up, mcpURL := startWith(t, srv)
	const id, host = "https://claude-desktop.example/oauth/client.json", "claude-desktop.example"
	srv.Publish(map[string]any{"client_id": id, "client_name": "Claude", "redirect_uris": []string{"http://localhost:3118/callback"}, "token_endpoint_auth_method": "none"})
	c := p.documentClient(id, "http://localhost:3118/callback", mcpURL)
	owner := p.owner()
	page := owner.Open(c.AuthorizeURL())
	for _, want := range []string{web.Text("consent.h1.one", host, "Weather"), "<strong>" + host + "</strong>", web.Text("consent.claim", "\u201cClaude\u201d")} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the consent page does not say %q:\n%s", want, page.Body)
		}
	}
	if strings.Contains(page.Body, verifiedMark) || strings.Contains(page.Body, ">Claude") {
		t.Errorf("the consent page says that it is Claude:\n%s", page.Body)
	}
	c.CodeFrom(owner.Submit(owner.Form(page, page.URL.Path), map[string]string{"api_key": up.Key(), "action": "approve"}).Location)
	_, out := p.api("GET", "/api/grants", nil)
	if g := out["grants"].([]any)[0].(map[string]any); g["app"] != host+", calls itself \u201cClaude\u201d" {
		t.Errorf("GET /api/grants: %v", g)
	}
	home := owner.Open("/servers/" + out["grants"].([]any)[0].(map[string]any)["slug"].(string)).Body
	if !strings.Contains(home, "<strong>"+host) || !strings.Contains(home, web.Text("consent.claim", "\u201cClaude\u201d")) || strings.Contains(home, ">Claude<") {
		t.Errorf("the server's page does not name the app by its host:\n%s", home)
	}
	o, err := p.shim.Overview()
	if err != nil || len(o.Clients) != 1 || o.Clients[0].Name != host {
		t.Errorf("the tray gets %+v, %v; want %s", o.Clients, err, host)
	}
}
