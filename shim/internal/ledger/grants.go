package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

var _ oauth.Store = (*Ledger)(nil)

type grantRecord struct {
	ID           string    `json:"id"`
	Slug         string    `json:"slug"`
	Origin       string    `json:"origin"`
	ClientID     string    `json:"client_id"`
	ClientName   string    `json:"client_name,omitempty"`
	Verified     bool      `json:"verified,omitempty"`
	RedirectURI  string    `json:"redirect_uri"`
	Credential   string    `json:"credential,omitempty"`
	Scope        string    `json:"scope,omitempty"`
	Began        string    `json:"began,omitempty"`
	Created      time.Time `json:"created"`
	LastUsed     time.Time `json:"last_used,omitzero"`
	CodeRedeemed bool      `json:"code_redeemed,omitempty"`

	Branches    []oauth.Branch `json:"branches,omitempty"`
	InTwoPlaces time.Time      `json:"in_two_places,omitzero"`
	OwnUsed     []oauth.Digest `json:"own_used,omitempty"`
}

// tokensOf returns the prefix of the keys of a grant's tokens. They are next to
// each other, so a grant costs the same however many others there are.
func tokensOf(grant string) []byte { return append([]byte(grant), 0) }

func tokenKey(grant string, d oauth.Digest) []byte { return append(tokensOf(grant), d[:]...) }

// CreateGrant implements oauth.Store. The endpoint and the credential must exist.
func (l *Ledger) CreateGrant(g oauth.Grant, code oauth.Digest, token oauth.Token) error {
	if g.ID == "" || strings.Contains(g.ID, "\x00") {
		return errors.New("a grant needs an id")
	}
	return l.cfg.Update(func(t *statefile.Tx) error {
		if err := l.cfg.Check(t.Tx, g); err != nil {
			return err
		}
		if t.Bucket(bucketGrants).Get([]byte(g.ID)) != nil {
			return ErrExists
		}
		if err := l.PutGrant(t, g); err != nil {
			return err
		}
		return PutToken(t.Tx, g.ID, code, token)
	})
}

// PutGrant saves a new grant.
func (l *Ledger) PutGrant(t *statefile.Tx, g oauth.Grant) error {
	t.Then(func() { l.Roll.Put(g.ID, g.Slug, g.Created, g.LastUsed) })
	if err := records.Put(t.Tx, bucketGrants, g.ID, grantRecord(g)); err != nil {
		return err
	}
	if err := addGrants(t.Bucket(bucketGrants), 1); err != nil {
		return err
	}
	return countGranted(t.Tx, grantRecord(g), 1)
}

// Grant implements oauth.Store.
func (l *Ledger) Grant(id string) (oauth.Grant, error) {
	var g oauth.Grant
	err := l.cfg.View(func(tx *bbolt.Tx) error {
		r, ok, err := records.Get[grantRecord](tx, bucketGrants, id)
		if err == nil && !ok {
			err = oauth.ErrNotFound
		}
		g = oauth.Grant(r)
		return l.missing(err)
	})
	return l.backlog.overlay(g), err
}

// Grants implements oauth.Store. It reads every grant, so a call must not wait for
// it.
func (l *Ledger) Grants() ([]oauth.Grant, error) {
	var all []oauth.Grant
	err := l.cfg.View(func(tx *bbolt.Tx) error {
		return records.Each(tx, bucketGrants, func(r grantRecord) error {
			all = append(all, l.backlog.overlay(oauth.Grant(r)))
			return nil
		})
	})
	slices.SortStableFunc(all, func(a, b oauth.Grant) int { return a.Created.Compare(b.Created) })
	return all, err
}

// Token implements oauth.Store.
func (l *Ledger) Token(grant string, d oauth.Digest) (token oauth.Token, ok bool, err error) {
	err = l.cfg.View(func(tx *bbolt.Tx) (err error) {
		token, ok, err = getToken(tx, grant, d)
		return l.missing(err)
	})
	return token, ok, err
}

func getToken(tx *bbolt.Tx, grant string, d oauth.Digest) (token oauth.Token, ok bool, err error) {
	k := tokenKey(grant, d)
	b, err := records.GetBytes(tx, BucketTokens, k)
	if err != nil || b == nil {
		return token, false, err
	}
	token, err = ParseToken(b)
	if err != nil {
		return oauth.Token{}, false, records.Damaged(BucketTokens, k, err)
	}
	return token, true, nil
}

