// Package settings keeps small values that the program needs without delay,
// such as the address it serves on, and the sessions of its owner's browsers.
//
// They are records of the state file and in memory too, so reading one costs
// nothing. What they mean is the caller's business. None of them is a secret of
// the owner's: those are sealed, elsewhere.
package settings

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// Config is what settings need from the state that they are part of. All fields
// are required.
type Config struct {
	// Write does not wait until it is known which file is kept.
	Write func(fn func(t *statefile.Tx) error) error
	// Lock is held for writing while functions that were given to Tx.Then run.
	Lock *sync.RWMutex
	Now  func() time.Time
	// Repaired is called after a record of Random was damaged and written again,
	// and Lost after both were, and a new value was made.
	Repaired, Lost func(name string)
}

// Settings reads and writes these records. It is safe for concurrent use.
type Settings struct {
	cfg Config

	// The maps are guarded by Config.Lock, and change only in a transaction, of
	// which there is one at a time, so a transaction may read them without it.
	sessions map[Digest]time.Time
	settings map[string][]byte
	randoms  map[string]bool // what Random returned in this run
}

// New returns the settings of a state file that has Buckets. They are empty until
// Load.
func New(cfg Config) *Settings {
	s := &Settings{cfg: cfg}
	s.Clear()
	return s
}

// The buckets of the settings.
var (
	bucketSettings = []byte("settings")
	bucketSessions = []byte("sessions") // digest -> expiry
)

// Buckets are those of the settings in every state file.
var Buckets = []records.Bucket{{Name: bucketSettings, Checked: true}, {Name: bucketSessions, Checked: true}}

// Migrate gives the records of an older file their checksums.
func Migrate(tx *bbolt.Tx) error {
	sound := func([]byte) bool { return true }
	return errors.Join(records.AddChecksums(tx, bucketSettings, sound), records.AddChecksums(tx, bucketSessions, sound))
}

// Load reads everything. Nothing else may use the settings meanwhile.
func (s *Settings) Load(tx *bbolt.Tx) error {
	if err := s.loadSessions(tx); err != nil {
		return err
	}
	return tx.Bucket(bucketSettings).ForEach(func(k, b []byte) error {
		// A setting that cannot be read is kept with an empty value: most matter
		// by being there at all, such as the one for paused calls.
		value, _ := records.Check(bucketSettings, k, b)
		s.settings[string(k)] = bytes.Clone(value)
		return nil
	})
}

// Clear forgets everything that is in memory. The caller holds Config.Lock.
func (s *Settings) Clear() {
	s.sessions = make(map[Digest]time.Time)
	s.settings = make(map[string][]byte)
	s.randoms = make(map[string]bool)
}

// Read reads a setting from a file that is not open. It is nil if there is none
// that can be read.
func Read(tx *bbolt.Tx, name string) []byte {
	value, _ := records.GetBytes(tx, bucketSettings, []byte(name))
	return bytes.Clone(value)
}

// EndSessions ends all sessions, in a file that is not open.
func EndSessions(tx *bbolt.Tx) error {
	if err := tx.DeleteBucket(bucketSessions); err != nil {
		return err
	}
	_, err := tx.CreateBucket(bucketSessions)
	return err
}

// Damaged says which setting a damaged record is.
func Damaged(e *records.Error) (name string, ok bool) {
	return e.Key, e.Bucket == string(bucketSettings)
}

// Healable reports whether Heal can mend a damaged record: what it held is in
// memory, or it is a session, without which a browser has to sign in again.
func (s *Settings) Healable(e *records.Error) bool {
	s.cfg.Lock.RLock()
	defer s.cfg.Lock.RUnlock()
	return e.Bucket == string(bucketSessions) || e.Bucket == string(bucketSettings) && s.isRandom(e.Key)
}

// Heal rewrites a damaged record, or deletes a session.
func (s *Settings) Heal(tx *bbolt.Tx, e *records.Error) error {
	if e.Bucket == string(bucketSettings) {
		return s.heal(tx, e.Key)
	}
	return tx.Bucket(bucketSessions).Delete([]byte(e.Key))
}

// Setting returns a small value that the program keeps, such as the address
// it serves on. The caller must not change it. It only reads memory.
func (s *Settings) Setting(name string) (value []byte, ok bool) {
	s.cfg.Lock.RLock()
	defer s.cfg.Lock.RUnlock()
	value, ok = s.settings[name]
	return value, ok
}

// SetSetting saves a setting; nil deletes it.
func (s *Settings) SetSetting(name string, value []byte) error {
	value = bytes.Clone(value)
	return s.cfg.Write(func(t *statefile.Tx) error { return s.putSetting(t, name, value) })
}

func (s *Settings) putSetting(t *statefile.Tx, name string, value []byte) error {
	b := t.Bucket(bucketSettings)
	if value == nil && s.isRandom(name) {
		return s.heal(t.Tx, name) // no one could make it again
	}
	if value == nil {
		t.Then(func() { delete(s.settings, name) })
		return b.Delete([]byte(name))
	}
	t.Then(func() { s.settings[name] = value })
	return records.PutBytes(t.Tx, bucketSettings, []byte(name), value)
}

// A Digest is the SHA-256 of an owner's cookie.
type Digest = [sha256.Size]byte

// maxSessions bounds the sessions of the owner. A new one replaces the one that
// ends first.
const maxSessions = 100

// AddSession saves a session of the owner, or changes when it ends.
func (s *Settings) AddSession(d Digest, expires time.Time) error {
	return s.cfg.Write(func(t *statefile.Tx) error {
		b := t.Bucket(bucketSessions)
		now := s.cfg.Now()
		live, first := 0, Digest{}
		var drop []Digest
		for other, end := range s.sessions {
			switch {
			case other == d:
				continue
			case !now.Before(end):
				drop = append(drop, other)
				continue
			case live == 0 || end.Before(s.sessions[first]):
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
				delete(s.sessions, other)
			}
			s.sessions[d] = expires
		})
		return records.PutBytes(t.Tx, bucketSessions, d[:], value)
	})
}

// HasSession reports whether a session of the owner is valid. It only reads
// memory.
func (s *Settings) HasSession(d Digest) bool {
	now := s.cfg.Now()
	s.cfg.Lock.RLock()
	defer s.cfg.Lock.RUnlock()
	end, ok := s.sessions[d]
	return ok && now.Before(end)
}

// EndSession ends a session of the owner. It is no error if there is none.
func (s *Settings) EndSession(d Digest) error {
	return s.cfg.Write(func(t *statefile.Tx) error {
		t.Then(func() { delete(s.sessions, d) })
		return t.Bucket(bucketSessions).Delete(d[:])
	})
}

func (s *Settings) loadSessions(tx *bbolt.Tx) error {
	return records.EachBytes(tx, bucketSessions, func(k, b []byte) error {
		var end time.Time
		if err := end.UnmarshalBinary(b); err == nil && len(k) == len(Digest{}) {
			s.sessions[Digest(k)] = end
		}
		return nil // without its session, a browser has to sign in again
	})
}
