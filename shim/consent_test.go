package shim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestConnect does all that a new user does: it adds an endpoint without a key,
// registers a client, tries a wrong key and the right one, calls tools and
// restarts.
func TestConnect(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	_, mcpURL := p.add(up.URL, nil)
	c := p.client(mcpURL)
	b := p.browser()

	page := b.Open(c.AuthorizeURL())
	if page.Status != http.StatusOK || !strings.Contains(page.Body, "127.0.0.1:3118") || !strings.Contains(page.Body, "Weather") {
		t.Fatalf("consent page = %d, want the redirect host and the endpoint in\n%s", page.Status, page.Body)
	}
	form := b.Form(page, page.URL.Path)

	t.Run("A19 a wrong key is reported and the request stays open", func(t *testing.T) {
		wrong := b.Submit(form, map[string]string{"api_key": "sk-wrong-key", "action": "approve"})
		if wrong.Location != "" || !strings.Contains(wrong.Body, `name="api_key"`) {
			t.Fatalf("after a wrong key: %d %q", wrong.Status, wrong.Location)
		}
		if strings.Contains(wrong.Body, "sk-wrong-key") {
			t.Error("the page repeats the key")
		}
		form = b.Form(wrong, page.URL.Path)
	})
	ok := b.Submit(form, map[string]string{"api_key": " Bearer " + up.Key() + "\n", "action": "approve"})
	if ok.Status != http.StatusSeeOther {
		t.Fatalf("after the right key: %d\n%s", ok.Status, ok.Body)
	}
	code := c.CodeFrom(ok.Location)
	if status, body := c.Redeem(code); status != http.StatusOK {
		t.Fatalf("POST /token = %d %v", status, body)
	}
	if got := toolCount(t, session(t, mcpURL, c.Access)); got != shimtest.Tools {
		t.Errorf("tools/list through the shim: got %d tools, want %d", got, shimtest.Tools)
	}

	p = p.restart()
	if got := toolCount(t, session(t, mcpURL, c.Access)); got != shimtest.Tools {
		t.Errorf("after a restart: got %d tools, want %d", got, shimtest.Tools)
	}
	if status, body := c.DoRefresh(c.Refresh); status != http.StatusOK {
		t.Errorf("refresh after a restart = %d %v", status, body)
	}
	if got := toolCount(t, session(t, mcpURL, c.Access)); got != shimtest.Tools {
		t.Errorf("with the refreshed token: got %d tools, want %d", got, shimtest.Tools)
	}
	for _, secret := range []string{up.Key(), c.Access, c.Refresh, code, c.State, "sk-wrong-key"} {
		if strings.Contains(p.log.String(), secret) {
			t.Errorf("the log contains a secret")
		}
	}
}

