package vault

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// Setting returns a small value that the program keeps, such as the address
// it serves on. The caller must not change it. It only reads memory.
func (v *Vault) Setting(name string) (value []byte, ok bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	value, ok = v.settings[name]
	return value, ok
}

// SetSetting saves a setting; nil deletes it.
func (v *Vault) SetSetting(name string, value []byte) error {
	value = bytes.Clone(value)
	return v.write(func(t *transaction) error { return v.putSetting(t, name, value) })
}

func (v *Vault) putSetting(t *transaction, name string, value []byte) error {
	b := t.Bucket(bucketSettings)
	if value == nil {
		t.Then(func() { delete(v.settings, name) })
		return b.Delete([]byte(name))
	}
	t.Then(func() { v.settings[name] = value })
	return records.PutBytes(t.Tx, bucketSettings, []byte(name), value)
}

// Random returns a setting of n random bytes, which it creates on first use.
func (v *Vault) Random(name string, n int) ([]byte, error) {
	if value, ok := v.Setting(name); ok && len(value) == n {
		return value, nil
	}
	var value []byte
	err := v.write(func(t *transaction) error {
		known, _ := records.GetBytes(t.Tx, bucketSettings, []byte(name)) // a damaged one is replaced
		value = bytes.Clone(known)
		if len(value) == n {
			return nil
		}
		value = make([]byte, n)
		rand.Read(value)
		return v.putSetting(t, name, value)
	})
	return value, err
}

// A Digest is the SHA-256 of an owner's cookie.
type Digest = [sha256.Size]byte

// maxSessions bounds the sessions of the owner. A new one replaces the one that
// ends first.
const maxSessions = 100

// AddSession saves a session of the owner, or when it ends.
func (v *Vault) AddSession(d Digest, expires time.Time) error {
	return v.write(func(t *transaction) error {
		b := t.Bucket(bucketSessions)
		now := v.now()
		live, first := 0, Digest{}
		var drop []Digest
		for other, end := range v.sessions {
			switch {
			case other == d:
				continue
			case !now.Before(end):
				drop = append(drop, other)
				continue
			case live == 0 || end.Before(v.sessions[first]):
				first = other
			}
			live++
		}
		if live >= maxSessions {
			drop = append(drop, first)
		}
		for _, other := range drop {
			if err := b.Delete(other[:]); err != nil {
				return err
			}
		}
		value, err := expires.UTC().MarshalBinary()
		if err != nil {
			return err
		}
		t.Then(func() {
			for _, other := range drop {
				delete(v.sessions, other)
			}
			v.sessions[d] = expires
		})
		return records.PutBytes(t.Tx, bucketSessions, d[:], value)
	})
}

// HasSession reports whether a session of the owner is valid. It only reads
// memory.
func (v *Vault) HasSession(d Digest) bool {
	now := v.now()
	v.mu.RLock()
	defer v.mu.RUnlock()
	end, ok := v.sessions[d]
	return ok && now.Before(end)
}

// EndSession ends a session of the owner. It is no error if there is none.
func (v *Vault) EndSession(d Digest) error {
	return v.write(func(t *transaction) error {
		t.Then(func() { delete(v.sessions, d) })
		return t.Bucket(bucketSessions).Delete(d[:])
	})
}

func (v *Vault) loadSessions(tx *bbolt.Tx) error {
	return records.EachBytes(tx, bucketSessions, func(k, b []byte) error {
		var end time.Time
		if err := end.UnmarshalBinary(b); err == nil && len(k) == len(Digest{}) {
			v.sessions[Digest(k)] = end
		}
		return nil // without its session, a browser has to sign in again
	})
}
