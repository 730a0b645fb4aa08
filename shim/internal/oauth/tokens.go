package oauth

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ErrInvalidToken means that a token is unknown, expired or revoked, without
// telling which.
var ErrInvalidToken = errors.New("invalid token")

const (
	cachedTokens  = 16384
	flushInterval = time.Second
	sweepInterval = time.Hour
)

// Tokens checks access tokens and ends grants, for all origins. It caches a
// bounded number of live tokens and reads others from the store.
type Tokens struct {
	Log *slog.Logger // nil means no log

	store Store
	now   func() time.Time
	max   int

	mu    sync.RWMutex
	cache map[Digest]*Access
	// live holds, by grant, the Access objects that are cached or still in
	// use: ending a grant must reach both.
	live map[string][]*Access
	// ends counts endings. If it changed while the store was read, the read
	// must be repeated, or an ended grant could return to the cache.
	ends uint64

	touchMu sync.Mutex
	touched []*Access
	wake    chan struct{} // signals Run that touched is not empty
}

// NewTokens returns Tokens over s. now may be nil.
func NewTokens(s Store, now func() time.Time) *Tokens {
	if now == nil {
		now = time.Now
	}
	return &Tokens{
		store: s,
		now:   now,
		max:   cachedTokens,
		cache: make(map[Digest]*Access),
		live:  make(map[string][]*Access),
		wake:  make(chan struct{}, 1),
	}
}

// An Access is a valid access token. All requests that use the token share it;
// each calls Release when it is over.
type Access struct {
	Grant   Grant // as it was when the token was read
	Scope   string
	Expires time.Time

	tokens  *Tokens
	digest  Digest
	done    chan struct{}
	users   atomic.Int32
	dropped atomic.Bool // no longer in the cache

	touched atomic.Bool
	used    atomic.Int64 // Unix nanoseconds
}

// Done is closed when the token or its grant is ended. It is not closed when
// the token expires.
func (a *Access) Done() <-chan struct{} { return a.done }

// Release gives up one use of a. The caller must not use a afterwards.
func (a *Access) Release() {
	if a.users.Add(-1) == 0 && a.dropped.Load() {
		a.tokens.mu.Lock()
		a.tokens.forgetLive(a)
		a.tokens.mu.Unlock()
	}
}