func TestConsentAnswers(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, mcpURL := p.add(up.URL, nil)

	t.Run("A05 the way back is a 303", func(t *testing.T) {
		c := p.client(mcpURL)
		page := p.browser().Consent(c.AuthorizeURL(), map[string]string{"api_key": up.Key(), "action": "approve"})
		if page.Status != http.StatusSeeOther {
			t.Errorf("got %d, want 303: a 307 would send the form to the client", page.Status)
		}
		c.CodeFrom(page.Location)
	})
	t.Run("A14 deny goes back with access_denied, state and iss", func(t *testing.T) {
		c := p.client(mcpURL)
		page := p.browser().Consent(c.AuthorizeURL(), map[string]string{"action": "deny"})
		u, err := url.Parse(page.Location)
		if err != nil || page.Location == "" {
			t.Fatalf("deny: %d %q", page.Status, page.Location)
		}
		q := u.Query()
		if q.Get("error") != "access_denied" || q.Get("state") != c.State || q.Get("iss") != p.origin || q.Has("code") {
			t.Errorf("deny leads to %q", page.Location)
		}
		if again := p.browser().Open(page.URL.String()); again.Status != http.StatusGone {
			t.Errorf("the page of a denied request = %d, want 410", again.Status)
		}
	})
	t.Run("A09 the same authorization URL works again and again", func(t *testing.T) {
		c := p.client(mcpURL)
		b := p.browser()
		var page *shimtest.Page
		for range 3 {
			page = b.Open(c.AuthorizeURL())
			page = b.Open(page.URL.String())
		}
		c.CodeFrom(b.Submit(b.Form(page, page.URL.Path), map[string]string{"api_key": up.Key(), "action": "approve"}).Location)
	})
	t.Run("A06 without resource the owner picks", func(t *testing.T) {
		other := shimtest.NewUpstream(t, shimtest.Options{Key: "sk-other"})
		otherSlug, otherURL := p.add(other.URL, map[string]any{"display_name": "Calendar"})
		defer p.api("DELETE", "/api/slugs/"+otherSlug, nil)
		c := p.client("")
		if page := p.browser().Open(c.AuthorizeURL()); page.Status != http.StatusUnauthorized || strings.Contains(page.Body, "Calendar") {
			t.Errorf("the list of endpoints for a browser that is not the owner's: %d\n%s", page.Status, page.Body)
		}
		b := p.owner()
		page := b.Open(c.AuthorizeURL())
		form := b.Form(page, page.URL.Path)
		if !strings.Contains(page.Body, "Calendar") || !strings.Contains(page.Body, "Weather") {
			t.Fatalf("picker lacks an endpoint:\n%s", page.Body)
		}
		if none := b.Submit(form, map[string]string{"api_key": "sk-other", "credential": "new", "action": "approve"}); none.Location != "" {
			t.Errorf("approved without a choice: %q", none.Location)
		}
		page = b.Open(c.AuthorizeURL())
		done := b.Submit(b.Form(page, page.URL.Path), map[string]string{"slug": otherSlug, "api_key": "sk-other", "credential": "new", "action": "approve"})
		// The key is now the server's only one, and need not be chosen.
		again := p.client("")
		page = b.Open(again.AuthorizeURL())
		again.CodeFrom(b.Submit(b.Form(page, page.URL.Path), map[string]string{"slug": otherSlug, "action": "approve"}).Location)
		if status, body := c.Redeem(c.CodeFrom(done.Location)); status != http.StatusOK {
			t.Fatalf("POST /token = %d %v", status, body)
		}
		toolCount(t, session(t, otherURL, c.Access))
		if resp, _ := p.post(mcpURL, c.Access, initialize); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("W06: the token for %s on %s = %d, want 401", otherSlug, slug, resp.StatusCode)
		}
	})
	t.Run("A06 without resource and with one endpoint it is that one", func(t *testing.T) {
		c := p.client("")
		c.Connect(p.browser(), up.Key())
		toolCount(t, session(t, mcpURL, c.Access))
	})
	t.Run("A06 a resource in capitals and with a slash is the same one", func(t *testing.T) {
		c := p.client(strings.Replace(mcpURL, "http://", "HTTP://", 1) + "/")
		c.Connect(p.browser(), up.Key())
		toolCount(t, session(t, mcpURL, c.Access))
	})
	t.Run("A06 a foreign resource is invalid_target", func(t *testing.T) {
		c := p.client("https://elsewhere.example/mcp")
		page := p.browser().Open(c.AuthorizeURL())
		u, err := url.Parse(page.Location) // this redirect URI was approved before
		if err != nil || u.Query().Get("error") != "invalid_target" || u.Query().Get("state") != c.State || u.Query().Get("iss") != p.origin {
			t.Errorf("foreign resource leads to %q with %d", page.Location, page.Status)
		}
		c.Redirect = "http://127.0.0.1:3119/callback"
		if page := p.browser().Open(c.AuthorizeURL()); page.Status != http.StatusBadRequest || page.Location != "" || !strings.Contains(page.Body, "invalid_target") {
			t.Errorf("A21: foreign resource of a client that was never approved = %d %q, want a page", page.Status, page.Location)
		}
	})
	t.Run("A13 custom schemes get a page that leads back", func(t *testing.T) {
		c := shimtest.NewOAuthClient(t, p.origin, "cursor://anysphere.cursor-mcp/oauth/callback")
		c.Resource = mcpURL
		page := p.browser().Consent(c.AuthorizeURL(), map[string]string{"api_key": up.Key(), "action": "approve"})
		if page.Status != http.StatusOK || !strings.Contains(page.Body, `href="cursor://anysphere.cursor-mcp/oauth/callback?code=`) {
			t.Errorf("custom scheme: %d\n%s", page.Status, page.Body)
		}
	})
	t.Run("A13 A12 A20 A17 headers of the consent page", func(t *testing.T) {
		page := p.browser().Open(p.client(mcpURL).AuthorizeURL())
		csp := page.Header.Get("Content-Security-Policy")
		if strings.Contains(csp, "form-action") {
			t.Errorf("the consent page sends form-action, which stops the client's own redirects: %s", csp)
		}
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("CSP %q lacks %s", csp, want)
			}
		}
		for name, want := range map[string]string{
			"X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff",
			"Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "", "Access-Control-Allow-Origin": "",
		} {
			if got := page.Header.Get(name); got != want {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
	})
}

