package vault

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/activity"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

var _ oauth.Store = (*Vault)(nil)

// tokensOf is the prefix of the keys of a grant's tokens. A grant's cost does
// not depend on how many others there are.
func tokensOf(grant string) []byte { return append([]byte(grant), 0) }

func tokenKey(grant string, d oauth.Digest) []byte { return append(tokensOf(grant), d[:]...) }

// CreateGrant implements oauth.Store. Endpoint and credential must exist: they
// may have been deleted while the consent page was open.
func (v *Vault) CreateGrant(g oauth.Grant, code oauth.Digest, token oauth.Token) error {
	if g.ID == "" || strings.Contains(g.ID, "\x00") {
		return errors.New("a grant needs an id")
	}
	return v.update(func(t *transaction) error {
		switch {
		case t.Bucket(bucketEndpoints).Get([]byte(g.Slug)) == nil:
			return fmt.Errorf("endpoint %s: %w", g.Slug, ErrNotFound)
		case g.Credential != "" && t.Bucket(bucketCreds).Get([]byte(g.Credential)) == nil:
			return fmt.Errorf("credential %s: %w", g.Credential, ErrNotFound)
		case t.Bucket(bucketGrants).Get([]byte(g.ID)) != nil:
			return ErrExists
		}
		if err := put(t.Tx, bucketGrants, g.ID, grantRecord(g)); err != nil {
			return err
		}
		if err := addGrants(t.Bucket(bucketGrants), 1); err != nil {
			return err
		}
		if err := countGranted(t.Tx, grantRecord(g), 1); err != nil {
			return err
		}
		return putToken(t.Tx, g.ID, code, token)
	})
}

// Grant implements oauth.Store.
func (v *Vault) Grant(id string) (oauth.Grant, error) {
	var g oauth.Grant
	err := v.view(func(tx *bbolt.Tx) error {
		r, ok, err := get[grantRecord](tx, bucketGrants, id)
		if err == nil && !ok {
			err = oauth.ErrNotFound
		}
		g = oauth.Grant(r)
		return err
	})
	return v.touch.overlay(g), err
}

// Grants implements oauth.Store. It reads every grant, so it has no place
// where a call waits for it.
func (v *Vault) Grants() ([]oauth.Grant, error) {
	var all []oauth.Grant
	err := v.view(func(tx *bbolt.Tx) error {
		return each(tx, bucketGrants, func(r grantRecord) error {
			all = append(all, v.touch.overlay(oauth.Grant(r)))
			return nil
		})
	})
	slices.SortStableFunc(all, func(a, b oauth.Grant) int { return a.Created.Compare(b.Created) })
	return all, err
}

// Token implements oauth.Store.
func (v *Vault) Token(grant string, d oauth.Digest) (token oauth.Token, ok bool, err error) {
	err = v.view(func(tx *bbolt.Tx) error {
		token, ok, err = getToken(tx, grant, d)
		return err
	})
	return token, ok, err
}

func getToken(tx *bbolt.Tx, grant string, d oauth.Digest) (token oauth.Token, ok bool, err error) {
	b := tx.Bucket(bucketTokens).Get(tokenKey(grant, d))
	if b == nil {
		return token, false, nil
	}
	token, err = parseToken(b)
	if err != nil {
		return token, false, statefile.DamagedRecord(bucketTokens, []byte(grant), err)
	}
	return token, true, nil
}

// UpdateGrant implements oauth.Store.
func (v *Vault) UpdateGrant(id string, f func(tx oauth.Tx) error) error {
	return v.update(func(t *transaction) error {
		r, ok, err := get[grantRecord](t.Tx, bucketGrants, id)
		if err != nil {
			return err
		}
		if !ok {
			return oauth.ErrNotFound
		}
		gt := &grantTx{v: v, t: t, grant: oauth.Grant(r)}
		if err := t.Foreign(func() error { return f(gt) }); err != nil {
			return err
		}
		switch {
		case gt.err != nil:
			return gt.err
		case gt.deleted:
			return v.endGrant(t, gt.grant)
		case gt.changed:
			now := grantRecord(gt.grant)
			if err := recount(t.Tx, r, now); err != nil {
				return err
			}
			return put(t.Tx, bucketGrants, id, now)
		}
		return nil
	})
}

// A grantTx is the oauth.Tx that UpdateGrant hands out. The interface has no
// errors, so the first one is kept and fails the transaction.
type grantTx struct {
	v       *Vault
	t       *transaction
	grant   oauth.Grant
	changed bool
	deleted bool
	err     error
}

func (g *grantTx) Grant() oauth.Grant { return g.grant }

// SetGrant keeps what identifies the grant as it is.
func (g *grantTx) SetGrant(n oauth.Grant) {
	n.ID, n.Slug = g.grant.ID, g.grant.Slug
	g.grant, g.changed = n, true
}

