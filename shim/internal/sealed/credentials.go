package sealed

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
	"github.com/key2oauth/key2oauth/shim/internal/stored"
)

// Credentials lists the credentials of an endpoint, oldest first, including
// those that only one grant may use.
func (s *Store) Credentials(slug string) []endpoint.Credential {
	s.cfg.Lock.RLock()
	defer s.cfg.Lock.RUnlock()
	var all []endpoint.Credential
	for _, c := range s.creds {
		if c.Slug == slug {
			all = append(all, s.shown(c))
		}
	}
	slices.SortFunc(all, inOrder)
	return all
}

// CredentialsOfAll is Credentials for all endpoints, by slug, in one pass.
func (s *Store) CredentialsOfAll() map[string][]endpoint.Credential {
	s.cfg.Lock.RLock()
	defer s.cfg.Lock.RUnlock()
	all := make(map[string][]endpoint.Credential)
	for _, c := range s.creds {
		all[c.Slug] = append(all[c.Slug], s.shown(c))
	}
	for _, of := range all {
		slices.SortFunc(of, inOrder)
	}
	return all
}

func inOrder(a, b endpoint.Credential) int {
	return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Label, b.Label), strings.Compare(a.ID, b.ID))
}

// Counts returns how many endpoints there are, and how many credentials their
// upstreams reject.
func (s *Store) Counts() (endpoints, rejected int) {
	s.cfg.Lock.RLock()
	defer s.cfg.Lock.RUnlock()
	for _, c := range s.creds {
		if s.shown(c).State == endpoint.Rejected {
			rejected++
		}
	}
	return len(s.endpoints), rejected
}

// Credential returns what may be shown of one credential. It only reads
// memory.
func (s *Store) Credential(id string) (c endpoint.Credential, ok bool) {
	s.cfg.Lock.RLock()
	defer s.cfg.Lock.RUnlock()
	state, ok := s.creds[id]
	if !ok {
		return c, false
	}
	return s.shown(state), true
}

// shown returns a credential as it may be shown: its state says if its key
// cannot be opened. While we wait for the master key, the key counts as good.
// The caller holds s.cfg.Lock.
func (s *Store) shown(c *credState) endpoint.Credential {
	shown := c.Credential
	if !s.mayOpen(c) {
		shown.State = endpoint.KeyNeeded
	}
	return shown
}

func (s *Store) mayOpen(c *credState) bool {
	if len(c.sealed) == 0 {
		return false
	}
	master, known := s.cfg.Master()
	return !known || master != c.refused && master.Sealed(c.sealed)
}

// Key returns the key of a credential. Once opened, it only reads memory. It
// answers ErrLocked while we wait for the master key, and ErrKeyNeeded if the
// record cannot be opened with it.
func (s *Store) Key(id string) (endpoint.Secret, error) {
	s.cfg.Lock.RLock()
	c, ok := s.creds[id]
	if ok && !c.opened.IsZero() {
		defer s.cfg.Lock.RUnlock()
		return c.opened, nil
	}
	s.cfg.Lock.RUnlock()
	if !ok {
		return endpoint.Secret{}, ErrNotFound
	}

	s.cfg.Lock.Lock()
	defer s.cfg.Lock.Unlock()
	c, ok = s.creds[id]
	master, known := s.cfg.Master()
	switch {
	case !ok:
		return endpoint.Secret{}, ErrNotFound
	case !c.opened.IsZero():
		return c.opened, nil
	case !s.mayOpen(c):
		return endpoint.Secret{}, ErrKeyNeeded
	case !known:
		return endpoint.Secret{}, ErrLocked
	}
	e := s.endpoints[c.Slug]
	if e == nil {
		return endpoint.Secret{}, ErrKeyNeeded
	}
	var key string
	whole, err := s.fullURL(e)
	if err == nil {
		key, err = master.Open(kindKey, id, whole, c.sealed)
	}
	if err != nil {
		// The file was edited, or the disk lost a bit. Either way the key must not
		// be sent anywhere.
		c.refused = master
		s.cfg.Log.Warn("a sealed key does not open for its endpoint", "endpoint", c.Slug, "credential", id)
		s.cfg.Notify()
		return endpoint.Secret{}, ErrKeyNeeded
	}
	c.opened = endpoint.NewSecret(key)
	return c.opened, nil
}

func newCredential(slug, grant string, state endpoint.CredentialState, created time.Time) endpoint.Credential {
	return endpoint.Credential{
		ID:      strings.ToLower(rand.Text()[:16]),
		Slug:    slug,
		State:   state,
		Grant:   grant,
		Created: created,
	}
}

// SaveCredential seals a key for an endpoint. grant is the grant that alone may
// use it, or "" for a key of the owner.
func (s *Store) SaveCredential(slug, grant string, key endpoint.Secret, state endpoint.CredentialState) (endpoint.Credential, error) {
	c := newCredential(slug, grant, state, s.cfg.Now())
	err := s.sealKey(key, func(t *statefile.Tx) (*endpoint.Credential, error) {
		c.Label = s.nextLabel(slug)
		return &c, nil
	})
	return c, err
}

