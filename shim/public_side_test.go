package shim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/tunnel"
)

// get fetches a path of the public origin as a stranger on the internet.
func (p *program) get(path string, header ...string) (*http.Response, string) {
	p.t.Helper()
	req, err := http.NewRequest("GET", publicOrigin+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		} else {
			req.Header.Set(header[i], header[i+1])
		}
	}
	return p.exchange(p.far(farAddr), req)
}

// TestX06OnlyPublicRoutes: the owner's pages do not exist on the public origin,
// no matter what a request claims.
func TestX06OnlyPublicRoutes(t *testing.T) {
	p := startPublic(t)
	slug, _ := p.add("http://127.0.0.1:1/mcp", nil)
	for _, path := range []string{
		"/", "/activity", "/api/status", "/api/slugs", "/api/open", "/api/tunnel", "/open?ticket=x", "/consent/x", "/endpoints", "/endpoints/" + slug,
		"/grants/x/revoke", "/pause", "/resume", "/keychain/unlock", "/sign-out", "/tunnel", "/favicon.ico", "/.well-known/oauth-protected-resource",
		"/.well-known/openid-configuration", "/.well-known/key2oauth/x", "/register/x", "/authorize/x/y", "//api/status", "/%2e%2e/api/status", "/./api/status",
	} {
		for _, headers := range [][]string{
			nil,
			{"Authorization", "Bearer " + p.token},
			{"X-Forwarded-Host", p.addr, "Forwarded", "host=" + p.addr, "X-Original-URL", "/api/status"},
		} {
			if resp, body := p.get(path, headers...); resp.StatusCode != http.StatusNotFound || strings.Contains(body, slug) {
				t.Errorf("GET %s with %.40q = %d %.80q, want 404", path, headers, resp.StatusCode, body)
			}
		}
	}
	for _, host := range []string{p.addr, "127.0.0.1", "localhost", publicHost + ":7450", "evil.example", ""} {
		resp, _ := p.get("/.well-known/oauth-authorization-server", "Host", host)
		want := http.StatusMisdirectedRequest
		if host == "" {
			want = http.StatusOK // sent exactly as in the URL
		}
		if resp.StatusCode != want {
			t.Errorf("Host %q on the public side = %d, want %d", host, resp.StatusCode, want)
		}
	}
	req := must(http.NewRequest("GET", p.origin+"/.well-known/oauth-authorization-server", nil))
	req.Host = publicHost
	if status, _ := p.send(req); status != http.StatusMisdirectedRequest && status != http.StatusForbidden {
		t.Errorf("the public host on the loopback side = %d, want 421 or 403", status)
	}
}

