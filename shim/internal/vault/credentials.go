package vault

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// Credentials lists the credentials of an endpoint, oldest first, including
// those that only one grant may use.
func (v *Vault) Credentials(slug string) []endpoint.Credential {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var all []endpoint.Credential
	for _, c := range v.creds {
		if c.Slug == slug {
			all = append(all, v.shown(c))
		}
	}
	slices.SortFunc(all, func(a, b endpoint.Credential) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Label, b.Label), strings.Compare(a.ID, b.ID))
	})
	return all
}

// Counts returns how many endpoints there are, and how many credentials their
// upstreams reject.
func (v *Vault) Counts() (endpoints, rejected int) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, c := range v.creds {
		if v.shown(c).State == endpoint.Rejected {
			rejected++
		}
	}
	return len(v.endpoints), rejected
}

// Credential returns what may be shown of one credential. It only reads
// memory.
func (v *Vault) Credential(id string) (c endpoint.Credential, ok bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	s, ok := v.creds[id]
	if !ok {
		return c, false
	}
	return v.shown(s), true
}

// shown returns a credential as it may be shown: its state says if its key
// cannot be opened. While we wait for the master key, the key counts as good.
// The caller holds v.mu.
func (v *Vault) shown(s *credState) endpoint.Credential {
	c := s.Credential
	if !v.mayOpen(s) {
		c.State = endpoint.KeyNeeded
	}
	return c
}

func (v *Vault) mayOpen(s *credState) bool {
	if len(s.sealed) == 0 {
		return false
	}
	master, known := v.keys.Master()
	return !known || master != s.refused && master.Sealed(s.sealed)
}

