package shim_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// keys lists an object's fields, sorted.
func keys(m map[string]any) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

func TestAdminAPI(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})

	status, created := p.api("POST", "/api/slugs", map[string]any{"upstream_url": up.URL + "?team=7"})
	if status != http.StatusCreated {
		t.Fatalf("POST /api/slugs = %d %v", status, created)
	}
	slug := created["slug"].(string)
	if want := p.origin + "/" + slug + "/mcp"; created["mcp_endpoint"] != want || created["local_mcp_endpoint"] != want || created["display_name"] == "" {
		t.Errorf("POST /api/slugs = %v, want mcp_endpoint %s", created, want)
	}
	_, obj := p.api("GET", "/api/slugs/"+slug, nil)
	want := []string{"auth_header_name", "auth_header_prefix", "created", "credentials", "display_name", "last_used", "local_mcp_endpoint", "mcp_endpoint", "slug", "state", "upstream_url"}
	if got := keys(obj); !slices.Equal(got, want) {
		t.Errorf("GET /api/slugs/{slug} has the fields %v, want %v", got, want)
	}
	if obj["upstream_url"] != up.URL+"?\u2026" || obj["auth_header_name"] != "Authorization" || obj["auth_header_prefix"] != "Bearer " || obj["state"] != "key needed" {
		t.Errorf("GET /api/slugs/{slug} = %v", obj)
	}

	t.Run("key", func(t *testing.T) {
		if status, out := p.api("PUT", "/api/slugs/"+slug+"/key", map[string]any{"api_key": "sk-wrong"}); status != http.StatusBadRequest || out["error"] == "" {
			t.Errorf("PUT of a wrong key = %d %v, want 400 and why", status, out)
		}
		if status, out := p.api("PUT", "/api/slugs/"+slug+"/key", map[string]any{"api_key": up.Key()}); status != http.StatusNoContent {
			t.Fatalf("PUT of the key = %d %v", status, out)
		}
		_, obj := p.api("GET", "/api/slugs/"+slug, nil)
		cred := obj["credentials"].([]any)[0].(map[string]any)
		if got, want := keys(cred), []string{"for", "id", "label", "state"}; !slices.Equal(got, want) {
			t.Errorf("a credential has the fields %v, want %v", got, want)
		}
		if cred["for"] != "owner" || cred["label"] != "key 1" || cred["state"] != "ok" || obj["state"] != "ok" {
			t.Errorf("after the key: %v", obj)
		}
		if status, _ := p.api("PUT", "/api/slugs/"+slug+"/key", map[string]any{"api_key": up.Key()}); status != http.StatusNoContent {
			t.Errorf("PUT without credential on the only key = %d, want 204", status)
		}
	})
	t.Run("patch", func(t *testing.T) {
		status, obj := p.api("PATCH", "/api/slugs/"+slug, map[string]any{"display_name": "Team seven"})
		if status != http.StatusOK || obj["display_name"] != "Team seven" || len(obj["credentials"].([]any)) != 1 {
			t.Errorf("PATCH of the name = %d %v", status, obj)
		}
		for _, name := range []string{"", " ", "\u200b\u2060"} {
			if status, out := p.api("PATCH", "/api/slugs/"+slug, map[string]any{"display_name": name}); status != http.StatusBadRequest || out["error"] == "" {
				t.Errorf("the name %q = %d %v, want 400", name, status, out)
			}
		}
		if status, out := p.api("PATCH", "/api/slugs/"+slug, map[string]any{"auth_header_name": "Host"}); status != http.StatusBadRequest {
			t.Errorf("PATCH of the header to Host = %d %v", status, out)
		}
		if status, out := p.api("PATCH", "/api/slugs/"+slug, map[string]any{"dispaly_name": "x"}); status != http.StatusBadRequest || !strings.Contains(out["error"].(string), "dispaly_name") {
			t.Errorf("PATCH of a misspelt field = %d %v", status, out)
		}
	})
	t.Run("P21 another upstream URL drops the keys", func(t *testing.T) {
		other := shimtest.NewUpstream(t, shimtest.Options{})
		status, obj := p.api("PATCH", "/api/slugs/"+slug, map[string]any{"upstream_url": other.URL})
		if status != http.StatusOK || obj["state"] != "not tried" && obj["state"] != "key needed" {
			t.Errorf("PATCH of the URL = %d %v, want no usable key left", status, obj)
		}
		if len(other.Requests()) != 0 {
			t.Errorf("the new upstream was sent %d requests", len(other.Requests()))
		}
	})
	t.Run("delete", func(t *testing.T) {
		if status, _ := p.api("DELETE", "/api/slugs/"+slug, nil); status != http.StatusNoContent {
			t.Errorf("DELETE = %d, want 204", status)
		}
		if status, out := p.api("GET", "/api/slugs/"+slug, nil); status != http.StatusNotFound || out["error"] == "" {
			t.Errorf("GET of a deleted endpoint = %d %v", status, out)
		}
		if _, out := p.api("GET", "/api/slugs", nil); len(out["slugs"].([]any)) != 0 {
			t.Errorf("GET /api/slugs = %v, want an empty list", out)
		}
	})
	t.Run("without the token", func(t *testing.T) {
		for _, token := range []string{"", "k2o_admin_wrong"} {
			req, _ := http.NewRequest("GET", p.origin+"/api/slugs", nil)
			if token != "" {
				req.Header.Set("Authorization", "Bearer "+token)
			}
			if status, out := p.send(req); status != http.StatusUnauthorized || out["error"] == "" {
				t.Errorf("token %q: %d %v, want 401", token, status, out)
			}
		}
	})
}

