package sealed

import (
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// secretState is a secret of the program itself.
type secretState struct {
	sealed []byte
	opened endpoint.Secret // zero until it was asked for
}

// SaveSecret seals a secret that the program itself signs in with, such as the
// authtoken of a tunnel. It replaces an earlier one of that name.
func (s *Store) SaveSecret(name string, secret endpoint.Secret) error {
	if err := s.cfg.Need(); err != nil {
		return err
	}
	return s.cfg.Update(func(t *statefile.Tx) error {
		sealed := s.sealer().Seal(kindSecret, name, "", secret.Reveal())
		t.Then(func() { s.secrets[name] = &secretState{sealed: sealed, opened: secret} })
		return putSealed(t.Tx, kindSecret, name, sealed)
	})
}

// Secret returns a secret that SaveSecret kept. It answers ErrNotFound if there
// is none, ErrLocked while we wait for the master key, and ErrKeyNeeded if the
// record cannot be opened with it.
func (s *Store) Secret(name string) (endpoint.Secret, error) {
	s.cfg.Lock.Lock()
	defer s.cfg.Lock.Unlock()
	secret, ok := s.secrets[name]
	master, known := s.cfg.Master()
	switch {
	case !ok:
		return endpoint.Secret{}, ErrNotFound
	case !secret.opened.IsZero():
		return secret.opened, nil
	case !known:
		return endpoint.Secret{}, ErrLocked
	case master == nil:
		return endpoint.Secret{}, ErrKeyNeeded
	}
	text, err := master.Open(kindSecret, name, "", secret.sealed)
	if err != nil {
		return endpoint.Secret{}, ErrKeyNeeded
	}
	secret.opened = endpoint.NewSecret(text)
	return secret.opened, nil
}

// DeleteSecret forgets a secret. It is no error if there is none.
func (s *Store) DeleteSecret(name string) error {
	return s.cfg.Update(func(t *statefile.Tx) error {
		t.Then(func() { delete(s.secrets, name) })
		return t.Bucket(bucketSealed).Delete(sealedKey(kindSecret, name))
	})
}
