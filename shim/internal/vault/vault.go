// Package vault keeps everything that outlives the program: endpoints and their
// credentials, grants and token digests, settings and activity.
//
// All of it is in one bbolt file in the data folder (statefile). What is not
// needed on the way of every call is there only (ledger); the rest is in memory
// too. API keys, the query of an upstream URL and the tunnel's authtoken are
// sealed under a master key that is not in that file (keychain). The kind, the
// id and the full upstream URL of a record are authenticated with it: no edit of
// the file sends key A to place B.
//
// This protects the keys on a stolen disk, in a backup, and from other users of
// the computer. It does not protect them from programs that run as the same
// user, and anyone who can write the file can still add a grant.
//
// Open never waits for the keychain. Until the master key is there, everything
// except keys can be read and changed; Key answers ErrLocked.
package vault

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/datadir"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/ledger"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// The files in the data folder.
const (
	stateFile  = "state.db"
	memoryFile = "state.memory.db" // a run that keeps nothing; removed at its end
)

var (
	// ErrLocked says that the master key is not there yet: the keychain is
	// locked, slow, or not set up. Trying again later may work.
	ErrLocked = keychain.ErrLocked
	// ErrKeyNeeded says that a record cannot be opened: it is sealed under
	// another master key, was deleted with its upstream URL, or was edited. The
	// owner has to paste the key again.
	ErrKeyNeeded = errors.New("the API key has to be pasted again")
	// ErrNotFound says that there is no such endpoint, credential or session.
	ErrNotFound = errors.New("not found")
	// ErrExists says that the id of a new record is taken.
	ErrExists = ledger.ErrExists
	// ErrClosed says that the vault was closed.
	ErrClosed = statefile.ErrClosed
)

// Config is what a vault needs to know. Only Dir is required.
type Config struct {
	Dir    string           // data folder; created if it is missing
	Mode   keychain.Mode    // "" means that of the folder's last run, and ModeOS on the first
	Helper []string         // see keychain.Config
	Log    *slog.Logger     // nil discards
	Now    func() time.Time // nil means time.Now
	// PollEvery is how often a keychain that is locked or missing, or a disk that
	// is full, is tried again. 0 means 5 seconds.
	PollEvery time.Duration
	// Rescue writes again what the caller keeps in the data folder, after that was
	// removed or replaced underneath. It may be nil.
	Rescue func() error
}

// A Vault is open state. It is safe for concurrent use.
type Vault struct {
	*ledger.Ledger // grants and their tokens, timelines, activity

	cfg  Config
	log  *slog.Logger
	path string // of state.db

	existed bool // state.db was there before this run

	// The maps below mu change only in a transaction of file, of which there is
	// one at a time, so a transaction may read them without mu. Locks are taken
	// in this order: the file's, mu, the keychain's.
	file *statefile.File
	keys *keychain.Keychain

	mu        sync.RWMutex
	endpoints map[string]*endpointState
	creds     map[string]*credState
	secrets   map[string]*secretState
	sessions  map[Digest]time.Time
	settings  map[string][]byte
	notes     []Note
	changed   chan struct{}
	closed    bool
	stop      context.CancelFunc // ends tend; nil before Start

	running sync.WaitGroup
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

// Exists reports whether a run that keeps something has been in this folder.
func Exists(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, stateFile))
	return err == nil
}

