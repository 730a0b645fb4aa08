package ngrok

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

func TestOnline(t *testing.T) {
	t.Parallel()
	k := online(t, nil)
	want := tunnel.Status{
		Provider: tunnel.ProviderNgrok, State: tunnel.Online, Words: "Online.", Origin: origin,
		Account: "Otter", Plan: "Free", Region: "test",
	}
	if diff := cmp.Diff(want, k.s.Status(), cmpopts.IgnoreFields(tunnel.Status{}, "Since")); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if status, body := k.get("/"); status != 200 || body != "here" {
		t.Errorf("got %d %q", status, body)
	}
	if got := k.edge.Auths()[0].Heartbeat; got != 10*time.Second {
		t.Errorf("got a heartbeat every %v, want 10s", got)
	}
}

// A final refusal is shown after one attempt, and not tried again.
func TestRefusedForGood(t *testing.T) {
	accounts := map[string]tunneltest.Account{
		goodToken:           {},
		"2revoked_of_a_few": {Revoked: true},
		"2other_account":    {Domain: "other.ngrok-free.app"},
	}
	tests := []struct {
		name, token, url, code string
		onAuth                 func(tunneltest.Auth) *tunneltest.Refusal
		attempts               int
	}{
		{name: "unknown", token: "2never_given_to_anybody", code: "ERR_NGROK_107", attempts: 1},
		{name: "malformed", token: "not one", code: "ERR_NGROK_105", attempts: 1},
		{name: "revoked", token: "2revoked_of_a_few", code: "ERR_NGROK_300", attempts: 1},
		{name: "none", token: "", code: "ERR_NGROK_4018", attempts: 0},
		{name: "suspended", token: goodToken, code: "ERR_NGROK_103", attempts: 1, onAuth: func(tunneltest.Auth) *tunneltest.Refusal {
			return &tunneltest.Refusal{Code: "ERR_NGROK_103", Text: "Your account is suspended."}
		}},
		{name: "too old", token: goodToken, code: "ERR_NGROK_120", attempts: 1, onAuth: func(tunneltest.Auth) *tunneltest.Refusal {
			return &tunneltest.Refusal{Code: "ERR_NGROK_120", Text: "This agent is too old."}
		}},
		{name: "much too old", token: goodToken, code: "ERR_NGROK_121", attempts: 1, onAuth: func(tunneltest.Auth) *tunneltest.Refusal {
			return &tunneltest.Refusal{Code: "ERR_NGROK_121", Text: "Your ngrok agent is too old."}
		}},
		{name: "a domain that no one has", token: goodToken, url: "https://nobody.example", code: "ERR_NGROK_319", attempts: 1},
		{name: "another's domain", token: goodToken, url: "https://other.ngrok-free.app", code: "ERR_NGROK_320", attempts: 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			k := newKit(t, tunneltest.Config{Accounts: accounts, OnAuth: test.onAuth}, nil).run()
			n := k.ngrok(test.token)
			n.URL = test.url
			k.s.Set(tunnel.Want{Tunnel: n})
			s := k.until("failed", isCode(tunnel.Failed, test.code))
			want := tunnel.ProblemOf(tunnel.Cause(strings.TrimPrefix(test.code, "ERR_NGROK_")))
			if s.Words != want.Words || s.Next != want.Next || s.Link == "" || !s.Retry.IsZero() {
				t.Errorf("got %+v", s)
			}
			// Left alone, the SDK would try again after half a second. It must not.
			time.Sleep(800 * time.Millisecond)
			if got := len(k.edge.Auths()); got != test.attempts {
				t.Errorf("got %d attempts, want %d", got, test.attempts)
			}
			if k.edge.Sessions() != 0 {
				t.Error("the session is still open")
			}
			k.s.Set(tunnel.Want{Tunnel: k.ngrok(goodToken)})
			if test.onAuth == nil {
				k.until("online with another authtoken", isOnline)
			}
		})
	}
}

