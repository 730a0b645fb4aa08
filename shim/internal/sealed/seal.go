package sealed

import (
	"bytes"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// The kinds of sealed records.
const (
	kindKey    = "key"    // an API key; its id is the credential's
	kindQuery  = "query"  // the query of an upstream URL; its id is the slug
	kindSecret = "secret" // a credential of the program itself, such as an authtoken; its id is a name
)

// sealedKey is the name of a sealed record in its bucket.
func sealedKey(kind, id string) []byte { return []byte(kind + "/" + id) }

func putSealed(tx *bbolt.Tx, kind, id string, sealed []byte) error {
	return records.PutBytes(tx, bucketSealed, sealedKey(kind, id), sealed)
}

// getSealed returns a sealed record, or nil if there is none that can be read:
// then what it held has to be pasted again.
func getSealed(tx *bbolt.Tx, kind, id string) []byte {
	sealed, _ := records.GetBytes(tx, bucketSealed, sealedKey(kind, id))
	return bytes.Clone(sealed)
}

// sealer returns the master key. Inside a transaction, after Config.Need, it is
// there, and it is the one that all records are under.
func (s *Store) sealer() *keychain.MasterKey {
	m, _ := s.cfg.Master()
	return m
}

// SealedUnder reports whether any record is sealed under m, or, for nil, whether
// there is a sealed record at all.
func (s *Store) SealedUnder(m *keychain.MasterKey) bool {
	s.cfg.Lock.RLock()
	defer s.cfg.Lock.RUnlock()
	is := func(sealed []byte) bool { return len(sealed) > 0 && (m == nil || m.Sealed(sealed)) }
	for _, e := range s.endpoints {
		if is(e.sealed) {
			return true
		}
	}
	for _, c := range s.creds {
		if is(c.sealed) {
			return true
		}
	}
	for _, secret := range s.secrets {
		if is(secret.sealed) {
			return true
		}
	}
	return false
}

// UnderIn is SealedUnder, for a file that is not open. What it returns may be used
// after the transaction.
func UnderIn(tx *bbolt.Tx) (sealedUnder func(m *keychain.MasterKey) bool, err error) {
	var all [][]byte
	err = records.EachBytes(tx, bucketSealed, func(_, b []byte) error {
		all = append(all, bytes.Clone(b))
		return nil
	})
	return func(m *keychain.MasterKey) bool {
		return slices.ContainsFunc(all, func(b []byte) bool { return m == nil || m.Sealed(b) })
	}, err
}

// Reseal seals everything under another master key, in a transaction.
func (s *Store) Reseal(t *statefile.Tx, kept *keychain.MasterKey) error {
	resealed, err := s.resealed(kept)
	if err != nil {
		return err
	}
	for k, value := range resealed {
		if err := records.PutBytes(t.Tx, bucketSealed, []byte(k), value); err != nil {
			return err
		}
	}
	t.Then(func() { s.useResealed(resealed) })
	return nil
}

// resealed returns every sealed record under another master key, by its name in
// the bucket. It is empty if the key is the same.
func (s *Store) resealed(kept *keychain.MasterKey) (map[string][]byte, error) {
	s.cfg.Lock.RLock()
	defer s.cfg.Lock.RUnlock()
	all := make(map[string][]byte)
	master, _ := s.cfg.Master()
	if master == nil || kept.Same(master) {
		return all, nil
	}
	for slug, e := range s.endpoints {
		whole, err := s.fullURL(e)
		if err != nil {
			return nil, err
		}
		if e.HasQuery {
			query := whole[len(e.BaseURL)+1:]
			all[string(sealedKey(kindQuery, slug))] = kept.Seal(kindQuery, slug, e.BaseURL, query)
		}
		for id, c := range s.creds {
			if c.Slug != slug || len(c.sealed) == 0 {
				continue
			}
			key, err := master.Open(kindKey, id, whole, c.sealed)
			if err != nil {
				continue // it cannot be opened now either
			}
			all[string(sealedKey(kindKey, id))] = kept.Seal(kindKey, id, whole, key)
		}
	}
	for name, secret := range s.secrets {
		if text, err := master.Open(kindSecret, name, "", secret.sealed); err == nil {
			all[string(sealedKey(kindSecret, name))] = kept.Seal(kindSecret, name, "", text)
		}
	}
	return all, nil
}

// useResealed replaces sealed records in memory. The caller holds Config.Lock.
func (s *Store) useResealed(resealed map[string][]byte) {
	for slug, e := range s.endpoints {
		if b, ok := resealed[string(sealedKey(kindQuery, slug))]; ok {
			e.sealed = b
		}
	}
	for id, c := range s.creds {
		if b, ok := resealed[string(sealedKey(kindKey, id))]; ok {
			c.sealed = b
		}
	}
	for name, secret := range s.secrets {
		if b, ok := resealed[string(sealedKey(kindSecret, name))]; ok {
			secret.sealed = b
		}
	}
}