// missing turns the error of a damaged record into oauth.ErrNotFound. An app that
// holds such a token, or the token of such a grant, can only sign in again: to
// try later would not help it.
func (l *Ledger) missing(err error) error {
	if !records.IsDamaged(err) {
		return err
	}
	l.cfg.Damaged(err)
	return fmt.Errorf("%w: %w", oauth.ErrNotFound, err)
}

// UpdateGrant implements oauth.Store.
func (l *Ledger) UpdateGrant(id string, f func(tx oauth.Tx) error) error {
	return l.cfg.Update(func(t *statefile.Tx) error {
		r, ok, err := records.Get[grantRecord](t.Tx, bucketGrants, id)
		if err != nil {
			return l.missing(err)
		}
		if !ok {
			return oauth.ErrNotFound
		}
		gt := &grantTx{t: t, grant: oauth.Grant(r), damaged: l.cfg.Damaged}
		if err := t.Foreign(func() error { return f(gt) }); err != nil {
			return err
		}
		switch {
		case gt.err != nil:
			return gt.err
		case gt.deleted:
			return l.endGrant(t, gt.grant)
		case gt.changed:
			now := grantRecord(gt.grant)
			t.Then(func() { l.Roll.Put(id, now.Slug, now.Created, now.LastUsed) })
			if err := records.Put(t.Tx, bucketGrants, id, now); err != nil {
				return err
			}
			return recount(t.Tx, r, now)
		}
		return nil
	})
}

// A grantTx is the oauth.Tx that UpdateGrant hands out. The interface has no
// errors, so the first one is kept and fails the transaction.
type grantTx struct {
	t       *statefile.Tx
	grant   oauth.Grant
	changed bool
	deleted bool
	damaged func(err error)
	err     error
}

func (g *grantTx) Grant() oauth.Grant { return g.grant }

// SetGrant ignores changes to the id and the endpoint of the grant.
func (g *grantTx) SetGrant(n oauth.Grant) {
	n.ID, n.Slug = g.grant.ID, g.grant.Slug
	g.grant, g.changed = n, true
}

func (g *grantTx) Token(d oauth.Digest) (token oauth.Token, ok bool) {
	g.do(func() (err error) {
		token, ok, err = getToken(g.t.Tx, g.grant.ID, d)
		if records.IsDamaged(err) {
			g.damaged(err)
			return nil // it is as if it had expired
		}
		return err
	})
	return token, ok
}

func (g *grantTx) SetToken(d oauth.Digest, token oauth.Token) {
	g.do(func() error {
		return PutToken(g.t.Tx, g.grant.ID, d, token)
	})
}

func (g *grantTx) DeleteToken(d oauth.Digest) {
	g.do(func() error { return g.t.Bucket(BucketTokens).Delete(tokenKey(g.grant.ID, d)) })
}

func (g *grantTx) Delete() { g.deleted = true }

// do runs our own code inside a caller's function.
func (g *grantTx) do(f func() error) {
	if err := g.t.Own(f); err != nil && g.err == nil {
		g.err = err
	}
}

// DeleteGrant implements oauth.Store. It also deletes a grant that cannot be
// read, and tokens that no grant is left for.
func (l *Ledger) DeleteGrant(id string) error {
	return l.cfg.Update(func(t *statefile.Tx) error {
		if !HasGrant(t.Tx, id) && !hasTokens(t.Tx, id) {
			return oauth.ErrNotFound
		}
		r, _, err := records.Get[grantRecord](t.Tx, bucketGrants, id)
		if err != nil {
			r = grantRecord{ID: id}
			t.Then(l.Roll.Reset) // it may be known by another id
		}
		r.ID = id
		return l.endGrant(t, oauth.Grant(r))
	})
}

func hasTokens(tx *bbolt.Tx, grant string) bool {
	k, _ := tx.Bucket(BucketTokens).Cursor().Seek(tokensOf(grant))
	return bytes.HasPrefix(k, tokensOf(grant))
}

// endGrant deletes a grant with its tokens and what belongs to it alone.
func (l *Ledger) endGrant(t *statefile.Tx, g oauth.Grant) error {
	if err := l.cfg.Ended(t, g); err != nil {
		return err
	}
	t.Then(func() { l.Roll.Drop(g.ID) })
	return dropGrant(t.Tx, g.ID)
}

