package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

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
