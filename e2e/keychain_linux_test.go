package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/shim/shimtest/keyringtest"
)

// inKeychain starts the program in its own desktop session, where the master
// key is in a real keyring.
func inKeychain(t *testing.T) (*app, *keyringtest.Session) {
	t.Helper()
	s := keyringtest.Start(t, keyringtest.Unlocked)
	return startWith(t, &app{args: []string{"--keychain", "os"}, env: append(s.Env(), "DISPLAY=", "WAYLAND_DISPLAY=")}), s
}

// keychainState is what the status says about the keychain.
func keychainState(a *app) (state, words string) {
	a.t.Helper()
	var status struct {
		Keychain struct{ State, Words string }
	}
	a.api("GET", "/api/status", nil, &status)
	return status.Keychain.State, status.Keychain.Words
}

// waitKeychain waits until the program has noticed the state of the keychain.
func waitKeychain(a *app, want string) (words string) {
	a.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		state, words := keychainState(a)
		if state == want {
			return words
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("the keychain is %s (%s), want %s", state, words, want)
		}
	}
}

// TestL06NoKeychain starts without a keychain. No page may say that a key is in
// a safe place.
func TestL06NoKeychain(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	s := keyringtest.Start(t, keyringtest.Absent)
	a := startWith(t, &app{args: []string{"--keychain", "os"}, env: append(s.Env(), "DISPLAY=", "WAYLAND_DISPLAY=")})
	waitKeychain(a, "memory")
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	e := a.addEndpoint("Linear", up.URL, "")
	b := shimtest.NewBrowser(t, a.origin)
	b.SignIn(a.ownerLink())
	c := oauthClient(t, a, "http://127.0.0.1:1/callback", e.Local)
	for _, tt := range []struct{ where, says string }{
		{"/", shimtest.Text("home.kept.memory")},
		{"/settings", shimtest.Text("side.keys.memory")},
		{c.AuthorizeURL(), shimtest.Text("consent.key.memory")},
	} {
		body := b.Open(tt.where).Body
		if !strings.Contains(body, tt.says) || strings.Contains(body, shimtest.Text("side.keys.os")) || strings.Contains(body, shimtest.Text("home.kept")) || strings.Contains(body, shimtest.Text("consent.key.saved")) {
			t.Errorf("the page %.40s does not say that nothing is kept", tt.where)
		}
	}
}

// TestL06KeychainLocksWhileRunning locks the keyring while the program runs.
// The program has what it needs. Its next start also finds the keyring locked:
// it must wait and lose nothing.
func TestL06KeychainLocksWhileRunning(t *testing.T) {
	testenv.Slow(t) // the program checks the keyring every five seconds
	t.Parallel()
	a, keyring := inKeychain(t)
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	e := a.addEndpoint("Linear", up.URL, up.Key())
	u := signedIn(t, a, e.Local, up.Key())
	waitKeychain(a, "ready")
	u.mustCall("before")

	keyring.Lock(t)
	u.mustAll("the keychain has locked")
	later := signedIn(t, a, e.Local, up.Key())
	later.mustCall("signed in while the keychain is locked")

	a.restart()
	words := waitKeychain(a, "locked")
	if words == "" {
		t.Error("the status does not say what to do")
	}
	var list struct {
		Slugs []struct{ Slug string }
	}
	a.api("GET", "/api/slugs", nil, &list)
	if len(list.Slugs) != 1 || list.Slugs[0].Slug != e.Slug {
		t.Errorf("while the keychain is locked the endpoints are %v, want %s", list.Slugs, e.Slug)
	}
	for _, u := range []*user{u, later} {
		r := u.call()
		if r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" || !strings.Contains(r.Body, words) {
			t.Errorf("a call while the keychain is locked = %d, Retry-After %q, %s; want 503 and words", r.Status, r.Header.Get("Retry-After"), r.Body)
		}
		// A refresh needs no key, so it may work. If it fails, it must not end the
		// sign-in.
		switch status, body := u.DoRefresh(u.Refresh); {
		case status == http.StatusOK:
			u.keep()
		case status != http.StatusServiceUnavailable || body["error"] != "temporarily_unavailable":
			t.Errorf("a refresh while the keychain is locked = %d %v, want 200 or 503", status, body["error"])
		}
	}
	if n := len(a.grants()); n != 2 {
		t.Errorf("while the keychain is locked there are %d grants, want 2", n)
	}
	up.Reset()
	keyring.Unlock(t)
	waitKeychain(a, "ready")
	for _, u := range []*user{u, later} {
		u.mustAll("the keychain is open again")
	}
	if up.Saw("k2o_") {
		t.Error("the upstream saw a token of ours")
	}
}

// TestD16DiscoveryNeedsNothing locks the keychain, stops the upstream, and runs
// discovery. The limit is one second on a person's machine, and ten times that
// on a machine that runs many things at once.
func TestD16DiscoveryNeedsNothing(t *testing.T) {
	t.Parallel()
	a, keyring := inKeychain(t)
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true})
	e := a.addEndpoint("Linear", up.URL, up.Key())
	up.Close()
	keyring.Lock(t)
	a.restart()

	c := http.Client{Timeout: 10 * time.Second, Transport: fresh.Transport}
	for _, tt := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/.well-known/oauth-protected-resource/" + e.Slug + "/mcp", 200},
		{"GET", "/.well-known/oauth-authorization-server", 200},
		{"POST", "/" + e.Slug + "/mcp", 401},
		{"GET", "/.well-known/openid-configuration", 404},
	} {
		req := newRequest(t, tt.method, a.origin+tt.path)
		resp, err := c.Do(req)
		if err != nil {
			t.Errorf("%s %s: %v", tt.method, tt.path, err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s %s = %d, want %d", tt.method, tt.path, resp.StatusCode, tt.want)
		}
	}
	oauthClient(t, a, "http://127.0.0.1:1/callback", e.Local) // registers
	if state, _ := keychainState(a); state == "ready" {
		t.Error("the keychain is ready, so nothing was proven")
	}
}
