package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestDiscoveryThroughTunnel sends requests as clients on the internet do, and
// as an attacker who tries to inject another host name.
func TestDiscoveryThroughTunnel(t *testing.T) {
	t.Parallel()
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	a := startTunneled(t)
	e := a.addEndpoint("Linear", up.URL, "")
	const server, resource = "/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource"
	ask := func(t *testing.T, method, path string, header ...string) reply {
		t.Helper()
		req, err := http.NewRequest(method, publicOrigin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		return send(t, a.http(), req)
	}
	decode := func(t *testing.T, r reply) (m map[string]any) {
		t.Helper()
		if err := json.Unmarshal([]byte(r.Body), &m); r.Status != http.StatusOK || err != nil {
			t.Fatalf("got %d %q, want JSON", r.Status, r.Body)
		}
		return m
	}
	t.Run("D01 issuer", func(t *testing.T) {
		if got := decode(t, ask(t, "GET", server))["issuer"]; got != publicOrigin {
			t.Errorf("the issuer is %v, want %s", got, publicOrigin)
		}
	})
	t.Run("D08 resource", func(t *testing.T) {
		got := decode(t, ask(t, "GET", resource+"/"+e.Slug+"/mcp"))
		if got["resource"] != e.MCP {
			t.Errorf("the resource is %v, want %s", got["resource"], e.MCP)
		}
		if diff := cmp.Diff([]any{publicOrigin}, got["authorization_servers"]); diff != "" {
			t.Errorf("authorization servers (-want +got):\n%s", diff)
		}
	})
	t.Run("D10 no document for the whole origin", func(t *testing.T) {
		if got := ask(t, "GET", resource); got.Status != http.StatusNotFound {
			t.Errorf("got %d %s, want 404", got.Status, got.Body)
		}
	})
	t.Run("D15 forged names", func(t *testing.T) {
		for _, path := range []string{server, resource + "/" + e.Slug + "/mcp"} {
			want := ask(t, "GET", path).Body
			got := ask(t, "GET", path, "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "http", "Forwarded", "host=evil.example").Body
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("forged headers change %s (-want +got):\n%s", path, diff)
			}
		}
	})
	t.Run("W01 challenge", func(t *testing.T) {
		want := `resource_metadata="` + publicOrigin + resource + "/" + e.Slug + `/mcp"`
		for _, method := range []string{"POST", "GET", "DELETE"} {
			got := ask(t, method, "/"+e.Slug+"/mcp", "X-Forwarded-Host", "evil.example")
			if c := got.Header.Values("WWW-Authenticate"); got.Status != http.StatusUnauthorized || len(c) != 1 || !strings.HasPrefix(c[0], "Bearer ") || !strings.Contains(c[0], want) {
				t.Errorf("%s = %d with the challenge %q, want 401 with %s", method, got.Status, c, want)
			}
		}
	})
	t.Run("W06 T16 tokens of two origins", func(t *testing.T) {
		far := signedIn(t, a, e.MCP, up.Key())
		here := signedInHere(t, a, e, up.Key())
		for _, tt := range []struct {
			u        *user
			endpoint string
			want     int
		}{
			{far, e.MCP, http.StatusOK}, {here, e.Local, http.StatusOK},
			{far, e.Local, http.StatusUnauthorized}, {here, e.MCP, http.StatusUnauthorized},
		} {
			via := fresh
			if tt.endpoint == e.MCP {
				via = a.http()
			}
			if got := post(t, via, tt.endpoint, tt.u.Access, ping).Status; got != tt.want {
				t.Errorf("a token of %s at %s = %d, want %d", tt.u.Issuer, tt.endpoint, got, tt.want)
			}
		}
		if status, body := here.PostForm("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {far.Refresh}, "client_id": {far.ID}}); status != http.StatusBadRequest {
			t.Errorf("a refresh token at the other origin = %d %v, want 400", status, body)
		}
		far.mustAll("after a try at the other origin")
	})
	t.Run("X05 pages of other sites", func(t *testing.T) {
		u := signedIn(t, a, e.MCP, up.Key())
		for origin, want := range map[string]int{"null": http.StatusForbidden, "https://claude.ai": http.StatusOK, "http://evil.example": http.StatusForbidden} {
			req, err := http.NewRequest("POST", e.MCP, strings.NewReader(ping))
			if err != nil {
				t.Fatal(err)
			}
			mcpHeader(req, u.Access)
			req.Header.Set("Origin", origin)
			if got := send(t, a.http(), req); got.Status != want {
				t.Errorf("Origin %s = %d, want %d", origin, got.Status, want)
			}
		}
	})
}

// TestProxyThroughTunnel checks that upstream and client exchange the same
// messages as without a tunnel.
func TestProxyThroughTunnel(t *testing.T) {
	t.Parallel()
	a := startTunneled(t)
	newUser := func(t *testing.T, o shimtest.Options) (*user, *shimtest.Upstream) {
		t.Helper()
		up := shimtest.NewUpstream(t, o)
		return signedIn(t, a, a.url(a.addEndpoint("Linear", up.URL, "")), up.Key()), up
	}
	t.Run("P01 P03 what the upstream sees", func(t *testing.T) {
		u, up := newUser(t, shimtest.Options{Stateless: true, JSON: true})
		up.Reset()
		u.mustCall("signed in")
		got := up.Last()
		for name := range got.Header {
			if n := strings.ToLower(name); strings.HasPrefix(n, "x-forwarded") || strings.HasPrefix(n, "ngrok") || n == "forwarded" {
				t.Errorf("the upstream sees %s: %q", name, got.Header[name])
			}
		}
		if up.Saw(u.Access) || up.Saw(strings.TrimPrefix(publicOrigin, "https://")) {
			t.Error("the upstream sees the client's token or our public name")
		}
	})
	for _, tt := range []struct {
		name   string
		stream bool // the upstream has already sent headers
	}{{"P12 client that leaves before the headers", false}, {"P12 client that leaves a silent stream", true}} {
		t.Run(tt.name, func(t *testing.T) {
			u, up := newUser(t, shimtest.Options{Stateless: true, JSON: true})
			begun, left := make(chan struct{}), make(chan struct{})
			up.Break(func(w http.ResponseWriter, r *http.Request) bool {
				io.Copy(io.Discard, r.Body)
				if tt.stream {
					w.Header().Set("Content-Type", "text/event-stream")
					http.NewResponseController(w).Flush()
				}
				close(begun)
				<-r.Context().Done()
				close(left)
				return true
			})
			ctx, leave := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, "POST", u.Resource, strings.NewReader(ping))
			if err != nil {
				t.Fatal(err)
			}
			mcpHeader(req, u.Access)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if resp, err := u.http.Do(req); err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}()
			mustHappen(t, patience, "the call is at the upstream", begun)
			leave()
			mustHappen(t, soon, "the upstream's side is closed", left)
			mustHappen(t, soon, "the client's side is closed", ended)
		})
	}
	t.Run("P14 much at once", func(t *testing.T) {
		u, _ := newUser(t, shimtest.Options{Stateless: true})
		const answer, question = 10 << 20, 1 << 20
		got, err := callTool(u.http, u.Resource, u.Access, "big", map[string]any{"bytes": answer})
		if err != nil || !got.says(strings.Repeat("x", answer)) {
			t.Errorf("an event of %d bytes = %d with %d bytes, %v", answer, got.Status, len(got.Body), err)
		}
		if e := got.Header.Get("Content-Encoding"); e != "" {
			t.Errorf("the answer is compressed: %s", e)
		}
		text := strings.Repeat("0123456789abcdef", question/16)
		if got, err = callTool(u.http, u.Resource, u.Access, "echo", map[string]string{"text": text}); err != nil || !got.says(text) {
			t.Errorf("an echo of %d bytes = %d with %d bytes, %v", len(text), got.Status, len(got.Body), err)
		}
	})
	t.Run("P23 a hundred streams", func(t *testing.T) {
		testenv.Slow(t)
		u, up := newUser(t, shimtest.Options{Stateless: true, JSON: true})
		up.Break(ticking())
		var streams []*follower
		for range 100 {
			streams = append(streams, follow(openStream(t, u.http, u.Resource, u.Access)))
		}
		for i, s := range streams {
			s.goesOn(t, fmt.Sprintf("stream %d of 100", i+1))
		}
		u.mustCall("among a hundred streams")
		if status, body := u.PostForm("/revoke", url.Values{"token": {u.Refresh}, "client_id": {u.ID}}); status != http.StatusOK {
			t.Fatalf("POST /revoke = %d %v", status, body)
		}
		for deadline := time.Now().Add(soon); len(streams) > 0; streams = streams[1:] {
			streams[0].endsBy(t, time.Until(deadline), "the grant is revoked")
		}
	})
}

// mustHappen waits until happened is closed. what describes the event.
func mustHappen(t testing.TB, within time.Duration, what string, happened <-chan struct{}) {
	t.Helper()
	select {
	case <-happened:
	case <-time.After(within):
		t.Fatalf("after %v it is still not true that %s", within, what)
	}
}