// HasGrant reports whether there is a grant of this id.
func HasGrant(tx *bbolt.Tx, id string) bool {
	return tx.Bucket(bucketGrants).Get([]byte(id)) != nil
}

// DropGrantsOf deletes all grants of an endpoint with their tokens.
func (l *Ledger) DropGrantsOf(t *statefile.Tx, slug string) error {
	tx, grants := t.Tx, []string(nil)
	err := tx.Bucket(bucketGrants).ForEach(func(id, _ []byte) error {
		r, _, err := records.Get[grantRecord](tx, bucketGrants, string(id))
		if err != nil {
			// It is of no use. What it seems to be decides only whether it goes now.
			r = records.Guess[grantRecord](tx, bucketGrants, string(id))
		}
		if r.Slug == slug {
			grants = append(grants, string(id))
		}
		return nil
	})
	if err != nil {
		return err
	}
	t.Then(l.Roll.Reset)
	for _, id := range grants {
		if err := dropGrant(tx, id); err != nil {
			return err
		}
	}
	return nil
}

// dropGrant deletes a grant with its tokens.
func dropGrant(tx *bbolt.Tx, id string) error {
	grants := tx.Bucket(bucketGrants)
	if grants.Get([]byte(id)) != nil {
		if err := addGrants(grants, -1); err != nil {
			return err
		}
	}
	r, ok, damaged := records.Get[grantRecord](tx, bucketGrants, id)
	seemed := records.Guess[grantRecord](tx, bucketGrants, id).ID
	if err := grants.Delete([]byte(id)); err != nil {
		return err
	}
	if damaged != nil {
		// What it was counted for cannot be read.
		if err := countAllGranted(tx); err != nil {
			return err
		}
	} else if ok {
		if err := countGranted(tx, r, -1); err != nil {
			return err
		}
	}
	if damaged != nil && seemed != "" && seemed != id && !HasGrant(tx, seemed) {
		// Its id lost a bit, so what belongs to it is under the id that it had.
		if err := dropTokens(tx, seemed); err != nil {
			return err
		}
	}
	return dropTokens(tx, id)
}

// dropTokens deletes the tokens and the timeline of a grant.
func dropTokens(tx *bbolt.Tx, id string) error {
	if err := dropTimeline(tx, id); err != nil {
		return err
	}
	prefix := tokensOf(id)
	var keys [][]byte // a cursor must not move while keys are deleted
	c := tx.Bucket(BucketTokens).Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	for _, k := range keys {
		if err := tx.Bucket(BucketTokens).Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// sweepAtOnce is how many grants one transaction of Sweep looks at. Other changes
// wait for that long.
const sweepAtOnce = 500

// Sweep implements oauth.Store. It also deletes calls that are too old.
func (l *Ledger) Sweep(now time.Time) error {
	if err := l.sweepGrants(now); err != nil {
		return err
	}
	return l.sweepCalls(now)
}

// tokensAt lists the tokens of a grant that expired long enough ago, and counts
// the rest.
func tokensAt(tx *bbolt.Tx, grant string, now time.Time) (expired [][]byte, live int, err error) {
	prefix := tokensOf(grant)
	c := tx.Bucket(BucketTokens).Cursor()
	for k, b := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, b = c.Next() {
		value, err := records.Check(BucketTokens, k, b)
		if err != nil {
			live++ // the owner is told, and may disconnect the app
			continue
		}
		kind, at, err := tokenExpires(value)
		if err != nil {
			return nil, 0, records.Damaged(BucketTokens, k, err)
		}
		if keptUntil(kind, at).Before(now) {
			expired = append(expired, bytes.Clone(k))
		} else {
			live++
		}
	}
	return expired, live, nil
}

// sweepGrant deletes the expired tokens of a grant, and the grant if no token is
// left. It reads them again, since the grant may have changed since due.
func (l *Ledger) sweepGrant(t *statefile.Tx, id string, now time.Time) error {
	r, ok, err := records.Get[grantRecord](t.Tx, bucketGrants, id)
	if err != nil {
		l.cfg.Damaged(err) // it stays until its owner deletes it
		return nil
	}
	if !ok {
		return nil
	}
	expired, live, err := tokensAt(t.Tx, id, now)
	if err != nil {
		return err
	}
	if live == 0 {
		return l.endGrant(t, oauth.Grant(r))
	}
	for _, k := range expired {
		if err := t.Bucket(BucketTokens).Delete(k); err != nil {
			return err
		}
	}
	return nil
}
