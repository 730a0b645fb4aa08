// Package keychain keeps the master key, under which everything secret in the
// state file is sealed: in the keychain of the operating system, in a file of
// its own, or only in memory.
//
// A system keychain may be locked, slow, not set up, or missing, and a locked
// one blocks the caller. So Open never waits. A seeker looks for the key in the
// background and reports through two callbacks of Config: Keep, when it is known
// that this run may keep things, and Changed.
package keychain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/ring"
)

// MayBeMissing says that there may be no keychain at all on such a system.
const MayBeMissing = ring.MayBeMissing

// A Mode says where the master key is kept.
type Mode string

// The modes. ModeOS is what an empty Mode means.
const (
	ModeOS     Mode = "os"     // the keychain of the operating system
	ModeFile   Mode = "file"   // a file in the data folder
	ModeMemory Mode = "memory" // nowhere: nothing outlives the program
)

// A State says where the master key is.
type State string

// The states. Keys can be used and saved in StateReady, StateMemory and
// StateFile only.
const (
	StateReady       State = "ready"
	StateWaiting     State = "waiting" // it was asked and has not answered yet
	StateLocked      State = "locked"
	StateNotSetUp    State = "not_set_up"
	StateUnavailable State = "unavailable"
	StateMemory      State = "memory" // nothing is kept
	StateFile        State = "file"
)

// A Status is what may be shown of the master key.
type Status struct {
	Mode  Mode
	State State
	Words string // for people: what the state is, and what to do
	// CanKeep says that a keychain has appeared in a run that keeps nothing. Keep
	// would keep everything.
	CanKeep bool
}

var (
	// ErrLocked says that the master key is not there yet: the keychain is
	// locked, slow, or not set up. Trying again later may work.
	ErrLocked = errors.New("the keychain has not given out the master key yet")
	// ErrClosed says that the Keychain was closed.
	ErrClosed = errors.New("the keychain is closed")
)

// Config is what a Keychain needs to know. Only Dir is required.
type Config struct {
	Dir  string // the data folder
	Mode Mode   // "" means ModeOS
	// Helper is the command line of a child process that calls ring.RunHelper. On
	// Linux the keychain is accessed only in such a child, since a locked one
	// blocks forever and a child can be killed. nil, and any other system, means
	// in process.
	Helper []string
	Log    *slog.Logger // nil discards
	// PollEvery is how often a keychain that is locked or missing is looked at
	// again. 0 means 5 seconds.
	PollEvery time.Duration
	// Undecided says that whether this run keeps anything depends on whether
	// there is a keychain. It is for ModeOS.
	Undecided bool
	// Keep is called in an undecided run once a keychain has been seen. If it
	// fails, it is called again later.
	Keep func() error
	// Changed is called after Status or Master has changed. It may be nil.
	Changed func()
	// Restored is called after the master key was stored again, because the
	// keychain had lost it. It may be nil.
	Restored func()
	// Sealed reports whether any record of the state is under m, or, for nil,
	// whether there is a sealed record at all. A nil Sealed says no.
	Sealed func(m *MasterKey) bool
	// Remember keeps a copy of PlaceFile with the records, and Remembered is what
	// it last kept: so a backup of the state finds its master key again. Both may
	// be nil.
	Remember   func(place []byte) error
	Remembered []byte
}

// A Keychain gives out the master key. It is safe for concurrent use.
type Keychain struct {
	cfg     Config
	log     *slog.Logger
	ring    ring.Ring
	decided chan struct{} // closed when it is known whether this run keeps anything

	mu      sync.Mutex
	mode    Mode // Config.Mode, until KeepInFile changes it
	place   place
	status  Status
	master  *MasterKey
	known   bool          // the keychain has answered; master is nil if it has no key
	changed chan struct{} // closed at the next change
	closed  bool

	making  sync.Mutex    // one maker of a master key at a time
	wake    chan struct{} // makes the seeker look at once
	unlock  atomic.Bool   // it may ask again, even if that raises a prompt
	stop    context.CancelFunc
	running sync.WaitGroup
}