// TestDenyOpensNothing: anyone who invents an app could otherwise have this
// computer open any address, by a denial. Only where the owner or the program
// knows an app does the browser go on automatically.
func TestDenyOpensNothing(t *testing.T) {
	const (
		loopback, scheme, foreign = "http://127.0.0.1:3118/callback", "cursor://anysphere.cursor-mcp/oauth/callback", "https://stranger.example/cb"
		claude                    = "https://claude.ai/api/mcp/auth_callback"
	)
	for _, tt := range []struct {
		name, redirect string
		approved       bool
		automatic      bool
	}{
		{"an app on this computer", loopback, false, true},
		{"a built-in app", claude, false, true},
		{"a website", foreign, false, false},
		{"a link that starts a program", scheme, false, false},
		{"a website that was approved", foreign, true, true},
		{"a link that was approved", scheme, true, true},
	} {
		for _, elsewhere := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/elsewhere=%t", tt.name, elsewhere), func(t *testing.T) {
				p := startPublic(t)
				up := shimtest.NewUpstream(t, shimtest.Options{})
				slug, far := p.add(up.URL, map[string]any{"api_key": up.Key()})
				owner := p.owner()
				local := func() *shimtest.OAuthClient {
					c := shimtest.NewOAuthClient(t, p.origin, tt.redirect)
					c.Resource = p.origin + "/" + slug + "/mcp"
					return c
				}
				if tt.approved {
					owner.Consent(local().AuthorizeURL(), map[string]string{"api_key": up.Key(), "credential": "new", "action": "approve"})
				}
				deny := map[string]string{"action": "deny"}
				var page *shimtest.Page
				if elsewhere {
					ph := p.ask(farAddr, tt.redirect, far)
					owner.Submit(owner.Form(owner.Open("/consent/"+ph.id), "/consent/"+ph.id), deny)
					page = ph.look()
				} else {
					page = owner.Consent(local().AuthorizeURL(), deny)
				}
				refresh := strings.Contains(page.Body, `http-equiv="refresh"`)
				if got := page.Location != "" || refresh; got != tt.automatic {
					t.Errorf("Deny goes on automatically: %t (%d, %q, refresh %t), want %t", got, page.Status, page.Location, refresh, tt.automatic)
				}
				if page.Body != "" && !strings.Contains(page.Body, map[bool]string{true: web.Text("footer.public"), false: web.Text("footer")}[elsewhere]) {
					t.Errorf("the page does not say where Key2OAuth runs:\n%s", page.Body)
				}
				if to := redirectOf(t, page); !strings.HasPrefix(to, tt.redirect+"?error=access_denied") {
					t.Errorf("Deny leads to %q, want %s with access_denied", to, tt.redirect)
				}
			})
		}
	}
}

// TestApproveOpensNoUnknownProgram: a link that starts a program opens
// automatically only if it is a known app's or was approved before. A website gets
// its answer at once (RFC 9700, Section 4.12), since the owner was shown its name.
func TestApproveOpensNoUnknownProgram(t *testing.T) {
	for _, tt := range []struct {
		name, redirect string
		first, again   bool // the browser goes on automatically
	}{
		{"an app on this computer", "http://127.0.0.1:3118/callback", true, true},
		{"a website", "https://stranger.example/cb", true, true},
		{"a known app", "cursor://anysphere.cursor-mcp/oauth/callback", true, true},
		{"an unknown program", "com.stranger.app:/cb", false, true},
		{"an unknown part of a known app", "vscode://stranger.extension/auth", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := startPublic(t)
			up := shimtest.NewUpstream(t, shimtest.Options{})
			slug, _ := p.add(up.URL, map[string]any{"api_key": up.Key()})
			owner := p.owner()
			for i, want := range []bool{tt.first, tt.again} {
				c := shimtest.NewOAuthClient(t, p.origin, tt.redirect)
				c.Resource = p.origin + "/" + slug + "/mcp"
				page := owner.Consent(c.AuthorizeURL(), map[string]string{"api_key": up.Key(), "credential": "new", "action": "approve"})
				if got := page.Location != "" || strings.Contains(page.Body, refreshTag); got != want {
					t.Errorf("approval %d goes on automatically: %t (%d, %q), want %t", i+1, got, page.Status, page.Location, want)
				}
				if status, body := c.Redeem(c.CodeFrom(redirectOf(t, page))); status != http.StatusOK {
					t.Errorf("approval %d: POST /token = %d %v", i+1, status, body)
				}
			}
		})
	}
}

