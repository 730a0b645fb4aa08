package shim_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/shimtest"
)

func TestOwnerLink(t *testing.T) {
	p := start(t)
	link := p.shim.OwnerLink("/")
	b := p.browser()

	if page := b.Open("/"); page.Status != http.StatusUnauthorized {
		t.Fatalf("home page without a session = %d, want 401", page.Status)
	}
	// Only looking at the link (a preview, a scanner) does not use it up.
	open := b.Open(link)
	b.Open(link)
	if page := b.Open("/"); page.Status != http.StatusUnauthorized {
		t.Fatalf("a GET redeemed the link")
	}
	form := b.Form(open, "/open")
	home := b.Submit(form, nil)
	if home.Status != http.StatusOK || home.URL.Path != "/" {
		t.Fatalf("redeeming ended at %s with %d", home.URL, home.Status)
	}
	var cookie *http.Cookie
	u, _ := url.Parse(p.origin)
	for _, c := range b.HTTP.Jar.Cookies(u) {
		cookie = c
	}
	if cookie == nil || !strings.HasPrefix(cookie.Name, "k2o_") {
		t.Fatalf("no cookie of a random name: %v", cookie)
	}

	t.Run("survives a restart", func(t *testing.T) {
		p = p.restart()
		if page := b.Open("/"); page.Status != http.StatusOK {
			t.Errorf("home page after a restart = %d", page.Status)
		}
	})
	t.Run("a second redemption ends what the first made", func(t *testing.T) {
		link := p.shim.OwnerLink("/")
		first, thief := p.browser(), p.browser()
		f1, f2 := first.Form(first.Open(link), "/open"), thief.Form(thief.Open(link), "/open")
		if page := first.Submit(f1, nil); page.Status != http.StatusOK {
			t.Fatalf("first redemption = %d", page.Status)
		}
		if page := thief.Submit(f2, nil); page.Status != http.StatusForbidden {
			t.Errorf("second redemption = %d, want 403", page.Status)
		}
		if page := first.Open("/"); page.Status != http.StatusUnauthorized {
			t.Errorf("the first session lives on after a second redemption: %d", page.Status)
		}
		if page := thief.Open("/"); page.Status != http.StatusUnauthorized {
			t.Errorf("the second redemption made a session: %d", page.Status)
		}
		if page := b.Open("/"); page.Status != http.StatusOK {
			t.Errorf("another session ended with it: %d", page.Status)
		}
	})
	t.Run("a made-up ticket", func(t *testing.T) {
		page := p.browser().Open("/open?ticket=AAAAAAAAAAAAAAAAAAAAAAAAAA")
		b := p.browser()
		if got := b.Submit(b.Form(page, "/open"), nil); got.Status != http.StatusForbidden {
			t.Errorf("got %d, want 403", got.Status)
		}
	})
	t.Run("redeemed from another page", func(t *testing.T) {
		b := p.browser()
		req := b.FormRequest(b.Form(b.Open(p.shim.OwnerLink("/")), "/open"), nil)
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		if got := b.Do(req); got.Status != http.StatusForbidden {
			t.Errorf("got %d, want 403", got.Status)
		}
	})
	t.Run("sign out", func(t *testing.T) {
		b := p.owner()
		b.Submit(b.Form(b.Open("/"), "/sign-out"), nil)
		if page := b.Open("/"); page.Status != http.StatusUnauthorized {
			t.Errorf("home page after signing out = %d", page.Status)
		}
	})
}

