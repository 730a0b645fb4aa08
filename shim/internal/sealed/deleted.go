package sealed

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
	"github.com/key2oauth/key2oauth/shim/internal/stored"
)

// A DeletedEndpoint can be restored until then.
type DeletedEndpoint struct {
	endpoint.Endpoint
	At, Until time.Time
}

// keepDeleted keeps what DeleteEndpoint is about to delete. A record that is
// damaged is not kept.
func (s *Store) keepDeleted(t *statefile.Tx, slug string) error {
	e, ok, err := records.Get[stored.Endpoint](t.Tx, stored.Endpoints, slug)
	if err != nil || !ok {
		return nil
	}
	r := stored.DeletedEndpoint{Endpoint: e, Query: bytes.Clone(getSealed(t.Tx, kindQuery, slug)), Deleted: s.cfg.Now()}
	if e.HasQuery && len(r.Query) == 0 {
		return nil
	}
	err = records.Each(t.Tx, stored.Credentials, func(c stored.Credential) error {
		if c.Slug == slug && c.Grant == "" {
			r.Keys = append(r.Keys, stored.DeletedKey{Credential: c, Sealed: bytes.Clone(getSealed(t.Tx, kindKey, c.ID))})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return stored.PutDeleted(t.Tx, r)
}

// DeletedEndpoints lists the endpoints that can be restored, the last deleted first.
func (s *Store) DeletedEndpoints() (all []DeletedEndpoint, err error) {
	err = s.cfg.View(func(tx *bbolt.Tx) error {
		return stored.EachDeleted(tx, func(r stored.DeletedEndpoint) error {
			if !r.Over(s.cfg.Now()) {
				all = append(all, DeletedEndpoint{r.Endpoint.Endpoint(), r.Deleted, r.Deleted.Add(stored.DeletedFor)})
			}
			return nil
		})
	})
	slices.SortFunc(all, func(a, b DeletedEndpoint) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Slug, b.Slug)) })
	return all, err
}

// RestoreDeleted brings a deleted endpoint back, with its slug and the owner's keys. It
// answers ErrNotFound if there is none, and ErrExists if its slug was taken.
func (s *Store) RestoreDeleted(slug string) error {
	return s.cfg.Update(func(t *statefile.Tx) error {
		r, ok := stored.GetDeleted(t.Tx, slug, s.cfg.Now())
		if !ok {
			return ErrNotFound
		}
		if t.Bucket(stored.Endpoints).Get([]byte(slug)) != nil {
			return ErrExists
		}
		if err := stored.PutEndpoint(t.Tx, r.Endpoint.Endpoint()); err != nil {
			return err
		}
		if len(r.Query) > 0 {
			if err := putSealed(t.Tx, kindQuery, slug, r.Query); err != nil {
				return err
			}
		}
		for _, k := range r.Keys {
			if t.Bucket(stored.Credentials).Get([]byte(k.Credential.ID)) != nil {
				return ErrExists
			}
			if err := stored.PutCredential(t.Tx, k.Credential.Credential()); err != nil {
				return err
			}
			if len(k.Sealed) > 0 {
				if err := putSealed(t.Tx, kindKey, k.Credential.ID, k.Sealed); err != nil {
					return err
				}
			}
		}
		t.Then(func() {
			s.endpoints[slug] = &endpointState{Endpoint: r.Endpoint.Endpoint(), sealed: r.Query}
			for _, k := range r.Keys {
				s.creds[k.Credential.ID] = &credState{Credential: k.Credential.Credential(), sealed: k.Sealed}
			}
			s.cfg.Notify()
		})
		return t.Bucket(stored.Deleted).Delete([]byte(slug))
	})
}

// ForgetDeleted deletes for good what DeleteEndpoint kept.
func (s *Store) ForgetDeleted(slug string) error {
	return s.cfg.Update(func(t *statefile.Tx) error {
		if _, ok := stored.GetDeleted(t.Tx, slug, s.cfg.Now()); !ok {
			return ErrNotFound
		}
		return t.Bucket(stored.Deleted).Delete([]byte(slug))
	})
}

// sweepDeleted deletes for good what can be restored no more.
func (s *Store) sweepDeleted(now time.Time) error {
	var old []string
	collect := func(tx *bbolt.Tx) error {
		old = nil
		return stored.EachDeleted(tx, func(r stored.DeletedEndpoint) error {
			if r.Over(now) {
				old = append(old, r.Endpoint.Slug)
			}
			return nil
		})
	}
	if err := s.cfg.View(collect); err != nil || len(old) == 0 {
		return err
	}
	return s.cfg.Update(func(t *statefile.Tx) error {
		if err := collect(t.Tx); err != nil {
			return err
		}
		for _, slug := range old {
			if err := t.Bucket(stored.Deleted).Delete([]byte(slug)); err != nil {
				return err
			}
		}
		return nil
	})
}
