package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/tunnel"
)

// soon is the limit for what takes a second at most, with a margin for a busy
// machine.
const soon = 10 * time.Second

// TestPauseThroughTunnel pauses with a stream open, restarts the program, and
// resumes.
func TestPauseThroughTunnel(t *testing.T) {
	t.Parallel()
	a := startTunneled(t)
	u, local, far, here := onBothSides(t, a)
	far.goesOn(t, "before the pause")
	here.goesOn(t, "before the pause")

	a.api("POST", "/api/pause", nil, nil)
	far.endsBy(t, soon, "paused")
	here.endsBy(t, soon, "paused")
	eventually(t, soon, "the edge has no agent to pass calls to", func() bool { return u.offline() })
	if got := local.call(); got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
		t.Errorf("a call on this machine = %d, want 503 with Retry-After", got.Status)
	}
	mustSayPaused := func(when string) {
		t.Helper()
		if st := a.status(); !st.Paused || st.Tunnel.State != "paused" {
			t.Errorf("%s: the status is %+v, want paused", when, st)
		}
		if out := a.run("", "status"); !strings.Contains(unwrapped(out), tunnel.WordsPaused) {
			t.Errorf("%s: key2oauth status says nothing of a pause:\n%s", when, out)
		}
	}
	mustSayPaused("paused")
	a.kill()
	a.start()
	mustSayPaused("restarted")
	if !u.offline() {
		t.Error("after the restart the edge passes calls on")
	}
	if n := a.world.Sessions(); n != 0 {
		t.Errorf("while paused there are %d sessions with the edge", n)
	}

	a.api("POST", "/api/resume", nil, nil)
	a.waitOnline()
	u.mustAll("resumed")
	local.mustAll("resumed")
	if st := a.status(); st.PublicOrigin == nil || *st.PublicOrigin != publicOrigin {
		t.Errorf("after the pause the public origin is %v, want %s", st.PublicOrigin, publicOrigin)
	}
}

// TestGoOfflineThroughTunnel closes only the public side.
func TestGoOfflineThroughTunnel(t *testing.T) {
	t.Parallel()
	a := startTunneled(t)
	u, local, far, here := onBothSides(t, a)
	far.goesOn(t, "online")

	a.api("PUT", "/api/tunnel", map[string]string{"provider": "off"}, nil)
	far.endsBy(t, soon, "offline")
	eventually(t, soon, "the edge has no agent to pass calls to", func() bool { return u.offline() })
	here.goesOn(t, "offline")
	local.mustCall("offline")
	if st := a.tunnel(); st.State != "off" || st.Words == "" {
		t.Errorf("the tunnel is %+v, want off in words", st)
	}

	a.api("PUT", "/api/tunnel", map[string]string{"provider": "ngrok"}, nil)
	a.waitOnline()
	here.goesOn(t, "online again")
	u.mustAll("online again")
	local.mustAll("online again")
}

// onBothSides signs in one user through the tunnel and one on this machine, and
// opens a stream to each.
func onBothSides(t testing.TB, a *app) (u, local *user, far, here *follower) {
	t.Helper()
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true})
	up.Break(ticking())
	e := a.addEndpoint("Linear", up.URL, "")
	u = signedIn(t, a, a.url(e), up.Key())
	local = signedInHere(t, a, e, up.Key())
	far = follow(openStream(t, u.http, u.Resource, u.Access))
	here = follow(openStream(t, fresh, local.Resource, local.Access))
	return u, local, far, here
}

// signedInHere signs in on the loopback side of a program that has a tunnel.
func signedInHere(t testing.TB, a *app, e endpointInfo, key string) *user {
	t.Helper()
	here := *a
	here.world = nil
	return signedIn(t, &here, e.Local, key)
}

// offline reports whether the edge says that no agent is connected.
func (u *user) offline() bool {
	u.t.Helper()
	got := u.call()
	return got.Status == http.StatusNotFound && got.Header.Get("Ngrok-Error-Code") == "ERR_NGROK_3200"
}