// Touch records that the grant was used now. The time is saved within seconds.
func (a *Access) Touch() {
	t := a.tokens
	a.used.Store(t.now().UnixNano())
	if a.touched.Load() || !a.touched.CompareAndSwap(false, true) {
		return
	}
	t.touchMu.Lock()
	t.touched = append(t.touched, a)
	t.touchMu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// LastUsed returns when g was last used, including times that are not saved
// yet.
func (t *Tokens) LastUsed(g Grant) time.Time {
	t.mu.RLock()
	defer t.mu.RUnlock()
	last := g.LastUsed
	for _, a := range t.live[g.ID] {
		if n := a.used.Load(); n > 0 && time.Unix(0, n).After(last) {
			last = time.Unix(0, n)
		}
	}
	return last
}

// Uses returns when each grant was last used whose tokens are in memory, by its
// id. It includes times that are not saved yet.
func (t *Tokens) Uses() map[string]time.Time {
	t.mu.RLock()
	defer t.mu.RUnlock()
	all := make(map[string]time.Time, len(t.live))
	for id, live := range t.live {
		for _, a := range live {
			if n := a.used.Load(); n > 0 && time.Unix(0, n).After(all[id]) {
				all[id] = time.Unix(0, n)
			}
		}
	}
	return all
}

// Verify checks an access token. The error is ErrInvalidToken, or the store's.
// It does not check origin and endpoint: see Server.Authenticate.
func (t *Tokens) Verify(bearer string) (*Access, error) {
	if len(bearer) > maxTokenLen {
		return nil, ErrInvalidToken
	}
	d := digest(bearer)
	now := t.now()
	t.mu.RLock()
	a := t.cache[d]
	if a != nil {
		a.users.Add(1)
	}
	t.mu.RUnlock()
	if a == nil {
		return t.load(bearer, d, now)
	}
	if !now.Before(a.Expires) {
		a.Release()
		return nil, ErrInvalidToken
	}
	return a, nil
}

// load reads a token that is not cached.
func (t *Tokens) load(bearer string, d Digest, now time.Time) (*Access, error) {
	id, ok := tokenGrant(accessPrefix, bearer)
	if !ok {
		return nil, ErrInvalidToken
	}
	for {
		t.mu.RLock()
		ends := t.ends
		t.mu.RUnlock()
		tok, ok, err := t.store.Token(id, d)
		switch {
		case errors.Is(err, ErrNotFound):
			return nil, ErrInvalidToken
		case err != nil:
			return nil, err
		case !ok || tok.Kind != AccessToken || !now.Before(tok.Expires):
			return nil, ErrInvalidToken
		}
		g, err := t.store.Grant(id)
		switch {
		case errors.Is(err, ErrNotFound):
			return nil, ErrInvalidToken
		case err != nil:
			return nil, err
		}
		a := &Access{Grant: g, Scope: tok.Scope, Expires: tok.Expires, tokens: t, digest: d, done: make(chan struct{})}
		if a := t.keep(a, ends); a != nil {
			return a, nil
		}
	}
}

// keep caches a and returns it, or what another request cached first. It
// returns nil if something was ended since ends was read.
func (t *Tokens) keep(a *Access, ends uint64) *Access {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ends != ends {
		return nil
	}
	if first := t.cache[a.digest]; first != nil {
		first.users.Add(1)
		return first
	}
	if len(t.cache) >= t.max {
		for _, victim := range t.cache { // any will do
			t.drop(victim)
			break
		}
	}
	a.users.Add(1)
	t.cache[a.digest] = a
	t.live[a.Grant.ID] = append(t.live[a.Grant.ID], a)
	return a
}

// drop removes a from the cache. t.mu must be held.
func (t *Tokens) drop(a *Access) {
	delete(t.cache, a.digest)
	a.dropped.Store(true)
	if a.users.Load() == 0 {
		t.forgetLive(a)
	}
}

// forgetLive removes a from live, once it is unused and not cached. t.mu must
// be held.
func (t *Tokens) forgetLive(a *Access) {
	id := a.Grant.ID
	rest := slices.DeleteFunc(t.live[id], func(b *Access) bool { return a == b })
	if len(rest) == 0 {
		delete(t.live, id)
	} else {
		t.live[id] = rest
	}
}

// EndGrant deletes a grant with all its tokens, and ends the requests that use
// them.
func (t *Tokens) EndGrant(id string) error {
	err := t.store.DeleteGrant(id)
	if err == nil || errors.Is(err, ErrNotFound) {
		t.end(id, func(*Access) bool { return true })
	}
	return err
}

// EndEndpoint ends the requests that use an endpoint whose grants were
// deleted.
func (t *Tokens) EndEndpoint(slug string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ends++
	for id, as := range t.live {
		if as[0].Grant.Slug == slug {
			t.closeLive(id, func(*Access) bool { return true })
		}
	}
}

// Forget makes the next call of a grant read it again, after a change.
// Requests in progress continue with what they have.
func (t *Tokens) Forget(grant string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ends++
	for _, a := range slices.Clone(t.live[grant]) {
		if t.cache[a.digest] == a {
			t.drop(a)
		}
	}
}

// end ends the uses of a grant's matching tokens, which must already be
// deleted from the store.
func (t *Tokens) end(grant string, match func(*Access) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ends++
	t.closeLive(grant, match)
}

func (t *Tokens) closeLive(grant string, match func(*Access) bool) {
	rest := slices.DeleteFunc(t.live[grant], func(a *Access) bool {
		if !match(a) {
			return false
		}
		close(a.done)
		if t.cache[a.digest] == a {
			delete(t.cache, a.digest)
		}
		a.dropped.Store(true)
		return true
	})
	if len(rest) == 0 {
		delete(t.live, grant)
	} else {
		t.live[grant] = rest
	}
}

// Run saves last-used times about once a second, and deletes expired tokens
// every hour. It returns when ctx is done and everything is saved.
func (t *Tokens) Run(ctx context.Context) {
	sweep := time.NewTicker(sweepInterval)
	defer sweep.Stop()
	t.sweep()
	for {
		select {
		case <-ctx.Done():
			t.flush()
			return
		case <-sweep.C:
			t.sweep()
		case <-t.wake:
			select {
			case <-ctx.Done():
			case <-time.After(flushInterval):
			}
			t.flush()
		}
	}
}

func (t *Tokens) flush() {
	t.touchMu.Lock()
	touched := t.touched
	t.touched = nil
	t.touchMu.Unlock()
	if len(touched) == 0 {
		return
	}
	used := make(map[string]time.Time, len(touched))
	for _, a := range touched {
		a.touched.Store(false) // before used is read, so that no use is lost
		at := time.Unix(0, a.used.Load())
		if at.After(used[a.Grant.ID]) {
			used[a.Grant.ID] = at
		}
	}
	if err := t.store.TouchGrants(used); err != nil {
		t.log().Warn("cannot save last-used times", "err", err)
	}
}

func (t *Tokens) sweep() {
	now := t.now()
	t.mu.Lock()
	for _, a := range t.cache {
		if !now.Before(a.Expires) {
			t.drop(a)
		}
	}
	t.mu.Unlock()
	if err := t.store.Sweep(now); err != nil {
		t.log().Warn("cannot delete expired tokens", "err", err)
	}
}

func (t *Tokens) log() *slog.Logger {
	if t.Log != nil {
		return t.Log
	}
	return slog.New(slog.DiscardHandler)
}
