package e2e

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestT14KilledBetweenRotationAndAnswer kills the program at a random moment
// during a refresh, and the client never sees the response. The token that the
// client still has must work, whether or not the rotation was saved.
func TestT14KilledBetweenRotationAndAnswer(t *testing.T) {
	t.Parallel()
	up := shimtest.NewUpstream(t, shimtest.Options{})
	a := startApp(t)
	e := a.addEndpoint("Linear", up.URL, up.Key())
	c := oauthClient(t, a, "http://127.0.0.1:1/callback", e.Local)
	c.Connect(shimtest.NewBrowser(t, a.origin), up.Key())

	const rounds = 8
	saved := 0
	for i := range rounds {
		old := c.Refresh
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {old}, "client_id": {c.ID}}
		answered := make(chan bool, 1)
		go func() {
			resp, err := http.PostForm(a.origin+"/token", form)
			if err == nil {
				resp.Body.Close()
			}
			answered <- err == nil
		}()
		// The first kill comes after the response, which guarantees one saved rotation.
		// The others come at random moments.
		var ok bool
		if i == 0 {
			ok = <-answered
			a.kill()
		} else {
			time.Sleep(rand.N(4 * time.Millisecond))
			a.kill()
			ok = <-answered
		}
		if ok {
			saved++
		}
		a.start()
		if status, body := c.DoRefresh(old); status != http.StatusOK {
			t.Fatalf("round %d: the token from before the kill = %d %v, want 200", i, status, body)
		}
		if c.Refresh == old {
			t.Fatalf("round %d: the refresh token was not rotated", i)
		}
	}
	if saved == 0 {
		t.Error("no rotation was saved before a kill, so nothing was proven")
	}
	t.Logf("in %d of %d rounds the rotation was answered before the kill", saved, rounds)
}