// TestBadEndpoints tries what people mistype, and what upstreams answer, when
// an endpoint is added together with its key.
func TestBadEndpoints(t *testing.T) {
	p := start(t)
	tests := []struct {
		name   string
		fault  shimtest.Fault
		in     map[string]any
		status int
		words  string
	}{
		{name: "no URL", in: map[string]any{"upstream_url": ""}, status: 400, words: "URL"},
		{name: "not a URL", in: map[string]any{"upstream_url": "weather"}, status: 400, words: "http"},
		{name: "ftp", in: map[string]any{"upstream_url": "ftp://example.com/mcp"}, status: 400, words: "http"},
		{name: "metadata address", in: map[string]any{"upstream_url": "http://169.254.169.254/latest"}, status: 400},
		{name: "http in public", in: map[string]any{"upstream_url": "http://93.184.216.34/mcp"}, status: 400, words: "https"},
		{name: "hop-by-hop header", in: map[string]any{"auth_header_name": "Connection"}, status: 400, words: "Connection"},
		{name: "Host as header", in: map[string]any{"auth_header_name": "Host"}, status: 400, words: "Host"},
		{name: "key with a newline inside", in: map[string]any{"api_key": "sk-a\nsk-b"}, status: 400, words: "line"},
		{name: "key that is not ASCII", in: map[string]any{"api_key": "sk-\u00e9t\u00e9"}, status: 400},
		{name: "key of 10 kB", in: map[string]any{"api_key": strings.Repeat("k", 10_000)}, status: 400, words: "long"},
		{name: "wrong key", in: map[string]any{"api_key": "sk-wrong"}, status: 400},
		{name: "HTML", fault: shimtest.HTML(), status: 400, words: "web page"},
		{name: "JSON that is no JSON-RPC", fault: shimtest.NotJSONRPC(), status: 400},
		{name: "redirect elsewhere", fault: shimtest.Redirect(302, "https://login.example/"), status: 400, words: "login.example"},
		{name: "403", fault: shimtest.Status(403, `{"error":"no access"}`), status: 400, words: "403"},
		{name: "429", fault: shimtest.Status(429, "slow down"), status: 201},
		{name: "500", fault: shimtest.Status(500, "oops"), status: 201},
		{name: "closes mid-stream", fault: shimtest.CutMidStream(), status: 201},
		{name: "good", status: 201},
		{name: "good key with Bearer and newlines around", in: map[string]any{"api_key": "\n Bearer " + shimtest.DefaultKey + " \n"}, status: 201},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			up := shimtest.NewUpstream(t, shimtest.Options{})
			if tt.fault != nil {
				up.Break(tt.fault)
			}
			in := map[string]any{"upstream_url": up.URL, "api_key": up.Key()}
			for k, v := range tt.in {
				in[k] = v
			}
			_, before := p.api("GET", "/api/slugs", nil)
			status, out := p.api("POST", "/api/slugs", in)
			if status != tt.status {
				t.Fatalf("POST /api/slugs = %d %v, want %d", status, out, tt.status)
			}
			words := fmt.Sprint(out["error"], out["note"])
			if !strings.Contains(words, tt.words) {
				t.Errorf("says %q, want %q in it", words, tt.words)
			}
			if strings.Contains(words, up.Key()) {
				t.Errorf("the answer repeats the key")
			}
			if _, after := p.api("GET", "/api/slugs", nil); status != 201 && len(after["slugs"].([]any)) != len(before["slugs"].([]any)) {
				t.Error("a refused endpoint was saved")
			}
		})
	}
}