func TestRevokedWhileOnline(t *testing.T) {
	t.Parallel()
	k := online(t, nil)
	k.edge.Revoke(goodToken)
	k.until("failed", isCode(tunnel.Failed, "ERR_NGROK_300"))
	time.Sleep(800 * time.Millisecond) // time for the SDK to try again, which it must not
	if got := len(k.edge.Auths()); got != 2 {
		t.Errorf("got %d attempts, want 2", got)
	}
}

func TestN04ReconnectsToTheSameOrigin(t *testing.T) {
	t.Parallel()
	k := online(t, nil)
	for n := range 5 {
		k.edge.KillSessions()
		k.eventually("the session is resumed", func() bool { return len(k.edge.Binds()) == n+2 })
		k.until("online", isOnline)
		k.works()
	}
	for _, a := range k.edge.Auths()[1:] {
		if a.ClientID == "" {
			t.Errorf("a new session instead of the old one: %+v", a)
		}
	}
	if s := k.s.Status(); s.Origin != origin || s.Was != "" {
		t.Errorf("got %+v", s)
	}
}

func TestEdgeAway(t *testing.T) {
	t.Parallel()
	k := online(t, nil)
	k.edge.Close()
	s := k.until("retrying", func(s tunnel.Status) bool { return s.State == tunnel.Retrying && !s.Retry.IsZero() })
	if want := tunnel.ProblemOf(tunnel.CauseRefused).Words; s.Words != want || s.Origin != origin {
		t.Errorf("got %+v, want %q", s, want)
	}
	if err := k.edge.Reopen(); err != nil {
		t.Fatal(err)
	}
	k.s.Reconnect() // instead of waiting
	k.until("online", isOnline)
	k.works()
}

// While the edge is away, the owner changes the settings.
func TestOffWhileAway(t *testing.T) {
	t.Parallel()
	k := online(t, nil)
	k.edge.Close()
	k.until("retrying", func(s tunnel.Status) bool { return s.State == tunnel.Retrying })
	k.s.Set(tunnel.Want{})
	if s := k.until("off", func(s tunnel.Status) bool { return s.State == tunnel.Off }); s.Provider != tunnel.ProviderOff || s.Origin != "" {
		t.Errorf("got %+v", s)
	}
}

func TestHeldElsewhere(t *testing.T) {
	t.Parallel()
	k := newKit(t, tunneltest.Config{}, nil)
	k.s.Pace.HeldLong = 100 * time.Millisecond
	k.run()
	k.edge.Hold(domain)
	k.s.Set(tunnel.Want{Tunnel: k.ngrok(goodToken), Known: origin})
	first := k.until("retrying", isCode(tunnel.Retrying, "ERR_NGROK_334"))
	if first.Words != tunnel.ProblemOf("334").Words || first.Retry.IsZero() {
		t.Errorf("got %+v", first)
	}
	k.until("other words", func(s tunnel.Status) bool {
		return s.State == tunnel.Retrying && s.Words == tunnel.ProblemOf(tunnel.CauseHeldLong).Words
	})
	if n := k.edge.Sessions(); n > 1 {
		t.Errorf("%d sessions are left open", n)
	}
	k.edge.Release(domain)
	k.until("online", isOnline)
	k.works()
}

// An account with as many sessions as it may have is tried again.
func TestTooManySessions(t *testing.T) {
	t.Parallel()
	var room atomic.Bool
	k := newKit(t, tunneltest.Config{OnAuth: func(tunneltest.Auth) *tunneltest.Refusal {
		if room.Load() {
			return nil
		}
		return &tunneltest.Refusal{Code: "ERR_NGROK_108", Text: "Your account is limited to 1 simultaneous session."}
	}}, nil).run()
	k.s.Set(tunnel.Want{Tunnel: k.ngrok(goodToken), Known: origin})
	s := k.until("retrying", isCode(tunnel.Retrying, "ERR_NGROK_108"))
	if s.Words != tunnel.ProblemOf("108").Words || s.Next == "" || s.Retry.IsZero() {
		t.Errorf("got %+v", s)
	}
	room.Store(true)
	k.until("online", isOnline)
	k.works()
}

