package vault

import (
	"bytes"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// secretState is a secret of the program itself.
type secretState struct {
	sealed []byte
	opened endpoint.Secret // zero until it was asked for
}

// SaveSecret seals a secret that the program itself signs in with, such as the
// authtoken of a tunnel. It replaces an earlier one of that name.
func (v *Vault) SaveSecret(name string, s endpoint.Secret) error {
	if err := v.haveMaster(); err != nil {
		return err
	}
	return v.update(func(t *transaction) error {
		sealed := v.sealer().Seal(kindSecret, name, "", s.Reveal())
		t.Then(func() { v.secrets[name] = &secretState{sealed: sealed, opened: s} })
		return putSealed(t.Tx, kindSecret, name, sealed)
	})
}

// Secret returns a secret that SaveSecret kept. It answers ErrNotFound if there
// is none, ErrLocked while we wait for the master key, and ErrKeyNeeded if the
// record cannot be opened with it.
func (v *Vault) Secret(name string) (endpoint.Secret, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, ok := v.secrets[name]
	master, known := v.keys.Master()
	switch {
	case !ok:
		return endpoint.Secret{}, ErrNotFound
	case !s.opened.IsZero():
		return s.opened, nil
	case !known:
		return endpoint.Secret{}, ErrLocked
	case master == nil:
		return endpoint.Secret{}, ErrKeyNeeded
	}
	text, err := master.Open(kindSecret, name, "", s.sealed)
	if err != nil {
		return endpoint.Secret{}, ErrKeyNeeded
	}
	s.opened = endpoint.NewSecret(text)
	return s.opened, nil
}

// DeleteSecret forgets a secret. It is no error if there is none.
func (v *Vault) DeleteSecret(name string) error {
	return v.update(func(t *transaction) error {
		t.Then(func() { delete(v.secrets, name) })
		return t.Bucket(bucketSealed).Delete(sealedKey(kindSecret, name))
	})
}

// loadSecrets reads the sealed records that belong to nothing else.
func (v *Vault) loadSecrets(tx *bbolt.Tx) {
	prefix := sealedKey(kindSecret, "")
	c := tx.Bucket(bucketSealed).Cursor()
	for k, b := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, b = c.Next() {
		b, _ = records.Check(bucketSealed, k, b) // a damaged one is there, and does not open
		v.secrets[strings.TrimPrefix(string(k), string(prefix))] = &secretState{sealed: bytes.Clone(b)}
	}
}