// TestUsualHeaders checks that the header an upstream expects is found and
// named.
func TestUsualHeaders(t *testing.T) {
	p := start(t)
	for _, want := range []string{"X-Api-Key", "Api-Key", "Authorization"} {
		up := shimtest.NewUpstream(t, shimtest.Options{Header: want})
		status, out := p.api("POST", "/api/slugs", map[string]any{"upstream_url": up.URL, "api_key": up.Key()})
		if status != http.StatusCreated || !strings.Contains(fmt.Sprint(out["note"]), want) {
			t.Fatalf("upstream that wants %s: %d %v, want the header named", want, status, out)
		}
		_, obj := p.api("GET", "/api/slugs/"+out["slug"].(string), nil)
		if obj["auth_header_name"] != want || obj["auth_header_prefix"] != "" {
			t.Errorf("saved header %q with prefix %q, want %s alone", obj["auth_header_name"], obj["auth_header_prefix"], want)
		}
	}
	up := shimtest.NewUpstream(t, shimtest.Options{Header: "X-Api-Key"})
	if status, out := p.api("POST", "/api/slugs", map[string]any{"upstream_url": up.URL, "api_key": up.Key(), "auth_header_name": "Authorization", "auth_header_prefix": "Token "}); status != http.StatusBadRequest {
		t.Errorf("a header that the owner chose was changed: %d %v", status, out)
	}
}

// TestWrongKeyCost: once it is known in which header a server wants its key, or
// where a stranger pastes it, a wrong key costs one failed sign-in.
func TestWrongKeyCost(t *testing.T) {
	p := start(t)
	const wrong = "wrong-key-000"
	add := func(opts shimtest.Options, more map[string]any) (*shimtest.Upstream, string, string) {
		up := shimtest.NewUpstream(t, opts)
		slug, mcpURL := p.add(up.URL, more)
		up.Reset()
		return up, slug, mcpURL
	}
	refused := func(what string, up *shimtest.Upstream, want int) {
		t.Helper()
		n := 0
		for _, r := range up.Requests() {
			if strings.Contains(fmt.Sprint(r.Header), wrong) {
				n++
			}
		}
		if n != want {
			t.Errorf("%s: the server saw the wrong key %d times, want %d", what, n, want)
		}
	}
	put := func(slug, key string) int {
		status, _ := p.api("PUT", "/api/slugs/"+slug+"/key", map[string]any{"api_key": key})
		return status
	}
	for _, header := range []string{"X-Api-Key", "Authorization"} {
		up, slug, _ := add(shimtest.Options{Header: header}, nil)
		put(slug, wrong)
		refused(header+" is not known", up, 3)
		if status := put(slug, up.Key()); status != http.StatusNoContent {
			t.Errorf("the right key: %d", status)
		}
		up.Reset()
		put(slug, wrong)
		refused(header+" was learned", up, 1)
	}
	up, slug, _ := add(shimtest.Options{}, map[string]any{"auth_header_name": "Authorization", "auth_header_prefix": "Bearer "})
	put(slug, wrong)
	refused("the owner chose the header", up, 1)

	up, _, mcpURL := add(shimtest.Options{}, nil)
	paste := map[string]string{"api_key": wrong, "action": "approve"}
	p.browser().Consent(p.client(mcpURL).AuthorizeURL(), paste)
	refused("a stranger pastes it", up, 1)
	up.Reset()
	p.owner().Consent(p.client(mcpURL).AuthorizeURL(), paste)
	refused("the owner pastes it", up, 3)
	paste["api_key"] = up.Key()
	c := p.client(mcpURL)
	c.CodeFrom(p.browser().Consent(c.AuthorizeURL(), paste).Location)
	up.Reset()
	paste["api_key"] = wrong
	p.owner().Consent(p.client(mcpURL).AuthorizeURL(), paste)
	refused("the owner pastes it, after a good one", up, 1)
}

// TestHeaderSpelling: a header is shown as it was typed.
func TestHeaderSpelling(t *testing.T) {
	p := start(t)
	for _, name := range []string{"CONTEXT7_API_KEY", "X-API-Key", "x-figma-token"} {
		slug, _ := p.add("http://127.0.0.1:1/mcp", map[string]any{"auth_header_name": name, "auth_header_prefix": ""})
		if _, obj := p.api("GET", "/api/slugs/"+slug, nil); obj["auth_header_name"] != name {
			t.Errorf("%s is shown as %v", name, obj["auth_header_name"])
		}
		if page := p.owner().Open("/servers/" + slug); !strings.Contains(page.Body, name) {
			t.Errorf("%s is not on the server's page (%d)", name, page.Status)
		}
	}
}