// TestOwnAddressesAreNoRedirects: no app gets its answer at an address of ours, by
// whichever of our names.
func TestOwnAddressesAreNoRedirects(t *testing.T) {
	p := startPublic(t)
	port := p.origin[strings.LastIndexByte(p.origin, ':'):]
	for _, uri := range []string{
		"http://127.0.0.1" + port + "/open?ticket=x", "http://localhost" + port + "/", "http://[::1]" + port + "/x",
		publicOrigin + "/cb", publicOrigin + ":8443/cb", "https://" + strings.ToUpper(strings.TrimPrefix(publicOrigin, "https://")) + "/cb",
	} {
		for at, register := range map[string]func(body []byte) (*http.Response, error){
			"local": func(body []byte) (*http.Response, error) {
				return http.Post(p.origin+"/register", "application/json", bytes.NewReader(body))
			},
			"public": func(body []byte) (*http.Response, error) {
				return p.far(farAddr).Client().Post(publicOrigin+"/register", "application/json", bytes.NewReader(body))
			},
		} {
			resp, err := register(must(json.Marshal(map[string]any{"redirect_uris": []string{uri}})))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusBadRequest {
				t.Errorf("registering %s at the %s origin = %d, want 400", uri, at, resp.StatusCode)
			}
		}
	}
	// A registration may leave the port open.
	slug, _ := p.add("http://127.0.0.1:1/mcp", nil)
	c := shimtest.NewOAuthClient(t, p.origin, "http://127.0.0.1/open")
	c.Resource, c.Redirect = p.origin+"/"+slug+"/mcp", p.origin+"/open"
	if page := p.browser().Open(c.AuthorizeURL()); page.Status != http.StatusBadRequest || page.Location != "" || strings.Contains(page.Body, p.origin+"/open") {
		t.Errorf("a request whose answer would come to us = %d %q\n%s", page.Status, page.Location, page.Body)
	}
}

// TestA11ForgedConsent submits the consent form in ways that our own page never
// does.
func TestA11ForgedConsent(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, mcpURL := p.add(up.URL, map[string]any{"api_key": up.Key()})
	_, obj := p.api("GET", "/api/slugs/"+slug, nil)
	saved := obj["credentials"].([]any)[0].(map[string]any)["id"].(string)

	tests := []struct {
		name  string
		forge func(r *http.Request)
		form  map[string]string
	}{
		{name: "no form token", form: map[string]string{"form_token": ""}},
		{name: "wrong form token", form: map[string]string{"form_token": "AAAA"}},
		{name: "cross-site", forge: func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }},
		{name: "same-site, another port", forge: func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }},
		{name: "foreign Origin", forge: func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "https://evil.example")
		}},
		{name: "Origin null", forge: func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "null")
		}},
		{name: "neither header", forge: func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Del("Origin")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, answer := range []map[string]string{
				{"api_key": up.Key(), "credential": "new"},
				{"credential": saved},
			} {
				b := p.owner()
				page := b.Open(p.client(mcpURL).AuthorizeURL())
				answer["action"] = "approve"
				for k, v := range tt.form {
					answer[k] = v
				}
				req := b.FormRequest(b.Form(page, page.URL.Path), answer)
				if tt.forge != nil {
					tt.forge(req)
				}
				if got := b.Do(req); got.Status != http.StatusForbidden || got.Location != "" {
					t.Errorf("got %d %q, want 403", got.Status, got.Location)
				}
			}
		})
	}
	t.Run("the form of another request", func(t *testing.T) {
		b := p.owner()
		first := b.Open(p.client(mcpURL).AuthorizeURL())
		second := b.Open(p.client(mcpURL).AuthorizeURL())
		form := b.Form(first, first.URL.Path)
		form.Action = second.URL.Path
		if got := b.Submit(form, map[string]string{"credential": saved, "action": "approve"}); got.Status != http.StatusForbidden {
			t.Errorf("got %d, want 403", got.Status)
		}
	})
	if _, out := p.api("GET", "/api/grants", nil); len(out["grants"].([]any)) != 0 {
		t.Errorf("forged forms made grants: %v", out)
	}
}

