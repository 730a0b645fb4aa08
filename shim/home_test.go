package shim_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/proxy"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestHomeForms does with the owner's forms what the admin API does.
func TestHomeForms(t *testing.T) {
	p := start(t)
	b := p.owner()
	up := shimtest.NewUpstream(t, shimtest.Options{})
	submit := func(action string, values map[string]string) *shimtest.Page {
		t.Helper()
		return b.Submit(b.Form(b.Open("/servers/add"), action), values)
	}
	slugs := func() []any {
		_, out := p.api("GET", "/api/slugs", nil)
		return out["slugs"].([]any)
	}

	t.Run("a wrong key keeps the form", func(t *testing.T) {
		page := submit("/servers", map[string]string{"upstream_url": up.URL, "api_key": "sk-wrong", "display_name": "Weather"})
		if page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Body, up.URL) || strings.Contains(page.Body, "sk-wrong") {
			t.Errorf("got %d; the URL should still be in the form, and the key nowhere", page.Status)
		}
		if len(slugs()) != 0 {
			t.Error("an endpoint was made with a wrong key")
		}
	})
	t.Run("a web page can be added anyway, with the key that was pasted", func(t *testing.T) {
		up.Break(shimtest.HTML())
		defer up.Break(nil)
		page := submit("/servers", map[string]string{"upstream_url": up.URL, "api_key": up.Key()})
		form := b.Form(page, "/servers")
		if page.Status != http.StatusUnprocessableEntity || strings.Contains(page.Body, up.Key()) {
			t.Fatalf("got %d", page.Status)
		}
		if page = b.Submit(form, map[string]string{"upstream_url": up.URL, "force": "1"}); page.Status != http.StatusOK {
			t.Fatalf("added anyway: %d", page.Status)
		}
		o := slugs()[0].(map[string]any)
		if len(o["credentials"].([]any)) != 1 {
			t.Errorf("the key was lost: %v", o)
		}
		p.api("DELETE", "/api/slugs/"+o["slug"].(string), nil)
	})
	t.Run("a pasted mcp.json fills the form", func(t *testing.T) {
		page := submit("/servers", map[string]string{"upstream_url": `{"mcpServers":{"forecast":{"url":"` + up.URL + `","headers":{"Authorization":"Bearer ` + up.Key() + `"}}}}`})
		if page.Status != http.StatusOK || !strings.Contains(page.Body, up.URL) || !strings.Contains(page.Body, "forecast") || strings.Contains(page.Body, up.Key()) {
			t.Fatalf("got %d; want URL and name in the form, and the key not in the page", page.Status)
		}
		values := map[string]string{"upstream_url": up.URL, "display_name": "forecast"}
		if page = b.Submit(b.Form(page, "/servers"), values); page.Status != http.StatusOK {
			t.Fatalf("adding what was filled in: %d", page.Status)
		}
		if o := slugs()[0].(map[string]any); o["state"] != "ok" || o["display_name"] != "forecast" {
			t.Errorf("added %v", o)
		}
	})
	slug := slugs()[0].(map[string]any)["slug"].(string)
	edit, page := "/servers/"+slug+"/edit", "/servers/"+slug

	t.Run("rename", func(t *testing.T) {
		f := b.Form(b.Open(edit), edit)
		page := b.Submit(f, map[string]string{"upstream_url": up.URL, "display_name": "Forecast <b>", "auth_header_name": "Authorization", "auth_header_prefix": "Bearer "})
		if page.Status != http.StatusOK || !strings.Contains(page.Body, "Forecast &lt;b&gt;") || strings.Contains(page.Body, "Forecast <b>") {
			t.Errorf("rename: %d", page.Status)
		}
		if o := slugs()[0].(map[string]any); o["display_name"] != "Forecast <b>" || o["state"] != "ok" {
			t.Errorf("renamed to %v", o)
		}
	})
	t.Run("a header that cannot be", func(t *testing.T) {
		page := b.Submit(b.Form(b.Open(edit), edit), map[string]string{"upstream_url": up.URL, "display_name": "F", "auth_header_name": "Transfer-Encoding"})
		if page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Body, "Transfer-Encoding") {
			t.Errorf("got %d", page.Status)
		}
	})
	t.Run("replace the key", func(t *testing.T) {
		up.SetKey("sk-new-key")
		action := page + "/key"
		if page := b.Submit(b.Form(b.Open(action), action), map[string]string{"api_key": "sk-still-wrong"}); page.Status != http.StatusUnprocessableEntity {
			t.Errorf("a wrong key: %d", page.Status)
		}
		if page := b.Submit(b.Form(b.Open(action), action), map[string]string{"api_key": "sk-new-key"}); page.Status != http.StatusOK {
			t.Errorf("the right key: %d\n%s", page.Status, page.Body)
		}
		if o := slugs()[0].(map[string]any); len(o["credentials"].([]any)) != 1 || o["state"] != "ok" {
			t.Errorf("after the replacement: %v", o)
		}
	})
	t.Run("the same server with another key", func(t *testing.T) {
		old := up.Key()
		up.SetKey("sk-private")
		defer up.SetKey(old)
		action := page + "/again"
		if page := b.Submit(b.Form(b.Open(action), action), map[string]string{"api_key": "sk-wrong-too", "display_name": "Private"}); page.Status != http.StatusUnprocessableEntity {
			t.Errorf("a wrong key: %d", page.Status)
		}
		if page := b.Submit(b.Form(b.Open(action), action), map[string]string{"api_key": "sk-private", "display_name": "Private"}); page.Status != http.StatusOK || len(slugs()) != 2 {
			t.Fatalf("added again: %d", page.Status)
		}
		o := slugs()[1].(map[string]any)
		if o["upstream_url"] != up.URL || o["display_name"] != "Private" || o["state"] != "ok" || o["slug"] == slug {
			t.Errorf("added %v", o)
		}
		p.api("DELETE", "/api/slugs/"+o["slug"].(string), nil)
	})
	t.Run("revoke", func(t *testing.T) {
		c := p.client(p.origin + "/" + slug + "/mcp")
		c.Connect(p.browser(), up.Key())
		_, out := p.api("GET", "/api/grants", nil)
		action := "/grants/" + out["grants"].([]any)[0].(map[string]any)["id"].(string) + "/revoke"
		if !strings.Contains(b.Open(page).Body, action) {
			t.Error("the server's page does not offer to revoke")
		}
		if page := b.Submit(b.Form(b.Open(action), action), nil); page.Status != http.StatusOK {
			t.Errorf("revoke: %d", page.Status)
		}
		if resp, _ := p.post(c.Resource, c.Access, initialize); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("call after Revoke = %d, want 401", resp.StatusCode)
		}
	})
	t.Run("delete", func(t *testing.T) {
		action := page + "/delete"
		confirm := b.Open(action)
		if len(slugs()) != 1 {
			t.Fatal("looking at the confirmation deleted the endpoint")
		}
		b.Submit(b.Form(confirm, action), nil)
		if len(slugs()) != 0 {
			t.Error("Delete deleted nothing")
		}
	})
	t.Run("restore and delete for good", func(t *testing.T) {
		const deleted = "/servers/deleted"
		if home := b.Open("/"); !strings.Contains(home.Body, `href="`+deleted+`"`) {
			t.Error("the first page does not lead to what was deleted")
		}
		restored := b.Submit(b.Form(b.Open(deleted), deleted), map[string]string{"slug": slug})
		if restored.URL.Path != page || len(slugs()) != 1 || slugs()[0].(map[string]any)["slug"] != slug || slugs()[0].(map[string]any)["state"] != "ok" {
			t.Fatalf("restored to %s: %v", restored.URL.Path, slugs())
		}
		c := p.client(p.origin + "/" + slug + "/mcp")
		c.Connect(p.browser(), up.Key())
		p.api("DELETE", "/api/slugs/"+slug, nil)
		if resp, _ := p.post(c.Resource, c.Access, initialize); resp.StatusCode == http.StatusOK {
			t.Error("an app goes on after the server was deleted by the API")
		}
		if gone := b.Submit(b.Form(b.Open(deleted), deleted), map[string]string{"slug": slug, "action": "forget"}); gone.Status != http.StatusOK {
			t.Errorf("deleting for good: %d", gone.Status)
		}
		if left := b.Open(deleted); strings.Contains(left.Body, slug) {
			t.Error("it is still listed")
		}
	})
}

