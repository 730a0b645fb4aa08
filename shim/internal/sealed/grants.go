package sealed

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/ledger"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
	"github.com/key2oauth/key2oauth/shim/internal/stored"
)

// CheckGrant reports an error unless there are the endpoint and the credential
// of a new grant. They may have been deleted while the consent page was open.
func CheckGrant(tx *bbolt.Tx, g oauth.Grant) error {
	switch {
	case tx.Bucket(stored.Endpoints).Get([]byte(g.Slug)) == nil:
		return fmt.Errorf("endpoint %s: %w", g.Slug, ErrNotFound)
	case g.Credential != "" && tx.Bucket(stored.Credentials).Get([]byte(g.Credential)) == nil:
		return fmt.Errorf("credential %s: %w", g.Credential, ErrNotFound)
	}
	return nil
}

// DropCredentialOf deletes the credential that a grant alone may use. The
// credential says whose it is: the grant may be damaged.
func (s *Store) DropCredentialOf(t *statefile.Tx, g oauth.Grant) error {
	for id, c := range s.creds {
		if c.Grant == g.ID && g.ID != "" {
			if err := s.dropCredential(t, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// Touch saves when an endpoint was used last.
func (s *Store) Touch(t *statefile.Tx, slug string, at time.Time) error {
	r, ok, err := records.Get[stored.Endpoint](t.Tx, stored.Endpoints, slug)
	if err != nil {
		s.cfg.NoteDamaged(err)
		return nil // it is only about when it was used
	}
	if !ok || !at.After(r.LastUsed) {
		return nil
	}
	r.LastUsed = at
	t.Then(func() {
		if e := s.endpoints[slug]; e != nil {
			e.LastUsed = at
		}
	})
	return records.Put(t.Tx, stored.Endpoints, slug, r)
}

// orphanAge is how long a credential may wait for the grant that it was pasted
// for. A grant follows within a minute or not at all.
const orphanAge = time.Hour

// Sweep deletes credentials that were pasted for a grant that was never made,
// and for good what was deleted long ago.
func (s *Store) Sweep(now time.Time) error {
	return errors.Join(s.sweepOrphans(now), s.sweepDeleted(now))
}

func (s *Store) sweepOrphans(now time.Time) error {
	var orphans []string
	s.cfg.Lock.RLock()
	for id, c := range s.creds {
		if c.Grant != "" && now.Sub(c.Created) > orphanAge {
			orphans = append(orphans, id)
		}
	}
	s.cfg.Lock.RUnlock()
	err := s.cfg.View(func(tx *bbolt.Tx) error {
		orphans = slices.DeleteFunc(orphans, func(id string) bool {
			c, ok := s.credGrant(id)
			return !ok || ledger.HasGrant(tx, c)
		})
		return nil
	})
	if err != nil || len(orphans) == 0 {
		return err
	}
	return s.cfg.Update(func(t *statefile.Tx) error {
		for _, id := range orphans {
			c, ok := s.creds[id]
			if !ok || ledger.HasGrant(t.Tx, c.Grant) {
				continue
			}
			if err := s.dropCredential(t, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// credGrant names the grant that a credential belongs to.
func (s *Store) credGrant(id string) (grant string, ok bool) {
	s.cfg.Lock.RLock()
	defer s.cfg.Lock.RUnlock()
	c, ok := s.creds[id]
	if !ok {
		return "", false
	}
	return c.Grant, true
}

// DropGranted deletes all credentials that only one grant may use.
func DropGranted(tx *bbolt.Tx) error {
	var own []string
	err := records.Each(tx, stored.Credentials, func(r stored.Credential) error {
		if r.Grant != "" {
			own = append(own, r.ID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range own {
		if err := errors.Join(tx.Bucket(stored.Credentials).Delete([]byte(id)), tx.Bucket(bucketSealed).Delete(sealedKey(kindKey, id))); err != nil {
			return err
		}
	}
	return nil
}
