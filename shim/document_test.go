package shim_test

import (
	"context"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/display"
	"github.com/key2oauth/key2oauth/shim/internal/cimd"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// startWith runs a shim and adds an endpoint. srv stands in for every host that
// serves a client's document.
func startWith(t *testing.T, srv *shimtest.Documents) (p *program, up *shimtest.Upstream, mcpURL string) {
	t.Helper()
	p = start(t)
	p.shim.SetDocumentTransport(srv.Transport())
	up = shimtest.NewUpstream(t, shimtest.Options{})
	_, mcpURL = p.add(up.URL, nil)
	return p, up, mcpURL
}

func (p *program) documentClient(id, redirect, resource string) *shimtest.OAuthClient {
	c := shimtest.NewDocumentClient(p.t, p.origin, id, redirect)
	c.Resource = resource
	return c
}

// verifiedMark begins the mark of an app that came with the program.
const verifiedMark = `<span class="tag">&#10003; `

// TestC01VendorClients signs in each well-known client with its own document.
func TestC01VendorClients(t *testing.T) {
	srv := shimtest.NewDocuments(t)
	p, up, mcpURL := startWith(t, srv)
	for _, d := range shimtest.VendorDocuments(t) {
		srv.Publish(d.Document, "Cache-Control", "no-store")
		t.Run("C01 A16 "+d.ID(), func(t *testing.T) {
			c := p.documentClient(d.ID(), d.Redirect(), mcpURL)
			b := p.browser()
			page := b.Open(c.AuthorizeURL())
			host := strings.Split(d.ID(), "/")[2]
			name := d.Document["client_name"].(string)
			says := []string{"<strong>" + host + "</strong>", web.Text("consent.claim", display.Quote(name))}
			if cimd.App(name, d.ID()).Known {
				says = []string{"<strong>" + name + "</strong>", verifiedMark + web.Text("consent.verified.by", host)}
			}
			for _, want := range says {
				if !strings.Contains(page.Body, want) {
					t.Errorf("the consent page lacks %q:\n%s", want, page.Body)
				}
			}
			done := b.Submit(b.Form(page, page.URL.Path), map[string]string{"api_key": up.Key(), "action": "approve"})
			if !strings.HasPrefix(done.Location, d.Redirect()) {
				t.Fatalf("approval leads to %q with %d, want %s", done.Location, done.Status, d.Redirect())
			}
			if status, body := c.Redeem(c.CodeFrom(done.Location)); status != http.StatusOK {
				t.Fatalf("POST /token = %d %v", status, body)
			}
			if status, body := c.DoRefresh(c.Refresh); status != http.StatusOK {
				t.Fatalf("refresh = %d %v", status, body)
			}
			if got := toolCount(t, session(t, mcpURL, c.Access)); got != shimtest.Tools {
				t.Errorf("got %d tools, want %d", got, shimtest.Tools)
			}
		})
	}
}

const clientID = "https://client.example/oauth/client.json"

func clientDocument() map[string]any {
	return map[string]any{
		"client_id": clientID, "client_name": "Sample", "redirect_uris": []string{"https://client.example/cb"},
		"token_endpoint_auth_method": "none",
	}
}

func TestC07Fetches(t *testing.T) {
	srv := shimtest.NewDocuments(t)
	p, up, mcpURL := startWith(t, srv)
	srv.Publish(clientDocument(), "Cache-Control", "no-store")
	c := p.documentClient(clientID, "https://client.example/cb", mcpURL)
	fetched := func(when string, want int) {
		t.Helper()
		if n := srv.Fetches(); n != want {
			t.Fatalf("%s: %d fetches, want %d", when, n, want)
		}
	}

	resp, err := http.DefaultTransport.RoundTrip(must(http.NewRequest("GET", c.AuthorizeURL(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	consent := resp.Header.Get("Location")
	if !strings.HasPrefix(consent, p.origin+"/consent/") {
		t.Fatalf("/authorize leads to %q with %d", consent, resp.StatusCode)
	}
	fetched("after /authorize", 0)

	b := p.browser()
	path := strings.TrimPrefix(consent, p.origin)
	forged := b.FormRequest(shimtest.Form{Action: path}, map[string]string{"api_key": up.Key(), "action": "deny"})
	if page := b.Do(forged); page.Status != http.StatusGone || page.Location != "" {
		t.Errorf("a form that no page had = %d %q, want 410", page.Status, page.Location)
	}
	image := must(http.NewRequest("GET", consent, nil))
	image.Header.Set("Sec-Fetch-Dest", "image")
	if page := b.Do(image); page.Status != http.StatusForbidden {
		t.Errorf("the consent page as an image = %d, want 403", page.Status)
	}
	fetched("without a person", 0)

	page := b.Open(consent)
	fetched("at the consent page", 1)
	for _, u := range []string{consent, c.AuthorizeURL(), c.AuthorizeURL()} {
		page = b.Open(u)
	}
	fetched("after reloads", 1)
	done := b.Submit(b.Form(page, page.URL.Path), map[string]string{"api_key": up.Key(), "action": "approve"})
	code := c.CodeFrom(done.Location)

	// Nothing from here on may need the document.
	p = p.restart()
	p.shim.SetDocumentTransport(srv.Transport())
	if status, body := c.Redeem(code); status != http.StatusOK {
		t.Fatalf("POST /token after a restart = %d %v", status, body)
	}
	p = p.restart()
	p.shim.SetDocumentTransport(srv.Transport())
	if status, body := c.DoRefresh(c.Refresh); status != http.StatusOK {
		t.Fatalf("refresh after a restart = %d %v", status, body)
	}
	if got := toolCount(t, session(t, mcpURL, c.Access)); got != shimtest.Tools {
		t.Errorf("got %d tools, want %d", got, shimtest.Tools)
	}
	if status, body := c.DoRefresh("k2o_rt_unknown"); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
		t.Errorf("an unknown refresh token of a known client = %d %v, want invalid_grant", status, body)
	}
	stranger := p.documentClient("https://stranger.example/c", c.Redirect, mcpURL)
	if status, body := stranger.DoRefresh(c.Refresh); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
		t.Errorf("a client that no grant knows = %d %v, want invalid_grant like any other", status, body)
	}
	if status, _ := c.PostForm("/revoke", url.Values{"client_id": {c.ID}, "token": {c.Refresh}}); status != http.StatusOK {
		t.Errorf("POST /revoke = %d, want 200", status)
	}
	fetched("for tokens", 1)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestC05BadDocuments(t *testing.T) {
	srv := shimtest.NewDocuments(t)
	p, up, mcpURL := startWith(t, srv)
	doc := clientDocument()
	doc["client_id"] = "https://client.example/oauth/other.json"
	srv.Publish(doc)
	srv.Handle(clientID, http.RedirectHandler("https://client.example/oauth/other.json", http.StatusFound))
	words := ""
	for _, tt := range []struct{ name, id, redirect string }{
		{"C05 redirect", clientID, "https://client.example/cb"},
		{"C05 not found", "https://client.example/none", "https://client.example/cb"},
		{"C05 another redirect URI", "https://client.example/oauth/other.json", "https://evil.example/cb"},
		{"C09 dot segments", "https://client.example/a/../oauth/other.json", "https://client.example/cb"},
		{"C09 http", "http://client.example/oauth/other.json", "https://client.example/cb"},
		{"C03 an address", "https://127.0.0.1/oauth/other.json", "https://client.example/cb"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := p.documentClient(tt.id, tt.redirect, mcpURL)
			page := p.browser().Open(c.AuthorizeURL())
			if page.Status != http.StatusBadRequest || page.Location != "" || len(page.Forms) > 0 || strings.Contains(page.Body, `href="https://`) {
				t.Errorf("got %d %q, want a page that leads nowhere:\n%s", page.Status, page.Location, page.Body)
			}
			if strings.HasPrefix(tt.name, "C05") && tt.redirect == "https://client.example/cb" {
				_, rest, _ := strings.Cut(page.Body, "<h1")
				rest, _, _ = strings.Cut(rest, "</main>")
				if words != "" && words != rest {
					t.Errorf("the page tells what went wrong:\n%s\n%s", words, rest)
				}
				words = rest
			}
		})
	}
	t.Run("C05 a reload helps when the document is there again", func(t *testing.T) {
		c := p.documentClient(clientID, "https://client.example/cb", mcpURL)
		b := p.browser()
		page := b.Open(c.AuthorizeURL())
		srv.Publish(clientDocument())
		page = b.Open(page.URL.String())
		c.CodeFrom(b.Submit(b.Form(page, page.URL.Path), map[string]string{"api_key": up.Key(), "action": "approve"}).Location)
	})
	t.Run("C06 then the document is gone, and a copy is used", func(t *testing.T) {
		srv.Handle(clientID, nil)
		p.documentClient(clientID, "https://client.example/cb", mcpURL).Connect(p.browser(), up.Key())
	})
	t.Run("C06 a document that came with the program", func(t *testing.T) {
		c := p.documentClient("https://claude.ai/oauth/mcp-oauth-client-metadata", "https://claude.ai/api/mcp/auth_callback", mcpURL)
		c.Connect(p.browser(), up.Key())
	})
}

// TestD04Advertised: clients are told that documents are supported, and that a
// client needs no secret.
func TestD04Advertised(t *testing.T) {
	p := start(t)
	req := must(http.NewRequest("GET", p.origin+"/.well-known/oauth-authorization-server", nil))
	status, doc := p.send(req)
	if status != http.StatusOK || doc["client_id_metadata_document_supported"] != true {
		t.Errorf("metadata = %d %v, want client_id_metadata_document_supported", status, doc)
	}
	if methods, _ := doc["token_endpoint_auth_methods_supported"].([]any); !slices.Contains(methods, any("none")) {
		t.Errorf("token_endpoint_auth_methods_supported is %q, want none among them", methods)
	}
}

// TestUnreachableDocuments: if no one can be asked who a client is, an app on
// this computer goes on as one that only says who it is, like an app that
// registers itself. Every other answer waits until the document can be read.
func TestUnreachableDocuments(t *testing.T) {
	const (
		id, host = "https://client.example/oauth/client.json", "client.example"
		loopback = "http://127.0.0.1:54321/callback"
		codex    = "https://chatgpt.com/oauth/codex/client.json"
		copilot  = "https://github.com/copilot/cli/client-metadata.json"
	)
	ln := must(net.Listen("tcp", "127.0.0.1:0"))
	nowhere := ln.Addr().String()
	ln.Close()
	down := &http.Transport{DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", nowhere)
	}}
	status := func(code int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
	for _, tt := range []struct {
		name, id, redirect string
		answer             http.Handler // of the document's host; nil if it is down
		says               string       // on the page
		goesOn, known      bool
	}{
		{"down, an app on this computer", id, loopback, nil, web.Text("consent.unchecked.2", display.Quote(host)), true, false},
		{"down, localhost", id, "http://localhost:54321/callback", nil, web.Text("consent.unchecked.2", display.Quote(host)), true, false},
		{"outage, an app on this computer", id, loopback, status(503), web.Text("consent.unchecked.2", display.Quote(host)), true, false},
		{"challenge for browsers, an app on this computer", id, loopback, status(403), web.Text("consent.unchecked.2", display.Quote(host)), true, false},
		{"no document, an app on this computer", id, loopback, status(404), html.EscapeString(oauth.TextNoDocument), false, false},
		{"down, a website", id, "https://client.example/cb", nil, fmt.Sprintf(oauth.TextUnreachable, host), false, false},
		{"down, a link", id, "cursor://anysphere.cursor-mcp/oauth/callback", nil, fmt.Sprintf(oauth.TextUnreachable, host), false, false},
		{"down, Codex", codex, loopback, nil, verifiedMark, true, true},
		{"down, Copilot CLI", copilot, "http://127.0.0.1:60005/", nil, verifiedMark, true, true},
		{"down, Codex at an address of later", codex, "http://127.0.0.1:54321/callback/later", nil, web.Text("consent.unchecked.2", display.Quote("chatgpt.com")), true, false},
		{"down, Codex at a website", codex, "https://evil.example/callback", nil, fmt.Sprintf(oauth.TextUnreachable, "chatgpt.com"), false, false},
	} {
		t.Run("C05 "+tt.name, func(t *testing.T) {
			srv := shimtest.NewDocuments(t)
			p, up, mcpURL := startWith(t, srv)
			if tt.answer == nil {
				p.shim.SetDocumentTransport(down)
			} else {
				srv.Handle(tt.id, tt.answer)
			}
			c := p.documentClient(tt.id, tt.redirect, mcpURL)
			b := p.browser()
			page := b.Open(c.AuthorizeURL())
			if !strings.Contains(page.Body, tt.says) {
				t.Errorf("the page (%d) does not say %q:\n%s", page.Status, tt.says, page.Body)
			}
			if !tt.goesOn {
				if page.Status != http.StatusBadRequest || page.Location != "" || len(page.Forms) > 0 || strings.Contains(page.Body, `href="http`) {
					t.Errorf("got %d %q, want a page that leads nowhere", page.Status, page.Location)
				}
				return
			}
			if got := strings.Contains(page.Body, verifiedMark); got != tt.known {
				t.Errorf("the page has the mark of a verified app: %t, want %t", got, tt.known)
			}
			c.Connect(p.browser(), up.Key())
			if status, body := c.DoRefresh(c.Refresh); status != http.StatusOK {
				t.Fatalf("refresh = %d %v", status, body)
			}
			_, out := p.api("GET", "/api/grants", nil)
			app := out["grants"].([]any)[0].(map[string]any)["app"].(string)
			if got := strings.HasPrefix(app, "\u201c"); got == tt.known {
				t.Errorf("the app is listed as %s, known: %t", app, tt.known)
			}
		})
	}
	t.Run("C05 a reload asks again", func(t *testing.T) {
		srv := shimtest.NewDocuments(t)
		p, up, mcpURL := startWith(t, srv)
		srv.Handle(id, status(503))
		c := p.documentClient(id, loopback, mcpURL)
		b := p.browser()
		page := b.Open(c.AuthorizeURL())
		srv.Publish(map[string]any{"client_id": id, "client_name": "Sample", "redirect_uris": []string{"http://127.0.0.1/callback"}, "token_endpoint_auth_method": "none"})
		page = b.Open(page.URL.String())
		if !strings.Contains(page.Body, "<strong>"+host+"</strong>") || strings.Contains(page.Body, web.Text("consent.unchecked")) {
			t.Errorf("the page does not name the host:\n%s", page.Body)
		}
		c.CodeFrom(b.Submit(b.Form(page, page.URL.Path), map[string]string{"api_key": up.Key(), "action": "approve"}).Location)

		// What the document says then counts.
		evil := p.documentClient(id, "http://127.0.0.1:54321/other", mcpURL)
		if page := b.Open(evil.AuthorizeURL()); page.Status != http.StatusBadRequest {
			t.Errorf("an address that is not in the document = %d, want 400", page.Status)
		}
	})
}