func TestPublicMetadata(t *testing.T) {
	p := startPublic(t)
	slug, _ := p.add("http://127.0.0.1:1/mcp", map[string]any{"display_name": "Quarterly Finance"})
	for _, tt := range []struct{ name, path, want string }{
		{"D01 D15 issuer", "/.well-known/oauth-authorization-server", `"issuer":"` + publicOrigin + `"`},
		{"D08 D15 resource", "/.well-known/oauth-protected-resource/" + slug + "/mcp", `"resource":"` + publicOrigin + "/" + slug + `/mcp"`},
		{"D08 D15 authorization server", "/.well-known/oauth-protected-resource/" + slug + "/mcp", `"authorization_servers":["` + publicOrigin + `"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := p.get(tt.path, "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "http", "Forwarded", "host=evil.example")
			if resp.StatusCode != http.StatusOK || !strings.Contains(body, tt.want) {
				t.Errorf("GET %s = %d %s, want %s in it", tt.path, resp.StatusCode, body, tt.want)
			}
			if strings.Contains(body, "evil.example") || strings.Contains(body, "http://") {
				t.Errorf("a header of the request changed %s", body)
			}
		})
	}
	t.Run("D10 no document of the bare origin", func(t *testing.T) {
		if resp, _ := p.get("/.well-known/oauth-protected-resource"); resp.StatusCode != http.StatusNotFound {
			t.Errorf("got %d, want 404", resp.StatusCode)
		}
	})
	t.Run("W01 the challenge names the public metadata", func(t *testing.T) {
		want := `resource_metadata="` + publicOrigin + "/.well-known/oauth-protected-resource/" + slug + `/mcp"`
		for _, method := range []string{"POST", "GET", "DELETE"} {
			req := must(http.NewRequest(method, publicOrigin+"/"+slug+"/mcp", nil))
			req.Header.Set("X-Forwarded-Host", "evil.example")
			resp, _ := p.exchange(p.far(farAddr), req)
			if got := resp.Header.Values("WWW-Authenticate"); resp.StatusCode != http.StatusUnauthorized || len(got) != 1 || !strings.HasPrefix(got[0], "Bearer ") || !strings.Contains(got[0], want) {
				t.Errorf("%s = %d %q, want 401 with %s", method, resp.StatusCode, got, want)
			}
		}
	})
	t.Run("X05 Origin", func(t *testing.T) {
		for origin, want := range map[string]int{"null": http.StatusForbidden, "http://evil.example": http.StatusForbidden, "https://claude.ai": http.StatusUnauthorized, "http://localhost:6274": http.StatusUnauthorized} {
			if resp, _ := p.get("/"+slug+"/mcp", "Origin", origin); resp.StatusCode != want {
				t.Errorf("Origin %q = %d, want %d", origin, resp.StatusCode, want)
			}
		}
	})
	t.Run("X03 no CORS where a person decides", func(t *testing.T) {
		for _, path := range []string{"/authorize", "/authorize/x"} {
			if resp, _ := p.get(path, "Origin", "https://claude.ai"); resp.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s lets pages of other origins read it", path)
			}
		}
	})
}

// TestFooterNamesTheComputer: a public page is read on any computer, so it must
// not say that Key2OAuth runs on the reader's computer.
func TestFooterNamesTheComputer(t *testing.T) {
	p := startPublic(t)
	slug, _ := p.add("http://127.0.0.1:1/mcp", nil)
	here, far := web.Text("footer"), web.Text("footer.public")
	if here == far {
		t.Fatalf("both footers say %q", here)
	}
	for _, tt := range []struct {
		method, url string
		status      int
		public      bool
		navigate    bool
	}{
		{"GET", p.origin + "/" + slug + "/mcp", http.StatusOK, false, true},
		{"GET", p.origin + "/settings", http.StatusUnauthorized, false, false},
		{"GET", p.origin + "/authorize?client_id=x", http.StatusBadRequest, false, false},
		{"GET", publicOrigin + "/" + slug + "/mcp", http.StatusOK, true, true},
		{"POST", publicOrigin + "/authorize/x", http.StatusForbidden, true, false},
		{"GET", publicOrigin + "/authorize?client_id=x", http.StatusBadRequest, true, false},
	} {
		req := must(http.NewRequest(tt.method, tt.url, nil))
		if tt.navigate {
			req.Header.Set("Sec-Fetch-Mode", "navigate")
		}
		via, want, not := http.DefaultTransport, here, far
		if tt.public {
			via, want, not = p.far(farAddr), far, here
		}
		resp, body := p.exchange(via, req)
		if resp.StatusCode != tt.status || !strings.Contains(body, want) || strings.Contains(body, not) {
			t.Errorf("%s %s = %d, want %d and the footer %q:\n%s", tt.method, tt.url, resp.StatusCode, tt.status, want, body)
		}
	}
}

// farPost calls an endpoint of the public origin.
func (p *program) farPost(slug, token, body string) (*http.Response, string) {
	p.t.Helper()
	return p.exchange(p.far(farAddr), callOf(publicOrigin+"/"+slug+"/mcp", token, body))
}

// TestConnectAcross connects as claude.ai does: the client is in the cloud, and
// the owner's browser begins at the public address and ends on this computer.
func TestConnectAcross(t *testing.T) {
	p := startPublic(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, mcpURL := p.add(up.URL, nil)
	if want := publicOrigin + "/" + slug + "/mcp"; mcpURL != want {
		t.Fatalf("mcp_endpoint %q, want %q", mcpURL, want)
	}
	c := p.farClient("https://claude.ai/api/mcp/auth_callback", mcpURL)
	far := p.farBrowser(homeAddr)
	page := far.Open(c.AuthorizeURL())
	if strings.Contains(page.Body, "api_key") || strings.Contains(page.Body, "Weather") || strings.Contains(page.Body, "<script") {
		t.Errorf("the public page has a key field, the name of an endpoint or a script:\n%s", page.Body)
	}
	link := continueLink(t, p, page)

	here := p.browser()
	consent := here.Open(link)
	done := here.Submit(here.Form(consent, consent.URL.Path), map[string]string{"api_key": up.Key(), "action": "approve"})
	if done.Status != http.StatusSeeOther || !strings.HasPrefix(done.Location, "https://claude.ai/api/mcp/auth_callback?") {
		t.Fatalf("Approve = %d %q\n%s", done.Status, done.Location, done.Body)
	}
	code := c.CodeFrom(done.Location)

	// The browser that started the sign-in learns that, and gets nothing else.
	wait := far.Open("/authorize/" + strings.TrimPrefix(link, p.origin+"/consent/"))
	if wait.Location != "" || !strings.Contains(wait.Body, web.MessageElsewhere.Title) || strings.Contains(wait.Body, code) {
		t.Errorf("the public page after Approve = %d %q\n%s", wait.Status, wait.Location, wait.Body)
	}
	if status, body := c.Redeem(code); status != http.StatusOK {
		t.Fatalf("POST /token = %d %v", status, body)
	}
	if resp, body := p.farPost(slug, c.Access, initialize); resp.StatusCode != http.StatusOK {
		t.Errorf("a call at the public origin = %d %s", resp.StatusCode, body)
	}
	t.Run("X05 pages that call with a token", func(t *testing.T) {
		for origin, want := range map[string]int{"null": http.StatusForbidden, "http://evil.example": http.StatusForbidden, "https://claude.ai": http.StatusOK} {
			req := callOf(mcpURL, c.Access, initialize)
			req.Header.Set("Origin", origin)
			if resp, _ := p.exchange(p.far(farAddr), req); resp.StatusCode != want {
				t.Errorf("Origin %s = %d, want %d", origin, resp.StatusCode, want)
			}
		}
	})
	t.Run("W06 T16 tokens of two origins", func(t *testing.T) {
		if resp, _ := p.post(p.origin+"/"+slug+"/mcp", c.Access, initialize); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("a token of the public origin on the local one = %d, want 401", resp.StatusCode)
		}
		local := p.client(p.origin + "/" + slug + "/mcp")
		local.Connect(p.browser(), up.Key())
		if resp, _ := p.farPost(slug, local.Access, initialize); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("a token of the local origin on the public one = %d, want 401", resp.StatusCode)
		}
		if resp, body := p.post(p.origin+"/"+slug+"/mcp", local.Access, initialize); resp.StatusCode != http.StatusOK {
			t.Errorf("a token of the local origin there = %d %s, want 200", resp.StatusCode, body)
		}
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {c.Refresh}, "client_id": {c.ID}}
		if status, body := local.PostForm("/token", form); status != http.StatusBadRequest {
			t.Errorf("a refresh token of the public origin at the local one = %d %v, want 400", status, body)
		}
	})
	if used := p.shim.Status().Tunnel.Usage; used == nil || used.Requests == 0 || used.Bytes == 0 || used.MaxRequests != 20_000 {
		t.Errorf("N02 usage %+v, want what went through and the plan's limits", used)
	}

	// After a restart all of it is back without turning it on again.
	p = p.restart()
	p.waitOnline()
	if resp, body := p.farPost(slug, c.Access, initialize); resp.StatusCode != http.StatusOK {
		t.Errorf("a call after a restart = %d %s", resp.StatusCode, body)
	}
	if status, body := shimtestRefresh(p, c); status != http.StatusOK {
		t.Errorf("refresh after a restart = %d %v", status, body)
	}
	for _, secret := range []string{up.Key(), c.Access, c.Refresh, code, c.State, "canary-authtoken"} {
		if strings.Contains(p.log.String(), secret) {
			t.Error("the log contains a secret")
		}
	}
}

// shimtestRefresh refreshes c at the public origin of p. It uses the current
// tunnel, since the one that c knows is gone after a restart.
func shimtestRefresh(p *program, c *shimtest.OAuthClient) (int, map[string]any) {
	p.t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {c.Refresh}, "client_id": {c.ID}}
	resp, err := p.far(farAddr).Client().PostForm(publicOrigin+"/token", form)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var body map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, body
}

func TestPublicErrorsLeadNowhere(t *testing.T) {
	p := startPublic(t)
	_, mcpURL := p.add("http://127.0.0.1:1/mcp", nil)
	c := p.farClient("https://evil.example/cb", mcpURL)
	u := must(url.Parse(c.AuthorizeURL()))
	q := u.Query()
	q.Set("redirect_uri", "https://other.example/cb")
	u.RawQuery = q.Encode()
	if page := p.farBrowser(farAddr).Open(u.String()); page.Status != http.StatusBadRequest || page.Location != "" {
		t.Errorf("A01 a foreign redirect URI = %d %q, want a page", page.Status, page.Location)
	}
	q.Set("redirect_uri", "https://evil.example/cb")
	q.Set("response_type", "token")
	u.RawQuery = q.Encode()
	if page := p.farBrowser(farAddr).Open(u.String()); page.Status != http.StatusBadRequest || page.Location != "" {
		t.Errorf("A21: an error for a client that was never approved = %d %q, want a page", page.Status, page.Location)
	}
	// If a client's document is not cached, it is not fetched for a stranger.
	q.Set("client_id", "https://client.example/app.json")
	q.Set("response_type", "code")
	u.RawQuery = q.Encode()
	page := p.farBrowser(farAddr).Open(u.String())
	continueLink(t, p, page)
	if !strings.Contains(page.Body, "client.example") {
		t.Errorf("the page does not name the host of the client id:\n%s", page.Body)
	}
}

// TestA09Repeated: a browser that repeats a request, as it does after a warning
// page, still has only one request.
func TestA09Repeated(t *testing.T) {
	p := startPublic(t)
	_, mcpURL := p.add("http://127.0.0.1:1/mcp", nil)
	c := p.farClient("https://claude.ai/api/mcp/auth_callback", mcpURL)
	b := p.farBrowser(farAddr)
	first := continueLink(t, p, b.Open(c.AuthorizeURL()))
	for range 3 {
		if again := continueLink(t, p, b.Open(c.AuthorizeURL())); again != first {
			t.Errorf("a reload leads to %q, want %q", again, first)
		}
	}
	if other := continueLink(t, p, p.farBrowser(farAddr).Open(c.AuthorizeURL())); other == first {
		t.Error("another browser shares the request")
	}
	c.State = "another"
	if other := continueLink(t, p, b.Open(c.AuthorizeURL())); other == first {
		t.Error("another request is taken for the first")
	}
}

const refreshTag = `http-equiv="refresh"`

// selfTest does what the tunnel does once it is online.
func (p *program) selfTest(from string) {
	p.t.Helper()
	path, nonce, end := p.shim.BeginSelfTest()
	defer end()
	resp, err := p.far(from).Client().Get(publicOrigin + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || string(b) != nonce {
		p.t.Fatalf("self-test = %d %q, want the nonce", resp.StatusCode, b)
	}
}

func TestN01SelfTest(t *testing.T) {
	p := startPublic(t)
	path, nonce, end := p.shim.BeginSelfTest()
	if resp, body := p.get(path); resp.StatusCode != http.StatusOK || body != nonce {
		t.Errorf("GET %s = %d %q, want the nonce", path, resp.StatusCode, body)
	}
	end()
	if resp, _ := p.get(path); resp.StatusCode != http.StatusNotFound {
		t.Errorf("after the self-test = %d, want 404", resp.StatusCode)
	}
}

// TestGoesOnByItself: a browser on this computer is redirected automatically
// once. If that did not work, only the choice is left.
func TestGoesOnByItself(t *testing.T) {
	p := startPublic(t)
	_, mcpURL := p.add("http://127.0.0.1:1/mcp", nil)
	request := func() string {
		c := p.farClient("https://claude.ai/api/mcp/auth_callback", mcpURL)
		return c.AuthorizeURL()
	}
	leadsOn := func(b *shimtest.Browser, u string) bool {
		t.Helper()
		page := b.Open(u)
		continueLink(t, p, page)
		return strings.Contains(page.Body, refreshTag)
	}
	if leadsOn(p.farBrowser(homeAddr), request()) {
		t.Error("led on before it is known where this computer is")
	}
	p.selfTest(homeAddr)
	if leadsOn(p.farBrowser(farAddr), request()) {
		t.Error("a browser elsewhere is led on")
	}
	spoof := p.farBrowser(farAddr)
	req := must(http.NewRequest("GET", request(), nil))
	req.Header.Set("X-Forwarded-For", homeAddr)
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")
	if page := spoof.Do(req); strings.Contains(page.Body, refreshTag) {
		t.Error("a browser that claims our address is led on")
	}
	phone := p.farBrowser(homeAddr)
	req = must(http.NewRequest("GET", request(), nil))
	req.Header.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Mobile/15E148")
	if page := phone.Do(req); strings.Contains(page.Body, refreshTag) {
		t.Error("a phone behind the same address is led on")
	}

	b := p.farBrowser(homeAddr)
	u := request()
	if !leadsOn(b, u) {
		t.Error("a browser on this computer is not led on")
	}
	if leadsOn(b, u) {
		t.Error("a reload is led on again")
	}
	next := request()
	if leadsOn(b, next) {
		t.Error("led on though the same browser did not arrive before")
	}
	page := b.Open(u)
	p.browser().Open(continueLink(t, p, page))
	if !leadsOn(b, request()) {
		t.Error("not led on though the same browser arrived before")
	}
	b = p.farBrowser(homeAddr)
	page = b.Open(p.farClient("https://new.example/callback", mcpURL).AuthorizeURL())
	if page = p.browser().Open(continueLink(t, p, page)); page.Status != http.StatusUnauthorized {
		t.Fatalf("a new website without the owner's session = %d, want 401", page.Status)
	}
	if !leadsOn(b, request()) {
		t.Error("not led on though the same browser arrived before, to be told to prove that it is the owner's")
	}
}

// TestNewWebsite: only the owner can allow an answer to a website that was
// never approved, and has to confirm knowing the website.
func TestNewWebsite(t *testing.T) {
	p := startPublic(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	_, mcpURL := p.add(up.URL, nil)
	c := p.farClient("https://new.example/callback", mcpURL)
	link := continueLink(t, p, p.farBrowser(farAddr).Open(c.AuthorizeURL()))

	if page := p.browser().Open(link); page.Status != http.StatusUnauthorized || len(page.Forms) > 0 {
		t.Errorf("without the owner's session = %d, want 401 and no form", page.Status)
	}
	owner := p.owner()
	page := owner.Open(link)
	if page.Status != http.StatusOK || !strings.Contains(page.Body, `<dd class="unknown">`) {
		t.Fatalf("the page does not look different: %d\n%s", page.Status, page.Body)
	}
	form := owner.Form(page, page.URL.Path)
	answer := map[string]string{"api_key": up.Key(), "action": "approve"}
	if done := owner.Submit(form, answer); done.Location != "" || done.Status != http.StatusUnprocessableEntity {
		t.Fatalf("Approve without confirming the website = %d %q", done.Status, done.Location)
	}
	answer["confirmed"] = "1"
	done := owner.Submit(form, answer)
	c.CodeFrom(done.Location)

	again := p.farClient("https://new.example/callback", mcpURL)
	page = p.browser().Open(continueLink(t, p, p.farBrowser(farAddr).Open(again.AuthorizeURL())))
	if page.Status != http.StatusOK || strings.Contains(page.Body, `<dd class="unknown">`) {
		t.Errorf("a website that was approved looks new: %d", page.Status)
	}
}

// TestFloodOfStrangers: a sender with too many requests is refused, others
// notice nothing, and nothing is written to disk.
func TestFloodOfStrangers(t *testing.T) {
	p := startPublic(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, mcpURL := p.add(up.URL, nil)
	c := p.farClient("http://localhost:3118/callback", mcpURL)
	link := continueLink(t, p, p.farBrowser(homeAddr).Open(c.AuthorizeURL()))
	here := p.browser()
	consent := here.Open(link)
	code := c.CodeFrom(here.Submit(here.Form(consent, consent.URL.Path), map[string]string{"api_key": up.Key(), "action": "approve"}).Location)
	if status, body := c.Redeem(code); status != http.StatusOK {
		t.Fatalf("POST /token = %d %v", status, body)
	}

	metadata := must(json.Marshal(map[string]any{"redirect_uris": []string{"http://localhost/cb"}, "token_endpoint_auth_method": "none"}))
	register := func(from string) int {
		resp, err := p.far(from).Client().Post(publicOrigin+"/register", "application/json", bytes.NewReader(metadata))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	var refused int
	for range 200 {
		switch status := register("192.0.2.66"); status {
		case http.StatusCreated:
		case http.StatusTooManyRequests:
			refused++
		default:
			t.Fatalf("POST /register in a flood = %d", status)
		}
	}
	if refused == 0 || refused > 145 {
		t.Errorf("of 200 registrations from one address %d were refused, want most but the first 60", refused)
	}
	if status := register("192.0.2.67"); status != http.StatusCreated {
		t.Errorf("another address = %d, want 201", status)
	}
	if resp, body := p.farPost(slug, c.Access, initialize); resp.StatusCode != http.StatusOK {
		t.Errorf("a signed-in client after a flood = %d %s", resp.StatusCode, body)
	}
	if status, body := c.DoRefresh(c.Refresh); status != http.StatusOK {
		t.Errorf("a refresh after a flood = %d %v", status, body)
	}
	refused = 0
	for i := range 200 {
		flood := p.farBrowser("192.0.2.66")
		if page := flood.Open(c.AuthorizeURL() + fmt.Sprint("&n=", i)); page.Status == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 {
		t.Error("none of 200 authorization requests from one address was refused")
	}
	if page := p.farBrowser("192.0.2.67").Open(c.AuthorizeURL()); page.Status != http.StatusOK {
		t.Errorf("an authorization request of another address = %d, want 200", page.Status)
	}
}

// TestPauseClosesTunnel: a pause takes the public side offline, and a resume
// brings it back.
func TestPauseClosesTunnel(t *testing.T) {
	p := startPublic(t)
	if status, _ := p.api("POST", "/api/pause", nil); status != http.StatusOK {
		t.Fatalf("POST /api/pause = %d", status)
	}
	last := func() tunnel.Wish { w := p.wire.wished(); return w[len(w)-1] }
	if w := last(); !w.Paused || w.Provider != api.TunnelNgrok {
		t.Errorf("after a pause the tunnel is wanted as %+v, want it paused", w)
	}
	if st := p.shim.Status(); st.Tunnel.State != api.TunnelPaused || st.PublicOrigin == nil || *st.PublicOrigin != publicOrigin {
		t.Errorf("status while paused: %+v, %v", st.Tunnel, st.PublicOrigin)
	}
	p = p.restart()
	if st := p.shim.Status(); st.Tunnel.State != api.TunnelPaused {
		t.Errorf("after a restart: %q, want %q", st.Tunnel.State, api.TunnelPaused)
	}
	if status, _ := p.api("POST", "/api/resume", nil); status != http.StatusOK {
		t.Fatalf("POST /api/resume = %d", status)
	}
	p.waitOnline()
}

// No server may be ourselves: our public listener and our public name neither.
// The key would come back to us.
func TestOwnPublicSideIsNoServer(t *testing.T) {
	p := startPublic(t)
	for _, u := range []string{
		"http://" + p.wire.addr + "/abc/mcp", "http://localhost:" + p.wire.addr[strings.LastIndex(p.wire.addr, ":")+1:] + "/abc/mcp",
		publicOrigin + "/abc/mcp", strings.ToUpper(publicOrigin[:8]) + strings.ToUpper(publicHost) + "/abc/mcp", publicOrigin + ":443/abc/mcp",
	} {
		status, out := p.api("POST", "/api/slugs", map[string]any{"upstream_url": u, "api_key": "sk-own-public-side-0001"})
		if words, _ := out["error"].(string); status != http.StatusBadRequest || !strings.Contains(words, safedial.WhyOwn) {
			t.Errorf("adding %s = %d %v", u, status, out)
		}
	}
}

// TestOwnAddressesAreNoServers: no address of ours can be a server's, with a key or
// without, whichever of our names and ports it has.
func TestOwnAddressesAreNoServers(t *testing.T) {
	p := startPublic(t)
	slug, _ := p.add("http://127.0.0.1:1/mcp", nil)
	port := p.origin[strings.LastIndexByte(p.origin, ':'):]
	for _, u := range []string{
		p.origin + "/mcp", "http://localhost" + port + "/" + slug + "/mcp", "http://LOCALHOST" + port + "/mcp", "http://[::1]" + port + "/mcp", "https://127.0.0.1" + port + "/mcp",
		publicOrigin + "/mcp", publicOrigin + ":8443/" + slug + "/mcp", "https://" + strings.ToUpper(strings.TrimPrefix(publicOrigin, "https://")) + "./mcp",
		publicOrigin + ":80/mcp",
	} {
		for _, key := range []string{"", "sk-test-0123456789abcdef"} {
			status, out := p.api("POST", "/api/slugs", map[string]any{"upstream_url": u, "api_key": key})
			if words, _ := out["error"].(string); status != http.StatusBadRequest || words != web.TextOwnUpstream {
				t.Errorf("adding %s with key %q = %d %q, want 400 and %q", u, key, status, words, web.TextOwnUpstream)
			}
		}
		if status, out := p.api("PATCH", "/api/slugs/"+slug, map[string]any{"upstream_url": u}); status != http.StatusBadRequest {
			t.Errorf("changing a server's address to %s = %d %v, want 400", u, status, out)
		}
	}
}