// TestP08KeyRepair rejects a key and replaces it while a client is connected.
// The client must see no more than an error from a tool.
func TestP08KeyRepair(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, mcpURL := p.add(up.URL, map[string]any{"api_key": up.Key()})
	c := p.client(mcpURL)
	_, obj := p.api("GET", "/api/slugs/"+slug, nil)
	saved := obj["credentials"].([]any)[0].(map[string]any)["id"].(string)
	page := p.owner().Consent(c.AuthorizeURL(), map[string]string{"credential": saved, "action": "approve"})
	if status, body := c.Redeem(c.CodeFrom(page.Location)); status != http.StatusOK {
		t.Fatalf("POST /token = %d %v", status, body)
	}
	const call = `{"jsonrpc":"2.0","id":"c-1","method":"tools/call","params":{"name":"echo","arguments":{}}}`

	up.SetKey("sk-rotated")
	resp, body := p.post(mcpURL, c.Access, call)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("WWW-Authenticate") != "" || !strings.Contains(body, `"id":"c-1"`) || !strings.Contains(body, `"isError":true`) || !strings.Contains(body, proxy.TextRejected) {
		t.Fatalf("tools/call with a dead key = %d %s", resp.StatusCode, body)
	}
	waitFor(t, "the endpoint to read rejected", func() bool {
		_, obj := p.api("GET", "/api/slugs/"+slug, nil)
		return obj["state"] == "rejected"
	})
	if st := p.shim.Status(); st.Rejected != 1 {
		t.Errorf("status counts %d rejected keys, want 1", st.Rejected)
	}
	if status, _ := c.DoRefresh(c.Refresh); status != http.StatusOK {
		t.Errorf("refresh with a dead API key = %d, want 200: the grant lives on", status)
	}
	if status, out := p.api("PUT", "/api/slugs/"+slug+"/key", map[string]any{"api_key": "sk-rotated"}); status != http.StatusNoContent {
		t.Fatalf("PUT of the new key = %d %v", status, out)
	}
	if got := toolCount(t, session(t, mcpURL, c.Access)); got != shimtest.Tools {
		t.Errorf("the next call after the new key: %d tools, want %d", got, shimtest.Tools)
	}
}