// The domain is still taken when a broken session comes back.
func TestHeldAfterReconnect(t *testing.T) {
	t.Parallel()
	k := online(t, nil)
	k.edge.Hold(domain)
	k.edge.KillSessions()
	k.until("retrying", isCode(tunnel.Retrying, "ERR_NGROK_334"))
	k.edge.Release(domain)
	k.s.Reconnect()
	k.until("online", isOnline)
	k.works()
}

func TestRenamed(t *testing.T) {
	const other = "https://brisk-heron.ngrok-free.app"
	t.Run("while online", func(t *testing.T) {
		k := newKit(t, tunneltest.Config{}, nil).run()
		k.s.Set(tunnel.Want{Tunnel: k.ngrok(goodToken), Known: origin})
		if s := k.until("online", isOnline); s.Was != "" {
			t.Errorf("got %+v", s)
		}
		k.edge.Rename(goodToken, strings.TrimPrefix(other, "https://"))
		k.edge.KillSessions()
		s := k.until("online elsewhere", func(s tunnel.Status) bool { return s.State == tunnel.Online && s.Origin != origin })
		if s.Origin != other || s.Was != origin {
			t.Errorf("got %q, was %q", s.Origin, s.Was)
		}
		k.works()
	})
	t.Run("another account", func(t *testing.T) {
		k := newKit(t, tunneltest.Config{}, nil).run()
		k.s.Set(tunnel.Want{Tunnel: k.ngrok(goodToken), Known: other})
		if s := k.until("online", isOnline); s.Origin != origin || s.Was != other {
			t.Errorf("got %q, was %q", s.Origin, s.Was)
		}
		if b := k.edge.Binds(); b[0].Asked != strings.TrimPrefix(other, "https://") || b[1].Asked != "" {
			t.Errorf("asked for %+v", b)
		}
	})
	t.Run("the first origin is kept", func(t *testing.T) {
		k := online(t, nil)
		k.s.Set(tunnel.Want{Tunnel: k.ngrok(goodToken), Known: k.s.Status().Origin})
		k.eventually("asked for it", func() bool { b := k.edge.Binds(); return len(b) == 2 && b[1].Asked == domain })
	})
}

func TestStoppedFromDashboard(t *testing.T) {
	t.Run("endpoint", func(t *testing.T) {
		k := online(t, nil)
		if err := k.edge.StopTunnel(domain, "", "Stopped by the owner."); err != nil {
			t.Fatal(err)
		}
		k.eventually("a new session", func() bool { return len(k.edge.Auths()) == 2 })
		k.until("online", isOnline)
		k.works()
		if a := k.edge.Auths()[1]; a.ClientID != "" {
			t.Error("the old Agent was used again")
		}
	})
	t.Run("endpoint of a banned account", func(t *testing.T) {
		k := online(t, nil)
		if err := k.edge.StopTunnel(domain, "ERR_NGROK_3208", "Banned."); err != nil {
			t.Fatal(err)
		}
		k.until("failed", isCode(tunnel.Failed, "ERR_NGROK_3208"))
	})
	t.Run("agent", func(t *testing.T) {
		k := online(t, nil)
		if err := k.edge.Send(domain, tunneltest.Stop); err != nil {
			t.Fatal(err)
		}
		s := k.until("failed", func(s tunnel.Status) bool { return s.State == tunnel.Failed })
		if s.Words != tunnel.ProblemOf(tunnel.CauseStopped).Words {
			t.Errorf("got %+v", s)
		}
		k.s.Reconnect()
		k.until("online", isOnline)
		k.works()
	})
	t.Run("restart", func(t *testing.T) {
		k := online(t, nil)
		if err := k.edge.Send(domain, tunneltest.Restart); err != nil {
			t.Fatal(err)
		}
		k.eventually("a new session", func() bool { return len(k.edge.Auths()) == 2 })
		k.until("online", isOnline)
		k.works()
	})
	t.Run("restart after failures", func(t *testing.T) {
		k := newKit(t, tunneltest.Config{}, nil)
		k.s.Pace.MaxWait = time.Hour
		k.run()
		k.s.Set(tunnel.Want{Tunnel: k.ngrok(goodToken)})
		k.until("online", isOnline)
		for i := range 5 { // each attempt doubles the wait
			if err := k.edge.StopTunnel(domain, "", "stopped"); err != nil {
				t.Fatal(err)
			}
			k.eventually("a new bind", func() bool { return len(k.edge.Binds()) == i+2 })
			k.until("online", isOnline)
		}
		k.mu.Lock()
		before := len(k.seen)
		k.mu.Unlock()
		k.edge.Hold(domain) // like a session that has just ended
		if err := k.edge.Send(domain, tunneltest.Restart); err != nil {
			t.Fatal(err)
		}
		k.eventually("a refusal", func() bool { return k.edge.Binds()[len(k.edge.Binds())-1].Refused != "" })
		k.edge.Release(domain)
		k.until("online", isOnline)
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, s := range k.seen[before:] {
			if s.State != tunnel.Retrying {
				continue
			}
			if got := s.Retry.Sub(s.Since); got > 4*k.s.Pace.MinWait {
				t.Errorf("it waits for %v, want about %v", got, k.s.Pace.MinWait)
			}
			return
		}
		t.Error("it was never refused")
	})
	t.Run("update", func(t *testing.T) {
		k := online(t, nil)
		if err := k.edge.Send(domain, tunneltest.Update); err == nil || !strings.Contains(err.Error(), errUpdate.Error()) {
			t.Errorf("got %v", err)
		}
		k.works()
		if len(k.edge.Auths()) != 1 {
			t.Error("an update broke the session")
		}
	})
}

