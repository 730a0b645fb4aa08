package statefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/datadir"
	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// A DiskState says whether changes can be saved.
type DiskState string

// The states of the disk.
const (
	DiskReady   DiskState = "ready"
	DiskFull    DiskState = "full"
	DiskFailing DiskState = "failing" // for a reason other than lack of room
)

// A diskWatch remembers whether changes can be saved, and tries again while
// they cannot.
type diskWatch struct {
	mu      sync.Mutex
	state   DiskState // "" means DiskReady
	closed  bool
	closing chan struct{} // closed by close
	running sync.WaitGroup
}

// close ends the watch. It reports whether this was the first call.
func (w *diskWatch) close() bool {
	w.mu.Lock()
	first := !w.closed
	w.closed = true
	w.mu.Unlock()
	if first {
		close(w.closing)
	}
	w.running.Wait()
	return first
}

// set remembers what trying to save came to. The caller holds mu.
func (w *diskWatch) set(err error) (changed bool) {
	state := DiskState("")
	switch {
	case err == nil:
	case datadir.IsFull(err):
		state = DiskFull
	default:
		state = DiskFailing
	}
	changed = state != w.state
	w.state = state
	return changed
}

// Disk reports whether changes could be saved when that was last tried. While
// they cannot, it is tried again every few seconds.
func (f *File) Disk() DiskState {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.state == "" {
		return DiskReady
	}
	return f.disk.state
}

// couldNotSave starts to look for when changes can be saved again. A change
// that succeeds is no sign of that: the file has some room of its own.
func (f *File) couldNotSave(err error) {
	w := &f.disk
	w.mu.Lock()
	begin := w.state == "" && !w.closed
	changed := w.set(err)
	if begin {
		w.running.Go(f.awaitDisk)
	}
	w.mu.Unlock()
	if changed {
		f.cfg.Changed()
	}
}

// awaitDisk tries to save until that works.
func (f *File) awaitDisk() {
	every := time.NewTicker(f.cfg.PollEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-f.disk.closing:
			return
		}
		err := f.tryDisk()
		f.disk.mu.Lock()
		changed := f.disk.set(err)
		f.disk.mu.Unlock()
		if changed {
			f.cfg.Changed()
		}
		if err == nil {
			f.log.Info("changes can be saved again")
			return
		}
	}
}

// TryDisk reports whether changes can be saved, by saving something. Its error
// is ErrClosed or a *SaveError.
func (f *File) TryDisk() error {
	err := f.tryDisk()
	if err != nil && !errors.Is(err, ErrClosed) {
		f.couldNotSave(err)
		return &SaveError{Err: err}
	}
	return err
}

// RoomFile exists for a moment in the folder of the file, to see whether there
// is room for it.
const RoomFile = "room.check"

// tryDisk asks for more room than any one change takes, and then saves a
// transaction that changes nothing.
func (f *File) tryDisk() error {
	f.writing.Lock() // no change of ours may fail because of the room that this takes
	defer f.writing.Unlock()
	if err := f.keepPlace(); err != nil {
		return err
	}
	f.using.RLock()
	defer f.using.RUnlock()
	if err := askForRoom(filepath.Join(filepath.Dir(f.path), RoomFile)); err != nil {
		return err
	}
	if err := f.usable(); err != nil {
		return err
	}
	return f.judge(guard(nil, func() error { return f.commit(f.db, records.Touch) }))
}

// askForRoom writes a file that needs more room than any one change, and removes
// it. O_EXCL does not follow a link that another user planted.
func askForRoom(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 256<<10))
	if e := f.Close(); err == nil {
		err = e
	}
	if e := os.Remove(name); err == nil {
		err = e
	}
	return err
}