// TestA18SavedKeysAreTheOwners tries to use a saved key without the owner's
// session, and to reach a key that was pasted for another client.
func TestA18SavedKeysAreTheOwners(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, mcpURL := p.add(up.URL, map[string]any{"api_key": up.Key()})
	credentials := func() map[string]string {
		_, obj := p.api("GET", "/api/slugs/"+slug, nil)
		m := make(map[string]string)
		for _, c := range obj["credentials"].([]any) {
			m[c.(map[string]any)["for"].(string)] = c.(map[string]any)["id"].(string)
		}
		return m
	}
	saved := credentials()["owner"]

	b := p.browser()
	page := b.Open(p.client(mcpURL).AuthorizeURL())
	if strings.Contains(page.Body, saved) {
		t.Error("the page offers a saved key to a browser that is not the owner's")
	}
	if got := b.Submit(b.Form(page, page.URL.Path), map[string]string{"credential": saved, "action": "approve"}); got.Location != "" {
		t.Errorf("a saved key was used without the owner's session: %q", got.Location)
	}

	// A pasted key works for its own grant only, even if the owner pasted it.
	p.client(mcpURL).Connect(b, up.Key())
	pasted := credentials()["grant"]
	if pasted == "" {
		t.Fatal("a key pasted without the owner's session is not listed as a grant's own")
	}
	ob := p.owner()
	page = ob.Open(p.client(mcpURL).AuthorizeURL())
	if strings.Contains(page.Body, pasted) {
		t.Error("a key that belongs to one grant is offered as saved")
	}
	if got := ob.Submit(ob.Form(page, page.URL.Path), map[string]string{"credential": pasted, "action": "approve"}); got.Location != "" {
		t.Errorf("a grant's own key was used for another grant: %q", got.Location)
	}
	// The owner doesn't need to paste a key.
	c := p.client(mcpURL)
	done := ob.Consent(c.AuthorizeURL(), map[string]string{"credential": saved, "action": "approve"})
	if status, body := c.Redeem(c.CodeFrom(done.Location)); status != http.StatusOK {
		t.Fatalf("POST /token = %d %v", status, body)
	}
	toolCount(t, session(t, mcpURL, c.Access))
}

// TestUnprovenKeys: a key that was never checked opens nothing to strangers. The
// owner is told, and may go on.
func TestUnprovenKeys(t *testing.T) {
	takes := func(key string) bool { return strings.HasPrefix(key, "Bearer ghp_") && len(key) > 20 }
	for _, tt := range []struct {
		name string
		f    shimtest.Fault
	}{
		{"needs no key", nil},
		{"busy without a key", func(w http.ResponseWriter, r *http.Request) bool {
			return r.Header.Get("Authorization") == "" && shimtest.Status(503, "later")(w, r)
		}},
		{"looks at the form of a key", func(w http.ResponseWriter, r *http.Request) bool {
			return !takes(r.Header.Get("Authorization")) && shimtest.Status(401, "bad token")(w, r)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t)
			up := shimtest.NewUpstream(t, shimtest.Options{})
			up.OpenTo("*")
			up.Break(tt.f)
			slug, mcpURL := p.add(up.URL, nil)
			rubbish := map[string]string{"api_key": "ghp_0123456789abcdefghijABCDEFGHIJ012345", "action": "approve", "unverified": "1"}
			page := p.browser().Consent(p.client(mcpURL).AuthorizeURL(), rubbish)
			if page.Location != "" {
				t.Errorf("a stranger got in: %q", page.Location)
			}
			delete(rubbish, "unverified")
			ob, c := p.owner(), p.client(mcpURL)
			page = ob.Consent(c.AuthorizeURL(), rubbish)
			if page.Location != "" {
				t.Fatalf("the key was accepted without a word: %q", page.Location)
			}
			page = ob.Submit(ob.Form(page, page.URL.Path), map[string]string{"unverified": "1"})
			c.CodeFrom(page.Location)
			_, obj := p.api("GET", "/api/slugs/"+slug, nil)
			if all := obj["credentials"].([]any); len(all) != 1 || all[0].(map[string]any)["state"] != api.CredentialUnverified {
				t.Errorf("the keys are %v, want one that is not verified", all)
			}
		})
	}
}