// A request in progress when the tunnel closes still gets its answer.
func TestDrains(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan bool), make(chan bool)
	k := online(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun <- true
		<-finish
		io.WriteString(w, "done")
	}))
	k.s.Pace.Drain = patience
	got := make(chan string, 1)
	go func() {
		status, body, err := fetch(k.edge.Client(false), origin+"/")
		got <- fmt.Sprintf("%d %s %v", status, body, err)
	}()
	<-begun
	k.s.Set(tunnel.Want{})
	k.eventually("ngrok was told", func() bool { return k.edge.Unbinds() == 1 })
	close(finish)
	if g, want := <-got, "200 done <nil>"; g != want {
		t.Errorf("got %q, want %q", g, want)
	}
	k.until("off", func(s tunnel.Status) bool { return s.State == tunnel.Off })
}

// A client that does not read cannot block the program.
func TestStalledClient(t *testing.T) {
	t.Parallel()
	var ended atomic.Bool
	var written atomic.Int64
	k := online(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer ended.Store(true)
		for r.Context().Err() == nil {
			n, err := w.Write(make([]byte, 64<<10))
			if err != nil {
				return
			}
			written.Add(int64(n))
		}
	}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, origin+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := k.edge.Client(false).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	testenv.Still(t, "the answer", written.Load)
	start := time.Now()
	k.stop()
	if took := time.Since(start); took > 10*k.s.Pace.Drain+closeTime+2*time.Second {
		t.Errorf("took %v", took)
	}
	k.eventually("the handler ends", ended.Load)
}

func TestSetWhileConnecting(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	var held atomic.Bool
	k := newKit(t, tunneltest.Config{OnAuth: func(a tunneltest.Auth) *tunneltest.Refusal {
		if a.Token == "2slow_authtoken" {
			held.Store(true)
			<-hold
		}
		return nil
	}}, nil).run()
	defer close(hold)
	k.s.Set(tunnel.Want{Tunnel: k.ngrok("2slow_authtoken")})
	k.eventually("connecting", held.Load)
	k.s.Set(tunnel.Want{Tunnel: k.ngrok(goodToken)})
	k.until("online with the other", isOnline)
	k.works()
	held.Store(false)
	k.s.Set(tunnel.Want{Tunnel: k.ngrok("2slow_authtoken")})
	k.eventually("connecting", held.Load)
	k.s.Set(tunnel.Want{})
	k.until("off", func(s tunnel.Status) bool { return s.State == tunnel.Off })
}

