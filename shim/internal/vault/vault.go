// Package vault keeps everything that outlives the program: endpoints, their
// credentials, grants and token digests, a few settings.
//
// State lives in one bbolt file in the data folder. API keys, the query of an
// upstream's URL and the tunnel's authtoken are sealed with AES-256-GCM under a key derived from a
// master key that is not in that file: it is in the keychain of the operating
// system, in a file of its own, or only in memory. The kind, the id and the
// full upstream URL of a record are authenticated with it, so that no edit of
// the file sends key A to place B.
//
// What this protects: the keys, on a stolen disk, in a backup and from other
// users of the machine. It does not protect against programs that run as the
// same user, and who can write the file can still add a grant.
//
// Open never waits for the keychain. Until the master key is there, everything
// but keys can be read and changed; Key answers ErrLocked.
package vault

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/datadir"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// A Mode says where the master key is kept.
type Mode string

// The modes. ModeOS is what an empty Mode means.
const (
	ModeOS     Mode = "os"     // the keychain of the operating system
	ModeFile   Mode = "file"   // a file in the data folder
	ModeMemory Mode = "memory" // nowhere: nothing outlives the program
)

// The files in the data folder.
const (
	stateFile  = "state.db"
	memoryFile = "state.memory.db" // a run that keeps nothing; removed at its end
	keyFile    = "master.key"
)

var (
	// ErrLocked says that the master key is not there yet: the keychain is
	// locked, slow, or not set up. Trying again later may work.
	ErrLocked = errors.New("the keychain has not given out the master key yet")
	// ErrKeyNeeded says that a record cannot be opened: it is sealed under
	// another master key, was dropped with its upstream URL, or was edited.
	// The remedy is to paste the key again.
	ErrKeyNeeded = errors.New("the API key has to be pasted again")
	// ErrNotFound says that there is no such endpoint, credential or session.
	ErrNotFound = errors.New("not found")
	// ErrExists says that the id of a new record is taken.
	ErrExists = errors.New("already exists")
	// ErrClosed says that the vault was closed.
	ErrClosed = statefile.ErrClosed
)

// Config is what a vault needs to know. Only Dir is required.
type Config struct {
	Dir  string // data folder; made if it is missing
	Mode Mode   // "" means ModeOS
	// Helper is the command line of a child process that calls RunHelper. On
	// Linux the keychain is only talked to in such a child, since a locked one
	// blocks for ever and a child can be ended. nil, and any other system, means
	// in process.
	Helper []string
	Log    *slog.Logger     // nil discards
	Now    func() time.Time // nil means time.Now
	// PollEvery is how often a keychain that is locked or missing is looked at
	// again. 0 means 5 seconds.
	PollEvery time.Duration
}

// A Vault is open state. It is safe for concurrent use.
type Vault struct {
	cfg  Config
	log  *slog.Logger
	path string // of state.db

	// The fields below mu change only in a transaction of file's, of which there
	// is one at a time, so a transaction may read them without mu.
	file    *statefile.File
	touch   touches
	decided chan struct{} // closed when it is known which file is written

	mu        sync.RWMutex
	endpoints map[string]*endpointState
	creds     map[string]*credState
	secrets   map[string]*secretState
	sessions  map[Digest]time.Time
	settings  map[string][]byte
	master    *masterKey
	known     bool // the keychain has answered; master is nil if it has no key
	keychain  Keychain
	changed   chan struct{}
	closed    bool

	ring     keyring
	masterMu sync.Mutex    // one maker of a master key at a time
	wake     chan struct{} // makes the seeker look at once
	unlock   atomic.Bool   // it may ask again, even if that raises a prompt
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// endpointState is an endpoint with what is derived from it.
type endpointState struct {
	endpoint.Endpoint
	sealed []byte // its query, if it has one
	url    *url.URL
}

// credState is a credential with its key.
type credState struct {
	endpoint.Credential
	sealed  []byte          // nil after its endpoint's upstream URL was changed
	opened  endpoint.Secret // zero until the key was asked for
	refused bool            // sealed did not open, though its master key is here
}

// Exists reports whether a run that keeps something has been in this folder.
func Exists(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, stateFile))
	return err == nil
}

// Open opens the state in the data folder, and makes it if there is none. It
// does not wait for the keychain: Start begins to look for the master key. An
// error is a *datadir.Error; the folder is then as it was before.
func Open(cfg Config) (*Vault, error) {
	if cfg.Mode == "" {
		cfg.Mode = ModeOS
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
		decided:   make(chan struct{}),
		endpoints: make(map[string]*endpointState),
		creds:     make(map[string]*credState),
		secrets:   make(map[string]*secretState),
		sessions:  make(map[Digest]time.Time),
		settings:  make(map[string][]byte),
		changed:   make(chan struct{}),
		wake:      make(chan struct{}, 1),
		ring:      newKeyring(cfg.Helper),
	}
	if err := datadir.Prepare(cfg.Dir, cfg.Log); err != nil {
		return nil, err
	}
	if err := v.openState(); err != nil {
		return nil, err
	}
	if err := v.openMaster(); err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

// openState chooses the file and reads it. In mode "os" without any state, it
// depends on the keychain whether anything is kept; until that is known, a
// file is used that can still be dropped.
func (v *Vault) openState() error {
	_, err := os.Lstat(v.path)
	fresh := errors.Is(err, os.ErrNotExist)
	path, temporary := v.path, false
	if v.cfg.Mode == ModeMemory || v.cfg.Mode == ModeOS && fresh && keychainMayBeMissing {
		path, temporary = filepath.Join(v.cfg.Dir, memoryFile), true
	} else {
		close(v.decided)
	}
	v.file, err = statefile.Open(path, statefile.Config{
		Layout: layout, Temporary: temporary, Log: v.log,
		Lock: &v.mu, Changed: v.diskChanged,
		PollEvery: v.cfg.PollEvery, CloseWithin: closeWithin,
	})
	if err != nil {
		return err
	}
	if !temporary {
		// Of a run that ended without Close.
		os.Remove(filepath.Join(v.cfg.Dir, memoryFile))
	}
	if err := v.load(); err != nil {
		err = v.file.Explain(err)
		v.file.Close()
		return err
	}
	return nil
}

// closeWithin is how long a damaged file may take to close; 0 leaves that to
// statefile. Tests shorten it.
var closeWithin time.Duration

func (v *Vault) diskChanged() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.notify()
}

// openMaster finds the master key as far as that is possible at once.
func (v *Vault) openMaster() error {
	switch v.cfg.Mode {
	case ModeFile:
		m, err := readKeyFile(filepath.Join(v.cfg.Dir, keyFile), v.log)
		if err != nil {
			return err
		}
		v.setMaster(m, Keychain{State: StateFile})
	case ModeMemory:
		v.setMaster(newMasterKey(), Keychain{State: StateMemory})
		close(v.decided)
	default:
		v.setKeychain(Keychain{State: StateWaiting})
	}
	return nil
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
	v.flushTouches()
	return v.file.Close()
}

// Changed returns a channel that is closed when Keychain, or the state of a
// credential, changes the next time.
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
