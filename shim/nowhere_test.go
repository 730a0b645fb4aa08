package shim_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// TestPeopleGetPages: wherever a person ends up, the answer is a page, and an
// app that asks for the same gets what it got before. Only the body differs.
func TestPeopleGetPages(t *testing.T) {
	p := startPublic(t)
	slug, _ := p.add("http://127.0.0.1:1/mcp", nil)
	nowhere, address, locked := "<h1>"+web.Text("nowhere.h1"), "<h1>"+web.Text("address.h1"), "<h1>"+web.Text("owner.title")
	both := map[string]struct {
		status int
		says   string
	}{
		"/nowhere":                    {http.StatusNotFound, nowhere},
		"/nowhere/":                   {http.StatusNotFound, nowhere},
		"//nowhere":                   {http.StatusNotFound, nowhere},
		"/a/%2e%2e/nowhere":           {http.StatusNotFound, nowhere},
		"/k3v9x0q2m7ab/mcp":           {http.StatusNotFound, nowhere}, // no server's
		"/" + slug + "/nowhere":       {http.StatusNotFound, nowhere},
		"/.well-known/nowhere":        {http.StatusNotFound, nowhere},
		"/token":                      {http.StatusMethodNotAllowed, address},
		"/register/":                  {http.StatusMethodNotAllowed, address},
		"/revoke":                     {http.StatusMethodNotAllowed, address},
		"/" + slug + "/mcp":           {http.StatusUnauthorized, address},
		"/" + slug + "/":              {http.StatusUnauthorized, address},
		"/" + slug + "/mcp/somewhere": {http.StatusUnauthorized, address},
	}
	check := func(t *testing.T, get func(path, accept string) (*http.Response, string), path string, status int, says string) {
		t.Helper()
		resp, body := get(path, "text/html,application/xhtml+xml,*/*;q=0.8")
		if got := resp.Header.Get("Content-Type"); resp.StatusCode != status || got != "text/html; charset=utf-8" || !strings.Contains(body, says) {
			t.Errorf("GET %s as a person = %d %s, want %d and the page that says %q:\n%s", path, resp.StatusCode, got, status, says, body)
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || resp.Header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("GET %s as a person may be framed: %q", path, csp)
		}
		if strings.Contains(body, slug) {
			t.Errorf("the page at %s names a server", path)
		}
		app, body := get(path, "*/*")
		if got := app.Header.Get("Content-Type"); app.StatusCode != status || got != "application/json" || strings.Contains(body, "<") {
			t.Errorf("GET %s as an app = %d %s, want %d and JSON:\n%s", path, app.StatusCode, got, status, body)
		}
		for _, name := range []string{"WWW-Authenticate", "Allow", "Cache-Control"} {
			if a, b := resp.Header.Get(name), app.Header.Get(name); a != b {
				t.Errorf("GET %s: %s is %q for a person and %q for an app", path, name, a, b)
			}
		}
	}
	local := func(path, accept string) (*http.Response, string) {
		req := must(http.NewRequest("GET", p.origin+path, nil))
		req.Header.Set("Accept", accept)
		return p.exchange(http.DefaultTransport, req)
	}
	public := func(path, accept string) (*http.Response, string) { return p.get(path, "Accept", accept) }
	for path, want := range both {
		t.Run("local"+path, func(t *testing.T) { check(t, local, path, want.status, want.says) })
		t.Run("public"+path, func(t *testing.T) { check(t, public, path, want.status, want.says) })
	}
	for path, want := range map[string]struct {
		status int
		says   string
	}{
		"/":                                     {http.StatusNotFound, nowhere},
		"/settings":                             {http.StatusNotFound, nowhere},
		"/api/status":                           {http.StatusNotFound, nowhere},
		"/authorize/x/y":                        {http.StatusNotFound, nowhere},
		"/.well-known/key2oauth/x":              {http.StatusNotFound, nowhere},
		"/.well-known/oauth-protected-resource": {http.StatusNotFound, nowhere},
		"/.well-known/oauth-protected-resource/x": {http.StatusNotFound, nowhere},
	} {
		t.Run("public"+path, func(t *testing.T) { check(t, public, path, want.status, want.says) })
	}
	for path, want := range map[string]struct {
		status int
		says   string
	}{
		"/api/status":  {http.StatusUnauthorized, locked},
		"/api/nowhere": {http.StatusNotFound, nowhere},
	} {
		t.Run("local"+path, func(t *testing.T) { check(t, local, path, want.status, want.says) })
	}
	t.Run("another name", func(t *testing.T) {
		resp, body := p.get("/", "Host", "evil.example", "Accept", "text/html")
		if resp.StatusCode != http.StatusMisdirectedRequest || !strings.Contains(body, web.TitleFor(http.StatusMisdirectedRequest)) || strings.Contains(body, publicHost) {
			t.Errorf("got %d, want the page of a wrong address without ours:\n%s", resp.StatusCode, body)
		}
	})
	t.Run("a browser that opens an app's address", func(t *testing.T) {
		for _, page := range []string{p.browser().Open("/" + slug + "/mcp").Body, p.farBrowser(farAddr).Open("/" + slug + "/mcp").Body} {
			if !strings.Contains(page, address) || strings.Contains(page, slug) {
				t.Errorf("got another page:\n%s", page)
			}
		}
	})
	t.Run("the owner keeps the navigation", func(t *testing.T) {
		const tab = `<a href="/activity"`
		for _, path := range []string{"/nowhere", "/servers/nowhere", "/api/nowhere", "/api/status", "/k3v9x0q2m7ab/mcp", "/consent/nowhere/x"} {
			if page := p.owner().Open(path); page.Status < 400 || !strings.Contains(page.Body, nowhere) || !strings.Contains(page.Body, tab) {
				t.Errorf("the owner at %s = %d, want a page with the tabs:\n%s", path, page.Status, page.Body)
			}
			if page := p.browser().Open(path); strings.Contains(page.Body, tab) {
				t.Errorf("a stranger at %s gets the owner's tabs", path)
			}
		}
		if page := p.farBrowser(farAddr).Open("/nowhere"); strings.Contains(page.Body, tab) {
			t.Error("a stranger on the internet gets the owner's tabs")
		}
	})
	t.Run("a link that is used up", func(t *testing.T) {
		link := p.shim.OwnerLink("/")
		first, late := p.browser(), p.browser()
		form := late.Form(late.Open(link), "/open")
		first.SignIn(link)
		if page := late.Submit(form, nil); page.Status != http.StatusForbidden || !strings.Contains(page.Body, locked) || !strings.Contains(page.Body, web.Text("owner.command")) {
			t.Errorf("the second browser = %d, want to be told how to get a link:\n%s", page.Status, page.Body)
		}
		owner := p.owner()
		if page := owner.Submit(form, nil); page.Status != http.StatusForbidden || !strings.Contains(page.Body, web.Text("error.link")) || strings.Contains(page.Body, locked) {
			t.Errorf("a browser that is signed in = %d, want to be told that the link is over:\n%s", page.Status, page.Body)
		}
	})
}