// TestL02AttackPages sends what other sites' pages can make a browser send,
// with the owner's cookie where a browser would include it.
func TestL02AttackPages(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, mcpURL := p.add(up.URL, map[string]any{"api_key": up.Key()})
	b := p.owner()
	consent := b.Open(p.client(mcpURL).AuthorizeURL())
	stolen := b.Form(b.Open("/"), "/pause")

	do := func(method, path, body string, header ...string) int {
		req, err := http.NewRequest(method, p.origin+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body != "" {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for i := 0; i < len(header); i += 2 {
			if header[i] == "Host" {
				req.Host = header[i+1]
			}
			req.Header.Set(header[i], header[i+1])
		}
		c := &http.Client{Jar: b.HTTP.Jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	tests := []struct {
		name, method, path, body string
		header                   []string
	}{
		{"home in an iframe", "GET", "/", "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}},
		{"consent in an iframe", "GET", consent.URL.Path, "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}},
		{"consent in an object", "GET", consent.URL.Path, "", []string{"Sec-Fetch-Dest", "object"}},
		{"consent by fetch", "GET", consent.URL.Path, "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Origin", "https://evil.example"}},
		{"home by no-cors fetch", "GET", "/", "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "empty"}},
		{"home as an image", "GET", "/", "", []string{"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}},
		{"form POST to pause", "POST", "/pause", "", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}},
		{"form POST with a stolen token", "POST", "/pause", "form_token=" + stolen.Fields[0].Value, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}},
		{"form POST from another port", "POST", "/pause", "form_token=" + stolen.Fields[0].Value, []string{"Sec-Fetch-Site", "same-site", "Origin", "http://127.0.0.1:1"}},
		{"form POST without a token", "POST", "/servers/" + slug + "/delete", "x=1", []string{"Sec-Fetch-Site", "same-origin", "Origin", p.origin}},
		{"token of another form", "POST", "/servers/" + slug + "/delete", "form_token=" + stolen.Fields[0].Value, []string{"Sec-Fetch-Site", "same-origin", "Origin", p.origin}},
		{"API by form", "POST", "/api/pause", "", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}},
		{"API by fetch", "GET", "/api/slugs", "", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}},
		{"API from a page of another port", "GET", "/api/slugs", "", []string{"Sec-Fetch-Site", "same-site"}},
		{"API with the cookie alone", "GET", "/api/slugs", "", nil},
		{"API delete, cookie alone", "DELETE", "/api/slugs/" + slug, "", nil},
		{"DNS rebinding: home", "GET", "/", "", []string{"Host", "evil.example:7450", "Sec-Fetch-Site", "same-origin"}},
		{"DNS rebinding: API", "GET", "/api/slugs", "", []string{"Host", "evil.example:7450", "Sec-Fetch-Site", "same-origin"}},
		{"DNS rebinding: consent POST", "POST", consent.URL.Path, "action=approve", []string{"Host", "evil.example", "Origin", "http://evil.example", "Sec-Fetch-Site", "same-origin"}},
		{"method override", "POST", "/api/slugs/" + slug + "?_method=DELETE", "", []string{"X-HTTP-Method-Override", "DELETE"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := do(tt.method, tt.path, tt.body, tt.header...); got < 400 {
				t.Errorf("%s %s = %d, want a refusal", tt.method, tt.path, got)
			}
		})
	}
	if st := p.shim.Status(); st.Paused || st.Endpoints != 1 {
		t.Errorf("an attack got through: %+v", st)
	}
	// The same requests from our own page do work, so the refusals above are
	// really about their origin.
	if page := b.Submit(b.Form(b.Open("/"), "/pause"), nil); page.Status != http.StatusOK || !p.shim.Status().Paused {
		t.Errorf("the owner's own form = %d", page.Status)
	}
	if got := do("GET", "/api/slugs", "", "Sec-Fetch-Site", "same-origin"); got != http.StatusOK {
		t.Errorf("the owner's own page calls the API: %d", got)
	}
}

// TestL04CookiesKnowNoPorts gives all our cookies to another server on
// 127.0.0.1, as browsers do, and lets its page try to use them.
func TestL04CookiesKnowNoPorts(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, mcpURL := p.add(up.URL, map[string]any{"api_key": up.Key()})
	victim := p.owner()
	page := victim.Open(p.client(mcpURL).AuthorizeURL())
	u, _ := url.Parse(p.origin + "/consent/x")

	// The other server saw the cookies and can set its own in the victim's
	// browser. Here it knows both.
	thief := p.browser()
	jar, _ := cookiejar.New(nil)
	cookies := victim.HTTP.Jar.Cookies(u)
	if len(cookies) != 2 {
		t.Fatalf("the victim has %d cookies, want the owner's and the form's", len(cookies))
	}
	for _, c := range cookies {
		c.Path = "/"
	}
	jar.SetCookies(u, cookies)
	thief.HTTP.Jar = jar

	for _, path := range []string{page.URL.Path, "/pause", "/servers/" + slug + "/delete"} {
		for _, site := range []string{"same-site", "cross-site", "same-origin"} {
			form := shimtest.Form{Action: path}
			req := thief.FormRequest(form, map[string]string{"action": "approve", "api_key": up.Key(), "form_token": "x"})
			req.Header.Set("Sec-Fetch-Site", site)
			if got := thief.Do(req); got.Status != http.StatusForbidden {
				t.Errorf("POST %s, %s, with cookies and no form token = %d, want 403", path, site, got.Status)
			}
		}
	}
}

func TestX04HostAndOrigin(t *testing.T) {
	p := start(t)
	_, mcpURL, c := p.connect()
	u, _ := url.Parse(mcpURL)
	_, port, _ := strings.Cut(strings.TrimPrefix(p.origin, "http://"), ":")
	tests := []struct {
		name, host, origin string
		ok                 bool
	}{
		{"own address", "127.0.0.1:" + port, "", true},
		{"localhost", "localhost:" + port, "", true},
		{"IPv6", "[::1]:" + port, "", true},
		{"capitals", "LOCALHOST:" + port, "", true},
		{"a page of this machine", "127.0.0.1:" + port, "http://localhost:6274", true},
		{"foreign Host", "evil.example", "", false},
		{"foreign Host with our port", "evil.example:" + port, "", false},
		{"another port", "127.0.0.1:1", "", false},
		{"foreign Origin", "127.0.0.1:" + port, "https://evil.example", false},
		{"Origin null", "127.0.0.1:" + port, "null", false},
		{"Origin that looks like ours", "127.0.0.1:" + port, "http://127.0.0.1.evil.example", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, path := range []string{u.Path, "/.well-known/oauth-authorization-server"} {
				method, body := "GET", ""
				if path == u.Path {
					method, body = "POST", initialize
				}
				req, err := http.NewRequest(method, p.origin+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				req.Host = tt.host
				req.Header.Set("Authorization", "Bearer "+c.Access)
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Accept", "application/json, text/event-stream")
				if tt.origin != "" {
					req.Header.Set("Origin", tt.origin)
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if ok := resp.StatusCode == http.StatusOK; ok != tt.ok {
					t.Errorf("%s %s = %d", method, path, resp.StatusCode)
				}
				if !tt.ok && resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusMisdirectedRequest {
					t.Errorf("%s %s = %d, want 403 or 421", method, path, resp.StatusCode)
				}
			}
		})
	}
}
