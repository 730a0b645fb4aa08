// Package vault is the state as a whole: one file in the data folder, the master
// key that opens what is secret in it, and all that looks after the two.
//
// What is in the file belongs to three rooms, which share the file's transactions
// and one lock: sealed (endpoints and their keys), settings (small values, the
// owner's sessions) and ledger (grants, tokens, activity). The first two are in
// memory too.
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
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/datadir"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/ledger"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/sealed"
	"github.com/key2oauth/key2oauth/shim/internal/settings"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// The files in the data folder.
const (
	stateFile  = "state.db"
	memoryFile = "state.memory.db" // a run that keeps nothing; removed at its end
)

// The errors of the rooms.
var (
	ErrLocked    = sealed.ErrLocked
	ErrKeyNeeded = sealed.ErrKeyNeeded
	ErrNotFound  = sealed.ErrNotFound
	ErrExists    = ledger.ErrExists
	ErrClosed    = statefile.ErrClosed
)

// A NewEndpoint is an endpoint to add.
type NewEndpoint = sealed.NewEndpoint

// A DeletedEndpoint is an endpoint that can be restored.
type DeletedEndpoint = sealed.DeletedEndpoint

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
	*sealed.Store      // endpoints, credentials, secrets of the program
	*settings.Settings // settings and the owner's sessions
	*ledger.Ledger     // grants and their tokens, timelines, activity

	cfg  Config
	log  *slog.Logger
	path string // of state.db

	existed bool // state.db was there before this run

	// Locks are taken in this order: the file's, mu, the keychain's.
	file *statefile.File
	keys *keychain.Keychain

	mu      sync.RWMutex // also of the Store and the Settings
	notes   []Note
	changed chan struct{}
	closed  bool
	stop    context.CancelFunc // ends tend; nil before Start

	running sync.WaitGroup
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
		cfg:     cfg,
		log:     cfg.Log,
		path:    filepath.Join(cfg.Dir, stateFile),
		changed: make(chan struct{}),
	}
	if err := datadir.Prepare(cfg.Dir, cfg.Log); err != nil {
		return nil, err
	}
	if err := keychain.Check(cfg.Dir); err != nil {
		return nil, err
	}
	v.Store = sealed.New(sealed.Config{
		View: v.view, Update: v.update, Lock: &v.mu, Notify: v.notify,
		Master:  func() (*keychain.MasterKey, bool) { return v.keys.Master() },
		Need:    v.haveMaster,
		Damaged: func() []*records.Error { return v.file.Damaged() }, NoteDamaged: func(err error) { v.file.NoteDamaged(err) },
		Ledger: func() *ledger.Ledger { return v.Ledger },
		Log:    cfg.Log, Now: v.now,
	})
	v.Settings = settings.New(settings.Config{
		Write: v.write, Lock: &v.mu, Now: v.now, Repaired: v.settingRepaired, Lost: v.settingLost,
	})
	v.Ledger = ledger.New(ledger.Config{
		View: v.view, Update: v.update, Write: v.write,
		Check: sealed.CheckGrant, Ended: v.DropCredentialOf, Used: v.Touch,
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
		Sealed:     v.SealedUnder,
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
	err = v.view(func(tx *bbolt.Tx) error { return errors.Join(v.Store.Load(tx), v.Settings.Load(tx)) })
	if err != nil {
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
