// Package statefile keeps one bbolt file: it opens the file, creates it or
// brings it up to date, notices damage before bbolt trips over it, and watches
// whether changes can be saved.
//
// What is in the file is the caller's business. A damaged file never ends the
// program and is never changed; the owner is told what to do instead.
package statefile

import (
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/atomicfile"
	"github.com/key2oauth/key2oauth/shim/internal/datadir"
	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// ErrClosed says that the file was closed.
var ErrClosed = errors.New("the state is closed")

// A SaveError says that a change could not be saved. Mostly nothing was changed
// then, and the same change may succeed later.
type SaveError struct {
	Err error
	// Unsure says that the disk failed at the very end: the change was made, and
	// is what every reader sees, but may be gone after a power cut.
	Unsure bool
}

func (e *SaveError) Error() string { return e.Err.Error() }

// Unwrap returns what the operating system or bbolt said.
func (e *SaveError) Unwrap() error { return e.Err }

// Config is what a file needs to know. Only Layout is required.
type Config struct {
	Layout records.Layout
	// Temporary says that nothing in the file is to outlive this run. What an
	// earlier run left is removed, nothing is synced, and Close removes the
	// file. Keep ends this.
	Temporary bool
	Log       *slog.Logger     // nil discards
	Now       func() time.Time // nil means time.Now
	// Lock is held while functions that were given to Tx.Then run. nil means
	// no lock.
	Lock sync.Locker
	// Changed is called when Disk says something new. It may be nil. It is
	// called without Lock, and possibly within Update.
	Changed func()
	// Rescue is called before a file that was removed or replaced underneath is
	// rewritten, to write what else was in its folder. Rescued is called after
	// that, with the name of what had taken its place, or "". Both may be nil, and
	// must not use the File.
	Rescue  func() error
	Rescued func(aside string)
	// PollEvery is how often a disk that cannot take changes is tried again. 0
	// means 5 seconds.
	PollEvery time.Duration
	// CloseWithin bounds how long a damaged file may take to close. 0 means 5
	// seconds.
	CloseWithin time.Duration
}

// A File is an open state file. It is safe for concurrent use.
type File struct {
	cfg Config
	log *slog.Logger

	writing sync.Mutex   // one Update at a time, the functions it was given included
	using   sync.RWMutex // held shared while db is used, exclusively to replace it
	db      *bbolt.DB    // nil after Close
	path    string
	info    os.FileInfo // of the file that is open
	lasting bool        // it outlives this run
	broken  atomic.Pointer[datadir.Error]
	disk    diskWatch
	found   damage
	// commit is bbolt's Update; tests have a disk of their own.
	commit func(db *bbolt.DB, fn func(tx *bbolt.Tx) error) error
}

// Open opens the file at path and creates it if there is none. An error is a
// *datadir.Error; nothing was changed then.
func Open(path string, cfg Config) (*File, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Lock == nil {
		cfg.Lock = new(sync.Mutex)
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	if cfg.PollEvery <= 0 {
		cfg.PollEvery = 5 * time.Second
	}
	if cfg.CloseWithin <= 0 {
		cfg.CloseWithin = closeWithin
	}
	db, err := openFile(path, &cfg, cfg.Temporary)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		cfg.closeDB(db)
		return nil, explain(path, err)
	}
	f := &File{cfg: cfg, log: cfg.Log, db: db, info: info, path: path, lasting: !cfg.Temporary, commit: (*bbolt.DB).Update}
	f.disk.closing = make(chan struct{})
	return f, nil
}

// Close closes the file. It is no error if it was closed before.
func (f *File) Close() error {
	if !f.disk.close() {
		return nil
	}
	f.writing.Lock()
	defer f.writing.Unlock()
	f.using.Lock()
	defer f.using.Unlock()
	db := f.db
	f.db = nil
	err := f.cfg.closeDB(db)
	if !f.lasting {
		os.Remove(f.path)
	}
	return err
}

// A Tx is a read-write transaction.
type Tx struct {
	*bbolt.Tx
	after   []func()
	foreign bool // while the caller's caller runs
}

// Then lets fn run once the transaction is durable, and before the next one
// begins. It does not run if the transaction fails.
func (t *Tx) Then(fn func()) { t.after = append(t.after, fn) }

// Foreign runs fn, which is not part of this transaction's own code. A panic in
// fn is passed on; any other panic within a transaction is taken for damage of
// the file.
func (t *Tx) Foreign(fn func() error) error { return t.as(true, fn) }

// Own runs fn inside a function that runs in Foreign, as this transaction's own
// code.
func (t *Tx) Own(fn func() error) error { return t.as(false, fn) }

// as does not restore the flag when fn panics, since guard looks at it then.
func (t *Tx) as(foreign bool, fn func() error) error {
	was := t.foreign
	t.foreign = foreign
	err := fn()
	t.foreign = was
	return err
}

// View runs fn in a read-only transaction.
func (f *File) View(fn func(tx *bbolt.Tx) error) error {
	f.using.RLock()
	defer f.using.RUnlock()
	if err := f.usable(); err != nil {
		return err
	}
	return f.judge(guard(nil, func() error { return f.db.View(fn) }))
}

// Update runs fn in a read-write transaction, which is durable when Update
// returns nil and has changed nothing otherwise.
func (f *File) Update(fn func(t *Tx) error) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	if err := f.keepPlace(); err != nil {
		if errors.Is(err, ErrClosed) || errors.Is(err, ErrDamaged) {
			return err
		}
		f.couldNotSave(err)
		return &SaveError{Err: err}
	}
	f.using.RLock()
	defer f.using.RUnlock()
	if err := f.usable(); err != nil {
		return err
	}
	t := new(Tx)
	var failed error
	id := 0 // of the transaction
	err := guard(t, func() error {
		return f.commit(f.db, func(tx *bbolt.Tx) error {
			t.Tx, id = tx, tx.ID()
			failed = fn(t)
			return failed
		})
	})
	switch {
	case err == nil:
	case failed != nil || errors.Is(err, ErrDamaged):
		return f.judge(err)
	default:
		unsure := f.afterFailure(id)
		if unsure == nil {
			f.couldNotSave(err)
			return &SaveError{Err: err}
		}
		if *unsure {
			f.runAfter(t)
			f.couldNotSave(err)
			return &SaveError{Err: err, Unsure: true}
		}
	}
	f.runAfter(t)
	return nil
}