// TestConsentHeadings: what stands above an answer that did not go through says
// what was wrong, and blames the key only where the server did.
func TestConsentHeadings(t *testing.T) {
	down := func(up *shimtest.Upstream) { up.Break(shimtest.Status(http.StatusServiceUnavailable, "down")) }
	for _, tt := range []struct {
		name, key string
		change    func(*shimtest.Upstream)
		want      string
	}{
		{"nothing pasted", "", nil, "form.warning"},
		{"blanks pasted", "  \n", nil, "form.warning"},
		{"not a key", "two\nlines", nil, "form.warning"},
		{"a wrong key", "sk-wrong", nil, "trouble.rejected"},
		{"any key", "sk-wrong", func(up *shimtest.Upstream) { up.OpenTo("*") }, "trouble.keyless"},
		{"an outage", "sk-x", down, "trouble.busy"},
		{"any key that looks like one", "sk-wrong", func(up *shimtest.Upstream) {
			up.OpenTo("*")
			up.Break(func(w http.ResponseWriter, r *http.Request) bool {
				return r.Header.Get("Authorization") == "" && shimtest.Status(http.StatusUnauthorized, "no key")(w, r)
			})
		}, "trouble.unproven"},
		{"another computer", "sk-x", func(up *shimtest.Upstream) { up.Break(shimtest.Status(http.StatusForbidden, "only at localhost")) }, "trouble.barred"},
		{"another address", "sk-x", func(up *shimtest.Upstream) { up.Break(shimtest.Redirect(http.StatusFound, "https://h.example/mcp")) }, "trouble.redirect"},
		{"an odd answer", "sk-x", func(up *shimtest.Upstream) {
			up.Break(shimtest.Status(http.StatusOK, `{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"1999-01-01"}}`))
		}, "trouble.strange"},
		{"no server there", "sk-x", func(up *shimtest.Upstream) { up.Close() }, "trouble.unreachable"},
		{"a web page", "sk-x", func(up *shimtest.Upstream) { up.Break(shimtest.HTML()) }, "trouble.odd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t)
			up := shimtest.NewUpstream(t, shimtest.Options{})
			_, mcpURL := p.add(up.URL, nil)
			if tt.change != nil {
				tt.change(up)
			}
			page := p.browser().Consent(p.client(mcpURL).AuthorizeURL(), map[string]string{"api_key": tt.key, "action": "approve"})
			if page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Body, "<strong>"+web.Text(tt.want)+"</strong>") {
				_, rest, _ := strings.Cut(page.Body, "problem")
				t.Errorf("the page (%d) does not say %q:\n%.600s", page.Status, web.Text(tt.want), rest)
			}
			if got := strings.Contains(page.Body, web.Text("trouble.rejected")); got != (tt.want == "trouble.rejected") {
				t.Errorf("the page blames the key: %t", got)
			}
		})
	}
	t.Run("the server is gone", func(t *testing.T) {
		p := start(t)
		up := shimtest.NewUpstream(t, shimtest.Options{})
		_, mcpURL := p.add(up.URL, nil)
		up.Close()
		page := p.browser().Consent(p.client(mcpURL).AuthorizeURL(), map[string]string{"api_key": "sk-x", "action": "approve"})
		if !strings.Contains(page.Body, web.Text("trouble.unreachable")) {
			t.Errorf("the page does not say that the server can't be reached:\n%s", page.Body)
		}
	})
}

