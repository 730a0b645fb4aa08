package proxy

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

const (
	probeEvery = 30 * time.Second
	// strikes is how many 401 in a row count as confirmed where a probe proves
	// nothing, because the upstream checks the key only in tools/call.
	strikes = 3
)

// keys judges answers that may be about the key. A single one says little:
// upstreams also send 401 for one tool, for rate limits, and for sessions that
// have ended.
type keys struct {
	client Client

	mu    sync.Mutex
	known map[string]*keyState // by credential
	// strikers counts the credentials with a strike. While it is 0, successful
	// calls need no lock.
	strikers atomic.Int64
}

// A keyState is what is known of a credential whose key was in doubt.
type keyState struct {
	key      endpoint.Secret
	probed   time.Time
	rejected bool          // what the last probe said
	tells    bool          // the last probe would have noticed a wrong key
	probeEnd chan struct{} // closed when the probe under way ends; nil if none
	strikes  int
	method   string    // that the last strike answered
	doubted  time.Time // the last 401 in a session
}

// A strike is a 401 that may count.
type strike struct {
	method  string    // noStrike if it does not
	session bool      // it was in a session,
	given   time.Time // which the upstream gave then; zero if that is not known
}

// noStrike, as the method, is for answers that do not count as strikes.
const noStrike = ""

// dead reports whether a 401 means that the key is dead. It waits for a probe,
// but not longer than ctx.
func (k *keys) dead(ctx context.Context, credential string, x strike, t *upstream.Target) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.state(credential, t)
	if !k.probed(ctx, s, t) {
		return false
	}
	if s.rejected {
		return true
	}
	if s.tells || x.method == noStrike || x.session && !s.again(x) {
		return false
	}
	if s.strikes == 0 {
		k.strikers.Add(1)
	}
	s.strikes++
	s.method = x.method
	return s.strikes >= strikes
}

// again reports whether a 401 in a session counts. One in a session that the
// upstream gave before it last answered 401 may only mean that it has forgotten
// that session.
func (s *keyState) again(x strike) bool {
	last := s.doubted
	s.doubted = time.Now()
	return !last.IsZero() && x.given.After(last)
}

// probed waits until the last probe of s is not older than probeEvery, and
// reports whether that happened before ctx ended. k.mu is held, but not while
// it waits.
func (k *keys) probed(ctx context.Context, s *keyState, t *upstream.Target) bool {
	if s.probeEnd == nil && (s.probed.IsZero() || time.Since(s.probed) >= probeEvery) {
		s.probeEnd = make(chan struct{})
		// Several calls may wait for the answer, so the probe must not end with
		// the call that began it. Probe bounds its time.
		go k.ask(context.Background(), s, *t)
	}
	waiting := s.probeEnd
	if waiting == nil {
		return true
	}
	k.mu.Unlock()
	defer k.mu.Lock()
	select {
	case <-waiting:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// state returns the state of a credential, a new one if its key was replaced.
func (k *keys) state(credential string, t *upstream.Target) *keyState {
	s := k.known[credential]
	if s != nil && s.key.Reveal() == t.Key.Reveal() {
		return s
	}
	if s != nil && s.strikes > 0 {
		k.strikers.Add(-1)
	}
	if k.known == nil {
		k.known = map[string]*keyState{}
	}
	s = &keyState{key: t.Key}
	k.known[credential] = s
	return s
}

// doubt asks for a credential in the background, and calls judged with the
// outcome. It asks no more often than dead.
func (k *keys) doubt(credential string, t *upstream.Target, judged func(rejected bool)) {
	go func() {
		k.mu.Lock()
		s := k.state(credential, t)
		k.probed(context.Background(), s, t)
		rejected := s.rejected
		k.mu.Unlock()
		judged(rejected)
	}()
}

func (k *keys) ask(ctx context.Context, s *keyState, t upstream.Target) {
	rejected, err := k.client.Probe(ctx, t)
	tells := err == nil && !rejected && k.client.Tells(ctx, t)
	k.mu.Lock()
	defer k.mu.Unlock()
	s.rejected, s.tells = err == nil && rejected, tells
	s.probed = time.Now()
	close(s.probeEnd)
	s.probeEnd = nil
}

// clear records that the upstream accepted a request with the credential. That
// ends a row of strikes only if the method is the one that was struck: a key
// that works for initialize proves nothing if only tools/call checks it.
func (k *keys) clear(credential, method string) {
	if k.strikers.Load() == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.known[credential]; s != nil && s.strikes > 0 && s.method == method {
		s.strikes = 0
		k.strikers.Add(-1)
		s.rejected = false
	}
}

// confirm reports whether this 401 means that the key is dead.
func (a *activeCall) confirm() bool {
	if a.retry && !a.inSession() {
		a.confirmed = true // a probe said so before; the upstream counts each failed sign-in
		return true
	}
	x := strike{method: noStrike, session: a.inSession()}
	if a.in.Method == http.MethodPost {
		x.method = a.method()
	}
	if x.session {
		x.given = a.proxy.sessions.given(a.call.Slug, a.in.Header[sessionHeader][0])
	}
	a.confirmed = a.proxy.keys.dead(a, a.call.CredentialID, x, a.call.Upstream)
	return a.confirmed
}

// inSession reports whether the request names a session of Streamable HTTP.
func (a *activeCall) inSession() bool { return len(a.in.Header[sessionHeader]) > 0 }

// doubt reports whether the upstream's answer has words about the key. It went
// out as it was, because the words may be about something else.
func (a *activeCall) doubt() bool { return !a.dead && a.heard.Doubts(a.whole) }