// ReplaceKey puts another key into a credential. The grants that use it keep
// working.
func (s *Store) ReplaceKey(id string, key endpoint.Secret, state endpoint.CredentialState) error {
	return s.sealKey(key, func(t *statefile.Tx) (*endpoint.Credential, error) {
		r, ok, err := records.Get[stored.Credential](t.Tx, stored.Credentials, id)
		if err == nil && !ok {
			err = ErrNotFound
		}
		c := r.Credential()
		c.State = state
		return &c, err
	})
}

// RepairKey saves a credential whose record cannot be read, with another key. If
// its label is taken, it gets the next one.
func (s *Store) RepairKey(c endpoint.Credential, key endpoint.Secret) error {
	return s.sealKey(key, func(t *statefile.Tx) (*endpoint.Credential, error) {
		if s.creds[c.ID] != nil {
			return nil, ErrNotFound // it was repaired meanwhile
		}
		for _, other := range s.creds {
			if other.Slug == c.Slug && other.Label == c.Label {
				c.Label = s.nextLabel(c.Slug)
			}
		}
		return &c, nil
	})
}

// sealKey saves the credential that fn returns, with key sealed in it.
func (s *Store) sealKey(key endpoint.Secret, fn func(t *statefile.Tx) (*endpoint.Credential, error)) error {
	if err := s.cfg.Need(); err != nil {
		return err
	}
	return s.cfg.Update(func(t *statefile.Tx) error {
		c, err := fn(t)
		if err != nil {
			return err
		}
		s.cfg.Lock.RLock()
		e := s.endpoints[c.Slug]
		var whole string
		if e == nil {
			err = fmt.Errorf("endpoint %s: %w", c.Slug, ErrNotFound)
		} else {
			whole, err = s.fullURL(e)
		}
		s.cfg.Lock.RUnlock()
		if err != nil {
			return err
		}
		return s.putKey(t, *c, whole, key)
	})
}

// putKey saves a credential and seals its key for the full upstream URL.
func (s *Store) putKey(t *statefile.Tx, c endpoint.Credential, whole string, key endpoint.Secret) error {
	sealed := s.sealer().Seal(kindKey, c.ID, whole, key.Reveal())
	if err := stored.PutCredential(t.Tx, c); err != nil {
		return err
	}
	if err := putSealed(t.Tx, kindKey, c.ID, sealed); err != nil {
		return err
	}
	t.Then(func() {
		s.creds[c.ID] = &credState{Credential: c, sealed: sealed, opened: key}
		s.cfg.Notify()
	})
	return nil
}

// firstLabel is the label of an endpoint's first credential.
const firstLabel = "key 1"

// nextLabel returns the first of "key 1", "key 2", ... that the endpoint does
// not have yet.
func (s *Store) nextLabel(slug string) string {
	taken := make(map[string]bool)
	for _, c := range s.creds {
		if c.Slug == slug {
			taken[c.Label] = true
		}
	}
	for n := 1; ; n++ {
		if label := fmt.Sprintf("key %d", n); !taken[label] {
			return label
		}
	}
}

// SetCredentialState saves how the upstream answered a key. KeyNeeded is never
// saved: it follows from the master key.
func (s *Store) SetCredentialState(id string, state endpoint.CredentialState) error {
	s.cfg.Lock.RLock()
	c, ok := s.creds[id]
	same := ok && c.State == state
	s.cfg.Lock.RUnlock()
	if same || ok && state == endpoint.KeyNeeded {
		return nil
	}
	return s.changeCredential(id, func(c *endpoint.Credential) { c.State = state })
}

// LabelCredential renames a credential.
func (s *Store) LabelCredential(id, label string) error {
	return s.changeCredential(id, func(c *endpoint.Credential) { c.Label = label })
}

func (s *Store) changeCredential(id string, f func(c *endpoint.Credential)) error {
	return s.cfg.Update(func(t *statefile.Tx) error {
		r, ok, err := records.Get[stored.Credential](t.Tx, stored.Credentials, id)
		if err != nil {
			return err
		}
		if !ok {
			return ErrNotFound
		}
		c := r.Credential()
		f(&c)
		if err := stored.PutCredential(t.Tx, c); err != nil {
			return err
		}
		t.Then(func() {
			if state := s.creds[id]; state != nil {
				state.Credential = c
			}
			s.cfg.Notify()
		})
		return nil
	})
}

// DeleteCredential deletes a credential with its key. Grants that use it stay
// and find no key.
func (s *Store) DeleteCredential(id string) error {
	return s.cfg.Update(func(t *statefile.Tx) error {
		if t.Bucket(stored.Credentials).Get([]byte(id)) == nil {
			return ErrNotFound
		}
		return s.dropCredential(t, id)
	})
}

// dropCredential deletes a credential within a transaction.
func (s *Store) dropCredential(t *statefile.Tx, id string) error {
	if err := t.Bucket(stored.Credentials).Delete([]byte(id)); err != nil {
		return err
	}
	if err := t.Bucket(bucketSealed).Delete(sealedKey(kindKey, id)); err != nil {
		return err
	}
	t.Then(func() {
		delete(s.creds, id)
	})
	return nil
}