// TestP08OtherWords lets a key die in other words than 401. The app gets them,
// and the owner is told.
func TestP08OtherWords(t *testing.T) {
	for _, answer := range []shimtest.Fault{
		shimtest.Status(403, `{"message":"Forbidden"}`),
		shimtest.Status(400, "Invalid API key"),
		shimtest.Status(200, `{"jsonrpc":"2.0","id":"c-1","error":{"code":-32000,"message":"Unauthorized: invalid API key"}}`),
	} {
		p := start(t)
		up := shimtest.NewUpstream(t, shimtest.Options{})
		slug, mcpURL := p.add(up.URL, map[string]any{"api_key": up.Key()})
		c := p.client(mcpURL)
		_, obj := p.api("GET", "/api/slugs/"+slug, nil)
		saved := obj["credentials"].([]any)[0].(map[string]any)["id"].(string)
		page := p.owner().Consent(c.AuthorizeURL(), map[string]string{"credential": saved, "action": "approve"})
		if status, body := c.Redeem(c.CodeFrom(page.Location)); status != http.StatusOK {
			t.Fatalf("POST /token = %d %v", status, body)
		}
		const call = `{"jsonrpc":"2.0","id":"c-1","method":"tools/call","params":{"name":"echo","arguments":{}}}`
		up.Break(answer)
		p.post(mcpURL, c.Access, call)
		waitFor(t, "the endpoint to read rejected", func() bool {
			_, obj := p.api("GET", "/api/slugs/"+slug, nil)
			return obj["state"] == "rejected"
		})
		up.Reset()
		if _, body := p.post(mcpURL, c.Access, call); !strings.Contains(body, proxy.TextRejected) {
			t.Errorf("the next call = %s", body)
		}
		if n := len(up.Requests()); n != 0 {
			t.Errorf("the server got %d more requests, want none for half a minute", n)
		}
		up.Break(nil)
		if status, out := p.api("PUT", "/api/slugs/"+slug+"/key", map[string]any{"api_key": up.Key()}); status != http.StatusNoContent {
			t.Fatalf("PUT of the key = %d %v", status, out)
		}
		if got := toolCount(t, session(t, mcpURL, c.Access)); got != shimtest.Tools {
			t.Errorf("the next call after the paste: %d tools, want %d", got, shimtest.Tools)
		}
	}
}