// TestHeaderLearnedAtConsent: the owner need not know in which header a server
// wants the key.
func TestHeaderLearnedAtConsent(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{Header: "X-Api-Key"})
	slug, mcpURL := p.add(up.URL, nil)
	c := p.client(mcpURL)
	page := p.owner().Consent(c.AuthorizeURL(), map[string]string{"api_key": up.Key(), "action": "approve"})
	if status, body := c.Redeem(c.CodeFrom(page.Location)); status != http.StatusOK {
		t.Fatalf("POST /token = %d %v", status, body)
	}
	toolCount(t, session(t, mcpURL, c.Access))
	if _, obj := p.api("GET", "/api/slugs/"+slug, nil); obj["auth_header_name"] != "X-Api-Key" {
		t.Errorf("the header is %v", obj["auth_header_name"])
	}
}

func TestPause(t *testing.T) {
	p := start(t)
	_, mcpURL, c := p.connect()
	s := session(t, mcpURL, c.Access)
	toolCount(t, s)

	cut := make(chan error, 1)
	go func() { cut <- s.Wait() }()
	if status, _ := p.api("POST", "/api/pause", nil); status != http.StatusOK {
		t.Fatalf("POST /api/pause = %d", status)
	}
	begin := time.Now()
	resp, _ := p.post(mcpURL, c.Access, initialize)
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("call while paused = %d, want 503 with Retry-After", resp.StatusCode)
	}
	if resp, _ := p.post(mcpURL, "", initialize); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("call without a token while paused = %d, want 401", resp.StatusCode)
	}
	if resp, err := http.Get(p.origin + "/.well-known/oauth-authorization-server"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("metadata while paused: %v %v", resp, err)
	}
	t.Logf("paused after %v", time.Since(begin))

	p = p.restart()
	if !p.shim.Status().Paused {
		t.Error("a restart ended the pause")
	}
	if status, _ := p.api("POST", "/api/resume", nil); status != http.StatusOK {
		t.Fatal("POST /api/resume failed")
	}
	toolCount(t, session(t, mcpURL, c.Access))
}

func TestRevokeCutsStreams(t *testing.T) {
	p := start(t)
	_, mcpURL, c := p.connect()
	resp, _ := p.post(mcpURL, c.Access, initialize)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", mcpURL, nil)
	req.Header.Set("Authorization", "Bearer "+c.Access)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Mcp-Session-Id", resp.Header.Get("Mcp-Session-Id"))
	stream, err := http.DefaultClient.Do(req)
	if err != nil || stream.StatusCode != http.StatusOK {
		t.Fatalf("GET stream: %v %v", stream, err)
	}
	defer stream.Body.Close()
	ended := make(chan time.Time, 1)
	go func() {
		sc := bufio.NewScanner(stream.Body)
		for sc.Scan() {
		}
		ended <- time.Now()
	}()
	_, out := p.api("GET", "/api/grants", nil)
	grant := out["grants"].([]any)[0].(map[string]any)
	want := []string{"app", "client_id", "client_name", "created", "credential", "id", "last_used", "origin", "redirect_host", "returns_to", "slug"}
	if got := keys(grant); !slices.Equal(got, want) {
		t.Errorf("a grant has the fields %v, want %v", got, want)
	}
	begin := time.Now()
	if status, _ := p.api("DELETE", "/api/grants/"+grant["id"].(string), nil); status != http.StatusNoContent {
		t.Fatalf("DELETE of the grant = %d", status)
	}
	select {
	case at := <-ended:
		if d := at.Sub(begin); d > 10*time.Second {
			t.Errorf("the stream ended after %v, want within a second", d)
		}
	case <-ctx.Done():
		t.Fatal("the stream lived on after its grant")
	}
	if resp, _ := p.post(mcpURL, c.Access, initialize); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("revoked token = %d, want 401", resp.StatusCode)
	}
	if status, body := c.DoRefresh(c.Refresh); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
		t.Errorf("revoked refresh token = %d %v, want invalid_grant", status, body)
	}
}

func TestEvents(t *testing.T) {
	p := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", p.origin+"/api/events", nil)
	req.Header.Set("Authorization", "Bearer "+p.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	sc := bufio.NewScanner(resp.Body)
	next := func() string {
		for sc.Scan() {
			if data, ok := strings.CutPrefix(sc.Text(), "data: "); ok {
				return data
			}
		}
		t.Fatalf("the stream ended: %v", sc.Err())
		return ""
	}
	if got := next(); !strings.Contains(got, `"paused":false`) {
		t.Errorf("first event: %s", got)
	}
	if err := p.shim.SetPaused(true); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(next(), `"paused":true`) {
	}
}