func (g *grantTx) Token(d oauth.Digest) (token oauth.Token, ok bool) {
	g.do(func() (err error) {
		token, ok, err = getToken(g.t.Tx, g.grant.ID, d)
		return err
	})
	return token, ok
}

func (g *grantTx) SetToken(d oauth.Digest, token oauth.Token) {
	g.do(func() error {
		return putToken(g.t.Tx, g.grant.ID, d, token)
	})
}

func (g *grantTx) DeleteToken(d oauth.Digest) {
	g.do(func() error { return g.t.Bucket(bucketTokens).Delete(tokenKey(g.grant.ID, d)) })
}

func (g *grantTx) Delete() { g.deleted = true }

// do runs our own code inside a caller's function.
func (g *grantTx) do(f func() error) {
	if err := g.t.Own(f); err != nil && g.err == nil {
		g.err = err
	}
}

// DeleteGrant implements oauth.Store.
func (v *Vault) DeleteGrant(id string) error {
	return v.update(func(t *transaction) error {
		r, ok, err := get[grantRecord](t.Tx, bucketGrants, id)
		if err != nil {
			return err
		}
		if !ok {
			return oauth.ErrNotFound
		}
		return v.endGrant(t, oauth.Grant(r))
	})
}

// endGrant deletes a grant with its tokens, and the credential that nobody else
// may use.
func (v *Vault) endGrant(t *transaction, g oauth.Grant) error {
	if c, ok := v.creds[g.Credential]; ok && c.Grant == g.ID {
		if err := v.dropCredential(t, g.Credential); err != nil {
			return err
		}
	}
	return dropGrant(t.Tx, g.ID)
}