func TestPause(t *testing.T) {
	t.Parallel()
	k := online(t, nil)
	n := k.ngrok(goodToken)
	k.s.Set(tunnel.Want{Tunnel: n, Known: origin})
	k.until("online", isOnline)
	k.s.Set(tunnel.Want{Tunnel: n, Known: origin, Paused: true})
	s := k.until("paused", func(s tunnel.Status) bool { return s.State == tunnel.Paused })
	if s.Provider != tunnel.ProviderNgrok {
		t.Errorf("got %+v", s)
	}
	if status, _ := k.get("/"); status != 404 || k.edge.Sessions() != 0 {
		t.Errorf("still open: got %d", status)
	}
	k.s.Set(tunnel.Want{Tunnel: n, Known: origin})
	k.until("online", isOnline)
	k.works()
}

// The authtoken is in no log, error or status, no matter what ngrok says.
func TestAuthtokenIsNotTold(t *testing.T) {
	t.Parallel()
	const canary = "2canary_authtoken_XYZZY"
	for _, code := range []string{"ERR_NGROK_107", "ERR_NGROK_108", "ERR_NGROK_77777", "no code at all"} {
		refuse := func(tunneltest.Auth) *tunneltest.Refusal {
			return &tunneltest.Refusal{Code: code, Text: "Your authtoken: " + canary}
		}
		k := newKit(t, tunneltest.Config{OnAuth: refuse}, nil).run()
		n := k.ngrok(canary)
		k.s.Set(tunnel.Want{Tunnel: n})
		k.until("refused", func(s tunnel.Status) bool { return s.State == tunnel.Failed || s.State == tunnel.Retrying })
		_, _, err := n.Open(t.Context(), "")
		told := []string{fmt.Sprint(err), fmt.Sprintf("%+v %#v %v %s %q", n.Authtoken, n.Authtoken, struct{ a tunnel.Authtoken }{n.Authtoken}, n.Authtoken, n.Authtoken)}
		for _, s := range k.history() {
			b, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			told = append(told, string(b))
		}
		k.s.Log.Info("an authtoken in an attribute", "token", n.Authtoken)
		k.stop()
		log := k.log.String()
		if !strings.Contains(log, "ngrok: ") {
			t.Errorf("%s: the SDK's log is empty", code)
		}
		for _, s := range append(told, log) {
			if strings.Contains(s, canary) {
				t.Errorf("%s: told the authtoken: %s", code, s)
			}
		}
		// The search does find a token that is there.
		k.s.Log.Info("planted " + canary)
		if !strings.Contains(k.log.String(), canary) {
			t.Error("the search is blind")
		}
		if _, err := json.Marshal(n.Authtoken); err == nil {
			t.Error("an authtoken was marshaled")
		}
	}
}

// Network problems between here and ngrok have their own words.
func TestWayToNgrok(t *testing.T) {
	t.Parallel()
	edge := tunneltest.Start(t, tunneltest.Config{})
	answers := func(s string) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				io.WriteString(c, s)
				c.Close()
			}
		}()
		return ln.Addr().String()
	}
	tests := []struct {
		name, addr string
		want       tunnel.Cause
	}{
		{"a certificate that is not ngrok's", edge.Addr(), tunnel.CauseIntercepted},
		{"a web page", answers("HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n"), tunnel.CauseNotTLS},
		{"no one", "127.0.0.1:1", tunnel.CauseRefused},
		{"who hangs up", answers(""), tunnel.CauseBroken},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &Tunnel{Authtoken: tunnel.NewAuthtoken(goodToken), ConnectAddr: test.addr}
			_, _, err := n.Open(t.Context(), "")
			f := tunnel.Classify(err)
			if f.Problem.Cause != test.want {
				t.Errorf("got %q (%v), want %q", f.Problem.Cause, err, test.want)
			}
		})
	}
	if len(edge.Auths()) != 0 {
		t.Error("an authtoken was sent to who is not ngrok")
	}
}