// TestReloadAsOwner: a page that tells its reader to open the window and reload
// it can be reloaded then. The reload sends the form again, which does nothing
// but show the page as the owner sees it.
func TestReloadAsOwner(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	up.OpenTo("*")
	_, mcpURL := p.add(up.URL, nil)
	c := p.client(mcpURL)
	b := p.browser()
	page := b.Open(c.AuthorizeURL())
	form := b.Form(page, page.URL.Path)
	answer := map[string]string{"api_key": "any", "action": "approve"}
	page = b.Submit(form, answer)
	if page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Body, web.TextUnverified) {
		t.Fatalf("without the owner's session = %d, want to be told what to do", page.Status)
	}
	b.SignIn(p.shim.OwnerLink("/"))
	for _, answer := range []map[string]string{answer, {"api_key": "any", "unverified": "1"}, {"action": "approve"}} {
		page = b.Submit(form, answer)
		if page.Status != http.StatusOK || page.Location != "" {
			t.Fatalf("the reload = %d %q, want the page", page.Status, page.Location)
		}
	}
	if _, out := p.api("GET", "/api/grants", nil); len(out["grants"].([]any)) != 0 {
		t.Errorf("the reload made a grant: %v", out)
	}
	form = b.Form(page, page.URL.Path)
	page = b.Submit(form, map[string]string{"api_key": "any", "action": "approve"})
	done := b.Submit(b.Form(page, page.URL.Path), map[string]string{"unverified": "1"})
	c.CodeFrom(done.Location)

	// A form of another browser, or one that was made up, is still refused.
	d := p.client(mcpURL)
	other := p.owner()
	page = other.Open(d.AuthorizeURL())
	foreign := other.Form(page, page.URL.Path)
	if got := b.Submit(foreign, answer); got.Status != http.StatusForbidden {
		t.Errorf("another browser's form = %d, want 403", got.Status)
	}
}

// TestUnverifiedKeys: only the owner may decide to use a key that could not be
// checked.
func TestUnverifiedKeys(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	_, mcpURL := p.add(up.URL, nil)
	up.Break(shimtest.Status(http.StatusServiceUnavailable, "down for maintenance"))

	b := p.browser()
	page := b.Consent(p.client(mcpURL).AuthorizeURL(), map[string]string{"api_key": up.Key(), "action": "approve", "unverified": "1"})
	if page.Location != "" {
		t.Errorf("a browser that is not the owner's continued without a check: %q", page.Location)
	}
	ob := p.owner()
	c := p.client(mcpURL)
	page = ob.Consent(c.AuthorizeURL(), map[string]string{"api_key": up.Key(), "action": "approve"})
	if page.Location != "" {
		t.Fatalf("an unverified key was accepted without asking: %q", page.Location)
	}
	form := ob.Form(page, page.URL.Path)
	if !form.Has("key_held") || strings.Contains(page.Body, up.Key()) {
		t.Errorf("the key should be kept on our side, and not in the page")
	}
	page = ob.Submit(form, map[string]string{"unverified": "1"})
	c.CodeFrom(page.Location)
}

// TestAuthorizeIsAPage: no page can send sign-ins as pictures, frames or
// fetches, on either side, and of many that were opened only some are listed.
func TestAuthorizeIsAPage(t *testing.T) {
	p := startPublic(t)
	slug, far := p.add("http://127.0.0.1:1/mcp", nil)
	local, public := p.client(p.origin+"/"+slug+"/mcp"), p.farClient("http://127.0.0.1:3118/callback", far)
	for dest, mode := range map[string]string{"image": "no-cors", "iframe": "navigate", "empty": "cors", "script": "no-cors", "document": "cors"} {
		for b, u := range map[*shimtest.Browser]string{p.browser(): local.AuthorizeURL(), p.farBrowser(farAddr): public.AuthorizeURL()} {
			req := must(http.NewRequest("GET", u, nil))
			req.Header.Set("Sec-Fetch-Dest", dest)
			req.Header.Set("Sec-Fetch-Mode", mode)
			if page := b.Do(req); page.Status != http.StatusForbidden || page.Location != "" {
				t.Errorf("%s as %s, %s = %d %q, want 403", u[:30], dest, mode, page.Status, page.Location)
			}
		}
	}
	b := p.browser()
	var open *shimtest.Page
	for i := range 150 {
		page := b.Open(local.AuthorizeURL())
		if i == 0 {
			open = page
			req := b.FormRequest(shimtest.Form{Action: page.URL.Path + "/open"}, nil)
			if page := b.Do(req); page.Status != http.StatusNoContent {
				t.Fatalf("the page says that it is open = %d", page.Status)
			}
		}
	}
	if n := len(p.shim.Status().Pending); n != 20 {
		t.Errorf("%d requests are listed, want 20", n)
	}
	if page := b.Open(open.URL.String()); page.Status != http.StatusOK {
		t.Errorf("the page that is open = %d, want it kept", page.Status)
	}
}