// dropGrant deletes a grant with its tokens.
func dropGrant(tx *bbolt.Tx, id string) error {
	grants := tx.Bucket(bucketGrants)
	if grants.Get([]byte(id)) != nil {
		if err := addGrants(grants, -1); err != nil {
			return err
		}
	}
	// One that cannot be read goes all the same.
	if r, ok, err := get[grantRecord](tx, bucketGrants, id); err == nil && ok {
		if err := countGranted(tx, r, -1); err != nil {
			return err
		}
	}
	if err := grants.Delete([]byte(id)); err != nil {
		return err
	}
	if err := dropTimeline(tx, id); err != nil {
		return err
	}
	prefix := tokensOf(id)
	var keys [][]byte // a cursor must not move while keys are deleted
	c := tx.Bucket(bucketTokens).Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	for _, k := range keys {
		if err := tx.Bucket(bucketTokens).Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// sweepAtOnce is how many grants one transaction of Sweep looks at, so that
// nobody waits long for his own.
const sweepAtOnce = 500

// orphanAge is how long a credential may wait for the grant that it was pasted
// for. The grant is made in the same minute or never.
const orphanAge = time.Hour

// Sweep implements oauth.Store. It also deletes credentials that were pasted
// for a grant which never came to be, and calls that are too old.
func (v *Vault) Sweep(now time.Time) error {
	if err := v.sweepGrants(now); err != nil {
		return err
	}
	if err := v.sweepActivity(now); err != nil {
		return err
	}
	return v.sweepOrphans(now)
}

// tokensAt lists the tokens of a grant that expired long enough ago, and counts
// the rest.
func tokensAt(tx *bbolt.Tx, grant string, now time.Time) (expired [][]byte, live int, err error) {
	prefix := tokensOf(grant)
	c := tx.Bucket(bucketTokens).Cursor()
	for k, b := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, b = c.Next() {
		kind, at, err := tokenExpires(b)
		if err != nil {
			return nil, 0, statefile.DamagedRecord(bucketTokens, []byte(grant), err)
		}
		if keptUntil(kind, at).Before(now) {
			expired = append(expired, bytes.Clone(k))
		} else {
			live++
		}
	}
	return expired, live, nil
}

// sweepGrant looks again, since the grant may have changed meanwhile.
func (v *Vault) sweepGrant(t *transaction, id string, now time.Time) error {
	r, ok, err := get[grantRecord](t.Tx, bucketGrants, id)
	if err != nil || !ok {
		return err
	}
	expired, live, err := tokensAt(t.Tx, id, now)
	if err != nil {
		return err
	}
	if live == 0 {
		return v.endGrant(t, oauth.Grant(r))
	}
	for _, k := range expired {
		if err := t.Bucket(bucketTokens).Delete(k); err != nil {
			return err
		}
	}
	return nil
}

func (v *Vault) sweepOrphans(now time.Time) error {
	var orphans []string
	v.mu.RLock()
	for id, c := range v.creds {
		if c.Grant != "" && now.Sub(c.Created) > orphanAge {
			orphans = append(orphans, id)
		}
	}
	v.mu.RUnlock()
	err := v.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketGrants)
		orphans = slices.DeleteFunc(orphans, func(id string) bool {
			c, ok := v.credGrant(id)
			return !ok || b.Get([]byte(c)) != nil
		})
		return nil
	})
	if err != nil || len(orphans) == 0 {
		return err
	}
	return v.update(func(t *transaction) error {
		for _, id := range orphans {
			c, ok := v.creds[id]
			if !ok || t.Bucket(bucketGrants).Get([]byte(c.Grant)) != nil {
				continue
			}
			if err := v.dropCredential(t, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// credGrant names the grant that a credential belongs to.
func (v *Vault) credGrant(id string) (grant string, ok bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	c, ok := v.creds[id]
	if !ok {
		return "", false
	}
	return c.Grant, true
}

// touches are last-used times and calls that are not on disk yet.
type touches struct {
	flushing sync.Mutex // one write at a time, and none after the last

	mu      sync.Mutex
	pending map[string]time.Time
	calls   []activity.Call
	lines   map[string]line // timelines, by grant
	batch   int             // how many calls the last write had
	timer   *time.Timer     // nil while no write is due or under way
}

// touchEvery is how long last-used times and calls are gathered before one
// write.
const touchEvery = time.Second

// overlay puts a pending last-used time into g.
func (t *touches) overlay(g oauth.Grant) oauth.Grant {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, ok := t.pending[g.ID]; ok && at.After(g.LastUsed) {
		g.LastUsed = at
	}
	return g
}

// take returns what is pending.
func (t *touches) take() (used map[string]time.Time, calls []activity.Call, lines map[string]line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	used, calls, lines = t.pending, t.calls, t.lines
	t.pending, t.calls, t.lines, t.batch = nil, nil, nil, len(calls)
	return used, calls, lines
}

// armTouches makes sure that what is pending is written. The caller holds
// touch.mu.
func (v *Vault) armTouches() {
	if v.touch.timer == nil {
		v.touch.timer = time.AfterFunc(touchEvery, v.flushTouches)
	}
}

// TouchGrants implements oauth.Store. It never waits: the times of grants and
// of their endpoints are written together, at most once a second.
func (v *Vault) TouchGrants(used map[string]time.Time) error {
	t := &v.touch
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pending == nil {
		t.pending = make(map[string]time.Time, len(used))
	}
	for id, at := range used {
		if at.After(t.pending[id]) {
			t.pending[id] = at
		}
	}
	v.armTouches()
	return nil
}

// Flush writes at once what is written soon: for what happens seldom, and is
// to outlive a power cut.
func (v *Vault) Flush() { v.flushTouches() }

// flushTouches writes what is pending. Nobody depends on it, so what cannot be
// written is dropped. While a slow disk holds it up, no other write is begun.
func (v *Vault) flushTouches() {
	v.touch.flushing.Lock()
	defer v.touch.flushing.Unlock()
	used, calls, lines := v.touch.take()
	if len(used) > 0 || len(calls) > 0 || len(lines) > 0 {
		err := v.write(func(t *transaction) error {
			if err := saveTimelines(t.Tx, lines); err != nil {
				return err
			}
			if err := v.saveUsed(t, used); err != nil {
				return err
			}
			return saveCalls(t.Tx, calls, v.now())
		})
		if err != nil && !errors.Is(err, ErrClosed) {
			v.log.Warn("last-used times and activity were not saved", "calls", len(calls), "err", err)
		}
	}
	v.touch.mu.Lock()
	defer v.touch.mu.Unlock()
	v.touch.timer = nil
	if len(v.touch.pending) > 0 || len(v.touch.calls) > 0 || len(v.touch.lines) > 0 {
		v.armTouches()
	}
}

func (v *Vault) saveUsed(t *transaction, used map[string]time.Time) error {
	latest := make(map[string]time.Time)
	for id, at := range used {
		r, ok, err := get[grantRecord](t.Tx, bucketGrants, id)
		if err != nil {
			return err
		}
		if !ok || !at.After(r.LastUsed) {
			continue
		}
		r.LastUsed = at.UTC()
		if err := put(t.Tx, bucketGrants, id, r); err != nil {
			return err
		}
		if at.After(latest[r.Slug]) {
			latest[r.Slug] = r.LastUsed
		}
	}
	for _, slug := range slices.Sorted(maps.Keys(latest)) {
		if err := v.touchEndpoint(t, slug, latest[slug]); err != nil {
			return err
		}
	}
	return nil
}

func (v *Vault) touchEndpoint(t *transaction, slug string, at time.Time) error {
	r, ok, err := get[endpointRecord](t.Tx, bucketEndpoints, slug)
	if err != nil || !ok || !at.After(r.LastUsed) {
		return err
	}
	r.LastUsed = at
	t.Then(func() {
		if e := v.endpoints[slug]; e != nil {
			e.LastUsed = at
		}
	})
	return put(t.Tx, bucketEndpoints, slug, r)
}