// Open opens the state in the data folder, and creates it if there is none. It
// does not wait for the keychain: Start begins to look for the master key. An
// error is a *datadir.Error; the folder is then as it was before.
func Open(cfg Config) (*Vault, error) {
	if cfg.Mode == "" {
		cfg.Mode = keychain.RememberedMode(cfg.Dir, nil)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.PollEvery <= 0 {
		cfg.PollEvery = 5 * time.Second
	}
	v := &Vault{
		cfg:       cfg,
		log:       cfg.Log,
		path:      filepath.Join(cfg.Dir, stateFile),
		endpoints: make(map[string]*endpointState),
		creds:     make(map[string]*credState),
		secrets:   make(map[string]*secretState),
		sessions:  make(map[Digest]time.Time),
		settings:  make(map[string][]byte),
		changed:   make(chan struct{}),
	}
	if err := datadir.Prepare(cfg.Dir, cfg.Log); err != nil {
		return nil, err
	}
	v.Ledger = ledger.New(ledger.Config{
		View: v.view, Update: v.update, Write: v.write,
		Check: checkGrant, Ended: v.dropCredentialOf, Used: v.touchEndpoint,
		Damaged: func(err error) { v.file.NoteDamaged(err) },
		Log:     cfg.Log, Now: v.now,
	})
	temporary, err := v.openState()
	if err != nil {
		return nil, err
	}
	v.chooseMode()
	remembered, _ := v.Setting(settingPlace)
	v.keys, err = keychain.Open(keychain.Config{
		Dir: cfg.Dir, Mode: v.cfg.Mode, Helper: cfg.Helper, Log: cfg.Log, PollEvery: cfg.PollEvery,
		Undecided:  temporary && v.cfg.Mode == keychain.ModeOS,
		Keep:       func() error { return v.file.Keep(v.path, nil) },
		Changed:    v.tellChanged,
		Sealed:     v.sealedUnder,
		Restored:   func() { v.note(Note{Kind: NoteItemLost}) },
		Remembered: remembered,
		Remember:   func(place []byte) error { return v.SetSetting(settingPlace, place) },
	})
	if err != nil {
		v.file.Close()
		return nil, err
	}
	return v, nil
}

// openState chooses the file and reads it. In mode "os" without any state, it
// depends on the keychain whether anything is kept. Until that is known, a file
// is used that can still be dropped.
func (v *Vault) openState() (temporary bool, err error) {
	_, err = os.Lstat(v.path)
	fresh := errors.Is(err, os.ErrNotExist)
	v.existed = !fresh
	path := v.path
	inKeychain := v.cfg.Mode == keychain.ModeOS || v.cfg.Mode == ""
	if v.cfg.Mode == keychain.ModeMemory || inKeychain && fresh && keychain.MayBeMissing {
		path, temporary = filepath.Join(v.cfg.Dir, memoryFile), true
	}
	v.file, err = statefile.Open(path, statefile.Config{
		Layout: layout, Temporary: temporary, Log: v.log,
		Lock: &v.mu, Changed: v.tellChanged,
		PollEvery: v.cfg.PollEvery, CloseWithin: closeWithin, Now: v.cfg.Now,
		Rescue: v.rescue, Rescued: v.rescued,
	})
	if err != nil {
		return temporary, err
	}
	if !temporary {
		// Left by a run that ended without Close.
		os.Remove(filepath.Join(v.cfg.Dir, memoryFile))
	}
	if info, err := os.Stat(path); err == nil && info.Size() <= smallState {
		v.file.Scrub()
	}
	if err := v.load(); err != nil {
		err = v.file.Explain(err)
		v.file.Close()
		return temporary, err
	}
	return temporary, nil
}

// closeWithin is how long a damaged file may take to close; 0 leaves that to
// statefile. Tests shorten it.
var closeWithin time.Duration

// tellChanged is what the file and the keychain call.
func (v *Vault) tellChanged() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.notify()
}

// Close ends the search for the master key and closes the state. A run that
// kept nothing removes its file.
func (v *Vault) Close() error {
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		return nil
	}
	v.closed = true
	stop := v.stop
	v.mu.Unlock()
	if stop != nil {
		stop()
	}
	v.running.Wait()
	v.keys.Close()
	v.Flush()
	return v.file.Close()
}

// Changed returns a channel that is closed the next time that Keychain, Disk or
// the state of a credential changes.
func (v *Vault) Changed() <-chan struct{} {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.changed
}

// notify wakes those who wait for Changed. The caller holds v.mu.
func (v *Vault) notify() {
	close(v.changed)
	v.changed = make(chan struct{})
}

func (v *Vault) now() time.Time { return v.cfg.Now().UTC().Round(0) }