// Open finds the master key as far as that is possible at once. An error is a
// *datadir.Error about the key file.
func Open(cfg Config) (*Keychain, error) {
	if cfg.Mode == "" {
		cfg.Mode = ModeOS
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.PollEvery <= 0 {
		cfg.PollEvery = 5 * time.Second
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	k := &Keychain{
		cfg:     cfg,
		mode:    cfg.Mode,
		log:     cfg.Log,
		ring:    ring.New(cfg.Helper),
		place:   readPlace(cfg.Dir, cfg.Remembered),
		decided: make(chan struct{}),
		changed: make(chan struct{}),
		wake:    make(chan struct{}, 1),
	}
	if !cfg.Undecided {
		close(k.decided)
	}
	switch cfg.Mode {
	case ModeFile:
		m, err := readKeyFile(filepath.Join(cfg.Dir, KeyFile), cfg.Log)
		if err != nil {
			return nil, err
		}
		k.setMaster(m, Status{State: StateFile})
	case ModeMemory:
		k.setMaster(newMasterKey(), Status{State: StateMemory})
	default:
		k.setStatus(Status{State: StateWaiting})
	}
	return k, nil
}

// Start begins to look for the master key. In ModeOS this lasts until the owner
// has unlocked the keychain. It ends with ctx or Close.
func (k *Keychain) Start(ctx context.Context) {
	if k.cfg.Mode != ModeOS {
		s := k.Status()
		k.log.Debug("the master key is not in a keychain", "mode", s.Mode, "meaning", s.Words)
		if k.cfg.Mode == ModeFile {
			k.running.Go(k.noteMode)
		}
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.stop != nil {
		return
	}
	ctx, k.stop = context.WithCancel(ctx)
	k.running.Go(func() {
		if !k.cfg.Undecided {
			k.noteMode()
		}
		(&seeker{k: k, mayAsk: true}).run(ctx)
	})
}

// Close ends the search for the master key. What is known stays known.
func (k *Keychain) Close() {
	k.mu.Lock()
	k.closed = true
	k.wakeWaiting()
	stop := k.stop
	k.mu.Unlock()
	if stop != nil {
		stop()
	}
	k.running.Wait()
}

// Status reports where the master key is, or what we are waiting for.
func (k *Keychain) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

// Master returns the master key. It is nil if known is true and there is none
// yet. It only reads memory.
func (k *Keychain) Master() (m *MasterKey, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.master, k.known
}

// TextNoKeychain is for a first run where there is no keychain.
const TextNoKeychain = "No system keychain found. Servers, keys and connected apps will be lost when Key2OAuth quits. To keep them in a file, start it with --keychain file."

// words says what a state means, unless something more exact is known.
func (k *Keychain) words(s Status) string {
	switch s.State {
	case StateReady:
		return "The system keychain holds the encryption key."
	case StateWaiting:
		return "Waiting for the keychain to answer."
	case StateLocked:
		return "Unlock your keychain. Saved API keys can't be used until then."
	case StateNotSetUp:
		return `There is no default keychain yet. Create one, for example in the app "Passwords and Keys". No API key can be saved or used until then.`
	case StateUnavailable:
		return "Can't reach the system keychain, which your saved API keys need. Start Key2OAuth from your desktop session."
	case StateFile:
		return fmt.Sprintf("The encryption key is in %s without a passphrase. Anyone who can read that file can read your saved API keys.", filepath.Join(k.cfg.Dir, KeyFile))
	case StateMemory:
		switch {
		case k.cfg.Mode == ModeMemory:
			return "Nothing is kept, as --keychain memory asks. Servers, keys and connected apps will be lost when Key2OAuth quits."
		case s.CanKeep:
			return "A keychain is available now. Keep everything in it, or servers, keys and connected apps will be lost when Key2OAuth quits."
		default:
			return TextNoKeychain
		}
	}
	return ""
}

// setStatus changes what Status says. It must not be called with a lock held
// that Changed takes; the same is true of setMaster and setUnknown.
func (k *Keychain) setStatus(s Status) {
	k.mu.Lock()
	changed := k.setStatusLocked(s)
	k.mu.Unlock()
	if changed {
		k.cfg.Changed()
	}
}

func (k *Keychain) setStatusLocked(s Status) (changed bool) {
	s.Mode = k.mode
	if s.Words == "" {
		s.Words = k.words(s)
	}
	if s == k.status {
		return false
	}
	k.status = s
	k.wakeWaiting()
	return true
}

// setMaster takes over a master key. nil says that there is none yet.
func (k *Keychain) setMaster(m *MasterKey, s Status) {
	k.mu.Lock()
	k.setMasterLocked(m, s)
	k.mu.Unlock()
	k.cfg.Changed()
}

func (k *Keychain) setMasterLocked(m *MasterKey, s Status) {
	k.master, k.known = m, true
	k.setStatusLocked(s)
	k.wakeWaiting()
}

// setUnknown makes the seeker look for the master key again.
func (k *Keychain) setUnknown(s Status) {
	k.mu.Lock()
	k.known = false
	changed := k.setStatusLocked(s)
	k.mu.Unlock()
	if changed {
		k.cfg.Changed()
	}
	k.wakeSeeker()
}

// wakeWaiting wakes awaitAnswer. The caller holds mu.
func (k *Keychain) wakeWaiting() {
	close(k.changed)
	k.changed = make(chan struct{})
}

// settled reports whether there is nothing to look for.
func (k *Keychain) settled() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known && k.status.State != StateMemory
}

// modeNow is the mode that this run has come to.
func (k *Keychain) modeNow() Mode {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mode
}

// keepsNothing reports whether this run ends without a trace.
func (k *Keychain) keepsNothing() bool { return k.Status().State == StateMemory }

// Unlock asks the keychain again, which makes the desktop show its prompt again.
// It does not wait for the answer.
func (k *Keychain) Unlock() {
	k.unlock.Store(true)
	k.wakeSeeker()
}

func (k *Keychain) wakeSeeker() {
	select {
	case k.wake <- struct{}{}:
	default: // it is about to look
	}
}