// Key returns the key of a credential. Once opened, it only reads memory. It
// answers ErrLocked while we wait for the master key, and ErrKeyNeeded if the
// record cannot be opened with it.
func (v *Vault) Key(id string) (endpoint.Secret, error) {
	v.mu.RLock()
	s, ok := v.creds[id]
	if ok && !s.opened.IsZero() {
		defer v.mu.RUnlock()
		return s.opened, nil
	}
	v.mu.RUnlock()
	if !ok {
		return endpoint.Secret{}, ErrNotFound
	}

	v.mu.Lock()
	defer v.mu.Unlock()
	s, ok = v.creds[id]
	master, known := v.keys.Master()
	switch {
	case !ok:
		return endpoint.Secret{}, ErrNotFound
	case !s.opened.IsZero():
		return s.opened, nil
	case !v.mayOpen(s):
		return endpoint.Secret{}, ErrKeyNeeded
	case !known:
		return endpoint.Secret{}, ErrLocked
	}
	e := v.endpoints[s.Slug]
	if e == nil {
		return endpoint.Secret{}, ErrKeyNeeded
	}
	var key string
	whole, err := v.fullURL(e)
	if err == nil {
		key, err = master.Open(kindKey, id, whole, s.sealed)
	}
	if err != nil {
		// The file was edited, or the disk lost a bit. Either way the key must not
		// be sent anywhere.
		s.refused = master
		v.log.Warn("a sealed key does not open for its endpoint", "endpoint", s.Slug, "credential", id)
		v.notify()
		return endpoint.Secret{}, ErrKeyNeeded
	}
	s.opened = endpoint.NewSecret(key)
	return s.opened, nil
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
func (v *Vault) SaveCredential(slug, grant string, key endpoint.Secret, state endpoint.CredentialState) (endpoint.Credential, error) {
	c := newCredential(slug, grant, state, v.now())
	err := v.sealKey(key, func(t *transaction) (*endpoint.Credential, error) {
		c.Label = v.nextLabel(slug)
		return &c, nil
	})
	return c, err
}

// ReplaceKey puts another key into a credential. The grants that use it keep
// working.
func (v *Vault) ReplaceKey(id string, key endpoint.Secret, state endpoint.CredentialState) error {
	return v.sealKey(key, func(t *transaction) (*endpoint.Credential, error) {
		r, ok, err := records.Get[credentialRecord](t.Tx, bucketCreds, id)
		if err == nil && !ok {
			err = ErrNotFound
		}
		c := r.credential()
		c.State = state
		return &c, err
	})
}

// sealKey saves the credential that fn returns, with key sealed in it.
func (v *Vault) sealKey(key endpoint.Secret, fn func(t *transaction) (*endpoint.Credential, error)) error {
	if err := v.haveMaster(); err != nil {
		return err
	}
	return v.update(func(t *transaction) error {
		c, err := fn(t)
		if err != nil {
			return err
		}
		v.mu.RLock()
		e := v.endpoints[c.Slug]
		var whole string
		if e == nil {
			err = fmt.Errorf("endpoint %s: %w", c.Slug, ErrNotFound)
		} else {
			whole, err = v.fullURL(e)
		}
		v.mu.RUnlock()
		if err != nil {
			return err
		}
		return v.putKey(t, *c, whole, key)
	})
}

// putKey saves a credential and seals its key for the full upstream URL.
func (v *Vault) putKey(t *transaction, c endpoint.Credential, whole string, key endpoint.Secret) error {
	sealed := v.sealer().Seal(kindKey, c.ID, whole, key.Reveal())
	if err := putCredential(t.Tx, c); err != nil {
		return err
	}
	if err := putSealed(t.Tx, kindKey, c.ID, sealed); err != nil {
		return err
	}
	t.Then(func() {
		v.creds[c.ID] = &credState{Credential: c, sealed: sealed, opened: key}
		v.notify()
	})
	return nil
}

// firstLabel is the label of an endpoint's first credential.
const firstLabel = "key 1"

// nextLabel returns the first of "key 1", "key 2", ... that the endpoint does
// not have yet.
func (v *Vault) nextLabel(slug string) string {
	taken := make(map[string]bool)
	for _, c := range v.creds {
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
func (v *Vault) SetCredentialState(id string, state endpoint.CredentialState) error {
	v.mu.RLock()
	c, ok := v.creds[id]
	same := ok && c.State == state
	v.mu.RUnlock()
	if same || ok && state == endpoint.KeyNeeded {
		return nil
	}
	return v.changeCredential(id, func(c *endpoint.Credential) { c.State = state })
}

// LabelCredential renames a credential.
func (v *Vault) LabelCredential(id, label string) error {
	return v.changeCredential(id, func(c *endpoint.Credential) { c.Label = label })
}

func (v *Vault) changeCredential(id string, f func(c *endpoint.Credential)) error {
	return v.update(func(t *transaction) error {
		r, ok, err := records.Get[credentialRecord](t.Tx, bucketCreds, id)
		if err != nil {
			return err
		}
		if !ok {
			return ErrNotFound
		}
		c := r.credential()
		f(&c)
		if err := putCredential(t.Tx, c); err != nil {
			return err
		}
		t.Then(func() {
			if s := v.creds[id]; s != nil {
				s.Credential = c
			}
			v.notify()
		})
		return nil
	})
}

// DeleteCredential deletes a credential with its key. Grants that use it stay
// and find no key.
func (v *Vault) DeleteCredential(id string) error {
	return v.update(func(t *transaction) error {
		if t.Bucket(bucketCreds).Get([]byte(id)) == nil {
			return ErrNotFound
		}
		return v.dropCredential(t, id)
	})
}

// dropCredential deletes a credential within a transaction.
func (v *Vault) dropCredential(t *transaction, id string) error {
	if err := t.Bucket(bucketCreds).Delete([]byte(id)); err != nil {
		return err
	}
	if err := t.Bucket(bucketSealed).Delete(sealedKey(kindKey, id)); err != nil {
		return err
	}
	t.Then(func() {
		delete(v.creds, id)
	})
	return nil
}
