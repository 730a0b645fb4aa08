// Package sealed keeps the owner's servers and what has to stay secret about
// them: endpoints with the query of their URL, credentials with their keys, and
// the secrets that the program itself signs in with.
//
// The secrets are sealed under a master key that is not in the state file. The
// kind, the id and the full upstream URL of a record are authenticated with it:
// no edit of the file sends key A to place B. All records are in memory too, and
// are opened when they are first asked for. Without the master key, everything
// except secrets can be read and changed; Key answers ErrLocked.
package sealed

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/ledger"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
	"github.com/key2oauth/key2oauth/shim/internal/stored"
)

var (
	// ErrLocked says that the master key is not there yet: the keychain is
	// locked, slow, or not set up. Trying again later may work.
	ErrLocked = keychain.ErrLocked
	// ErrKeyNeeded says that a record cannot be opened: it is sealed under
	// another master key, was deleted with its upstream URL, or was edited. The
	// owner has to paste the key again.
	ErrKeyNeeded = errors.New("the API key has to be pasted again")
	// ErrNotFound says that there is no such endpoint, credential or secret.
	ErrNotFound = errors.New("not found")
	// ErrExists says that the id of a new record is taken.
	ErrExists = ledger.ErrExists
)

// Config is what a store needs from the state that it is part of. All fields
// are required.
type Config struct {
	View   func(fn func(tx *bbolt.Tx) error) error
	Update func(fn func(t *statefile.Tx) error) error

	// Lock is held for writing while functions that were given to Tx.Then run.
	// What is in memory changes only there, and there is one transaction at a
	// time, so a transaction may read memory without it.
	Lock *sync.RWMutex
	// Notify is called, with Lock held, when the state of a credential changes.
	Notify func()

	// Master returns the master key, which is nil if there is none, and whether
	// that is known.
	Master func() (m *keychain.MasterKey, known bool)
	// Need makes sure that there is a master key to seal with. It is called before
	// a transaction, since it may ask the keychain.
	Need func() error

	// Damaged lists the damaged records of the file, and NoteDamaged adds one.
	Damaged     func() []*records.Error
	NoteDamaged func(err error)

	// Ledger has the grants of endpoints.
	Ledger func() *ledger.Ledger

	Log *slog.Logger
	Now func() time.Time
}

// A Store reads and writes these records. It is safe for concurrent use.
type Store struct {
	cfg Config

	// The maps are guarded by Config.Lock.
	endpoints map[string]*endpointState
	creds     map[string]*credState
	secrets   map[string]*secretState
}

// endpointState is an endpoint with its query and its parsed URL.
type endpointState struct {
	endpoint.Endpoint
	sealed []byte // its query, if it has one
	url    *url.URL
}

// credState is a credential with its key.
type credState struct {
	endpoint.Credential
	sealed  []byte              // nil after its endpoint's upstream URL was changed
	opened  endpoint.Secret     // zero until the key was asked for
	refused *keychain.MasterKey // the key that sealed names, if it did not open with that
}

// New returns the store of a state file that has Buckets. It is empty until Load.
func New(cfg Config) *Store {
	s := &Store{cfg: cfg}
	s.Clear()
	return s
}

// bucketSealed holds what is sealed: kind "/" id -> sealed record. The other buckets
// of the store are package stored's.
var bucketSealed = []byte("sealed")

// Buckets are those of the store in every state file.
var Buckets = []records.Bucket{
	{Name: stored.Endpoints, Checked: true}, {Name: stored.Credentials, Checked: true},
	{Name: stored.Deleted, Checked: true, Optional: true},
	{Name: bucketSealed, Checked: true}, // its records are authenticated too, but that takes the master key
}

// Migrate gives the records of an older file their checksums.
func Migrate(tx *bbolt.Tx) error {
	return errors.Join(
		records.AddChecksums(tx, stored.Endpoints, json.Valid),
		records.AddChecksums(tx, stored.Credentials, json.Valid),
		records.AddChecksums(tx, bucketSealed, func([]byte) bool { return true }))
}

// Load reads everything. Nothing else may use the store meanwhile.
func (s *Store) Load(tx *bbolt.Tx) error {
	err := records.Each(tx, stored.Endpoints, func(r stored.Endpoint) error {
		s.endpoints[r.Slug] = &endpointState{
			Endpoint: r.Endpoint(),
			sealed:   getSealed(tx, kindQuery, r.Slug),
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = records.Each(tx, stored.Credentials, func(r stored.Credential) error {
		s.creds[r.ID] = &credState{
			Credential: r.Credential(),
			sealed:     getSealed(tx, kindKey, r.ID),
		}
		return nil
	})
	s.loadSecrets(tx)
	return err
}

// Clear forgets everything that is in memory. The caller holds Config.Lock.
func (s *Store) Clear() {
	s.endpoints = make(map[string]*endpointState)
	s.creds = make(map[string]*credState)
	s.secrets = make(map[string]*secretState)
}

// loadSecrets reads the sealed records that belong to nothing else.
func (s *Store) loadSecrets(tx *bbolt.Tx) {
	prefix := sealedKey(kindSecret, "")
	c := tx.Bucket(bucketSealed).Cursor()
	for k, b := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, b = c.Next() {
		b, _ = records.Check(bucketSealed, k, b) // a damaged one is there, and does not open
		s.secrets[string(bytes.TrimPrefix(k, prefix))] = &secretState{sealed: bytes.Clone(b)}
	}
}