// afterFailure reads what a commit that failed has come to. It returns nil if
// nothing was changed, which bbolt's rolling back mostly sees to. But if only the
// last sync failed, the change is in the file all the same, and would be there
// after a restart. Then it returns whether it is unsure that the disk has it: one
// more transaction that is durable makes that sure. The caller holds using.
func (f *File) afterFailure(id int) (unsure *bool) {
	made := false
	err := guard(nil, func() error {
		return f.db.View(func(tx *bbolt.Tx) error {
			made = tx.ID() >= id
			return nil
		})
	})
	if err != nil || !made {
		return nil
	}
	err = guard(nil, func() error { return f.commit(f.db, records.Touch) })
	f.log.Warn("the disk failed at the end of a change", "made_sure", err == nil)
	is := err != nil
	return &is
}

// runAfter runs what was given to Then.
func (f *File) runAfter(t *Tx) {
	if len(t.after) == 0 {
		return
	}
	f.cfg.Lock.Lock()
	defer f.cfg.Lock.Unlock()
	for _, fn := range t.after {
		fn()
	}
}

// Keep turns a temporary file into a lasting one at path, as changed by edit,
// which may be nil. What edit gives to Then runs once the file at path is
// durable and in use.
func (f *File) Keep(path string, edit func(t *Tx) error) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	f.using.Lock()
	defer f.using.Unlock()
	if err := f.usable(); err != nil {
		return err
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return &datadir.Error{Path: path, Err: err, Words: path + " has appeared in the meantime; start again to use it"}
	}
	next := path + nextSuffix
	t := new(Tx)
	err := copyTo(next, f.db, func(tx *bbolt.Tx) error {
		t.Tx = tx
		if edit == nil {
			return nil
		}
		return edit(t)
	}, &f.cfg)
	if err != nil {
		os.Remove(next)
		return err
	}
	if err := atomicfile.Rename(next, path); err != nil {
		return err
	}
	db, err := openFile(path, &f.cfg, false)
	if err != nil {
		os.Remove(path)
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		f.cfg.closeDB(db)
		return err
	}
	old, oldPath := f.db, f.path
	f.db, f.path, f.info, f.lasting = db, path, info, true
	f.cfg.closeDB(old)
	os.Remove(oldPath)
	f.runAfter(t)
	return nil
}

// usable reports why the file cannot be used, if so. The caller holds using.
func (f *File) usable() error {
	if f.db == nil {
		return ErrClosed
	}
	if e := f.broken.Load(); e != nil {
		return e
	}
	return nil
}

// judge remembers that the file turned out to be damaged. bbolt may then hold a
// lock forever, so it is not called again. The caller holds using.
func (f *File) judge(err error) error {
	if e, ok := errors.AsType[*records.Error](err); ok {
		f.noteDamaged(e)
		return err
	}
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	e, _ := errors.AsType[*datadir.Error](explain(f.path, err))
	if f.broken.CompareAndSwap(nil, e) {
		f.log.Error("the state file is damaged", "file", f.path, "err", err)
	}
	return e
}

// Explain puts err, which reading the file came to, into words. The result is a
// *datadir.Error.
func (f *File) Explain(err error) error {
	f.using.RLock()
	defer f.using.RUnlock()
	return explain(f.path, err)
}
