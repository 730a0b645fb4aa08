package shim_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// plain is a client that follows no redirects.
var plain = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func send(t *testing.T, method, u, body string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(method, u, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := plain.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(strings.NewReader(string(b)))
	return resp
}

func TestD10RootResourceMetadata(t *testing.T) {
	p := start(t)
	root := p.origin + "/.well-known/oauth-protected-resource"
	up := shimtest.NewUpstream(t, shimtest.Options{})
	if resp := send(t, "GET", root, ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("without an endpoint = %d, want 404", resp.StatusCode)
	}
	_, mcpURL := p.add(up.URL, nil)
	resp := send(t, "GET", root, "")
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || !strings.Contains(string(b), mcpURL) {
		t.Errorf("with one endpoint = %d %s, want %s", resp.StatusCode, b, mcpURL)
	}
	p.add(up.URL, nil)
	if resp := send(t, "GET", root, ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("with two endpoints = %d, want 404", resp.StatusCode)
	}
}

func TestT13TrailingSlashes(t *testing.T) {
	p := start(t)
	tests := []struct {
		path, contentType, body string
		want                    int
	}{
		{"/token/", "application/x-www-form-urlencoded", "grant_type=refresh_token&client_id=x", http.StatusUnauthorized},
		{"/register/", "application/json", `{"redirect_uris":["http://127.0.0.1/cb"]}`, http.StatusCreated},
		{"/revoke/", "application/x-www-form-urlencoded", "token=x&client_id=x", http.StatusUnauthorized},
	}
	for _, tt := range tests {
		for _, path := range []string{tt.path, strings.TrimSuffix(tt.path, "/")} {
			if resp := send(t, "POST", p.origin+path, tt.body, "Content-Type", tt.contentType); resp.StatusCode != tt.want {
				t.Errorf("POST %s = %d, want %d", path, resp.StatusCode, tt.want)
			}
		}
	}
}

// TestP17Paths: each spelling of an endpoint's path reaches that endpoint
// without a redirect, and no other path does.
func TestP17P18Paths(t *testing.T) {
	p := start(t)
	up, mcpURL, c := p.connect()
	u, _ := url.Parse(mcpURL)
	base := p.origin + strings.TrimSuffix(u.Path, "/mcp")
	header := []string{"Content-Type", "application/json", "Accept", "application/json, text/event-stream", "Authorization", "Bearer " + c.Access}
	for _, path := range []string{"/mcp", "/mcp/", "", "/"} {
		if resp := send(t, "POST", base+path, initialize, header...); resp.StatusCode != http.StatusOK {
			t.Errorf("POST /{slug}%s = %d, want 200", path, resp.StatusCode)
		}
	}
	before := len(up.Requests())
	for _, path := range []string{"/mcp/../x", "/mcp/%2e%2e/x", "/mcp%2f..%2fx", "/../x", "//mcp", "/mcp//", "/mcpx", "/other", "/mcp/..;/x", "/mcp/%252e%252e/x"} {
		if resp := send(t, "POST", base+path, initialize, header...); resp.StatusCode != http.StatusNotFound {
			t.Errorf("POST /{slug}%s = %d, want 404", path, resp.StatusCode)
		}
	}
	if after := len(up.Requests()); after != before {
		t.Errorf("%d of the bad paths reached the upstream", after-before)
	}
	if resp := send(t, "POST", p.origin+"/aaaaaaaaaaaa/mcp", initialize, header...); resp.StatusCode != http.StatusNotFound {
		t.Errorf("unknown slug = %d, want 404", resp.StatusCode)
	}
	if resp := send(t, "GET", mcpURL, "", "Sec-Fetch-Mode", "navigate"); !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		t.Errorf("a person who opens the MCP URL in a browser gets %q, want a page", resp.Header.Get("Content-Type"))
	}
}

// TestW01W04ChallengeFirst requests an endpoint in every way that clients do
// before they have a token.
func TestW01W04ChallengeFirst(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, mcpURL := p.add(up.URL, map[string]any{"display_name": "W\u00e4tter"})
	up.Reset() // it was asked once, to see whether it is there
	want := `Bearer realm="Key2OAuth", resource_metadata="` + p.origin + `/.well-known/oauth-protected-resource/` + slug + `/mcp", scope="mcp"`
	tests := []struct {
		name, method, body string
		header             []string
	}{
		{"POST", "POST", initialize, nil},
		{"GET", "GET", "", nil},
		{"DELETE", "DELETE", "", nil},
		{"empty POST", "POST", "", nil},
		{"not JSON", "POST", "{", nil},
		{"Accept of a browser", "GET", "", []string{"Accept", "text/html"}},
		{"mcp-remote's probe", "GET", "", []string{"Accept", "application/json, text/event-stream"}},
		{"token in the query", "GET", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := mcpURL
			if tt.name == "token in the query" {
				u += "?access_token=x"
			}
			resp := send(t, tt.method, u, tt.body, tt.header...)
			got := resp.Header["Www-Authenticate"]
			if resp.StatusCode != http.StatusUnauthorized || len(got) != 1 || got[0] != want {
				t.Errorf("%d %q, want 401 %q", resp.StatusCode, got, want)
			}
		})
	}
	if n := len(up.Requests()); n != 0 {
		t.Errorf("%d requests without a token reached the upstream", n)
	}
}

// TestW06Audience uses a token at endpoints that it was not issued for.
func TestW06Audience(t *testing.T) {
	p := start(t)
	_, mcpURL, c := p.connect()
	up := shimtest.NewUpstream(t, shimtest.Options{})
	_, other := p.add(up.URL, nil)
	if resp, _ := p.post(other, c.Access, initialize); resp.StatusCode != http.StatusUnauthorized || !strings.Contains(resp.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("token of one endpoint on another = %d %q", resp.StatusCode, resp.Header.Get("WWW-Authenticate"))
	}
	// The same state on another origin: the token was not issued there.
	p.stop()
	p = startIn(t, p.dir, "127.0.0.1:0")
	u, _ := url.Parse(mcpURL)
	if resp, _ := p.post(p.origin+u.Path, c.Access, initialize); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("token of one origin on another = %d, want 401", resp.StatusCode)
	}
}

// TestX06OwnerPathsAreNotPublic asks an origin's handler, which is all that a
// tunnel gets, for everything that belongs to the owner.
func TestX06OwnerPathsAreNotPublic(t *testing.T) {
	p := start(t)
	h := p.shim.PublicRoutes()
	for _, path := range []string{"/", "/api/slugs", "/api/status", "/open", "/consent/x", "/servers", "/pause", "/sign-out", "/grants/x/revoke", "/keychain/unlock"} {
		for _, method := range []string{"GET", "POST"} {
			if got := h(method, path); got != http.StatusNotFound {
				t.Errorf("%s %s on a public origin = %d, want 404", method, path, got)
			}
		}
	}
}
