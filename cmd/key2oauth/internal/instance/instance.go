// Package instance allows one program per data folder, and lets a command find
// the program that is running there.
//
// The lock on instance.lock decides: the system drops it when its holder ends,
// even by a crash. instance.json only says where the holder serves, and counts
// only while the lock is held.
package instance

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/key2oauth/key2oauth/shim/atomicfile"
)

const (
	lockName = "instance.lock"
	infoName = "instance.json"
)

var (
	// ErrRunning means that another program holds the data folder.
	ErrRunning = errors.New("already running")
	// ErrNotRunning means that no program serves from the data folder.
	ErrNotRunning = errors.New("not running")
)

// An Info says where the running program serves.
type Info struct {
	PID         int    `json:"pid"`
	LocalOrigin string `json:"local_origin"`
	Version     string `json:"version"`
}

// A Lock is held by the one program that may use a data folder.
type Lock struct {
	dir string

	mu   sync.Mutex // held by every method: Renew may come at any time
	lock *flock.Flock
	info *Info // that was published; nil before
}

// Find holds a shared lock for a moment. A program that starts in that moment
// must not believe that another one is running, so Acquire tries again for
// longer than Find takes.
const (
	acquireFor  = 150 * time.Millisecond
	acquireStep = 5 * time.Millisecond
)

// Acquire locks the data folder dir, and creates it if necessary. It returns
// ErrRunning if another program has it.
func Acquire(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := regular(filepath.Join(dir, lockName)); err != nil {
		return nil, err
	}
	l := &Lock{dir: dir, lock: flock.New(filepath.Join(dir, lockName), flock.SetPermissions(0o600))}
	ctx, cancel := context.WithTimeout(context.Background(), acquireFor)
	defer cancel()
	ok, err := l.lock.TryLockContext(ctx, acquireStep)
	if errors.Is(err, context.DeadlineExceeded) {
		err = ErrRunning
	}
	if err != nil || !ok {
		l.lock.Close()
		return nil, cmp.Or(err, ErrRunning)
	}
	// The file of a killed program must not be taken for ours.
	if err := os.Remove(filepath.Join(dir, infoName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.lock.Unlock()
		return nil, err
	}
	return l, nil
}

// Publish tells the commands where this program serves. Call it once the program
// answers there.
func (l *Lock) Publish(info Info) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.info = &info
	return l.publish()
}

func (l *Lock) publish() error {
	b, err := json.Marshal(l.info)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(l.dir, infoName), append(b, '\n'), 0o600)
}

// Renew locks again after the data folder was removed or replaced, since a second
// program would find no lock there. What was published is published again.
func (l *Lock) Renew() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := regular(filepath.Join(l.dir, lockName)); err != nil {
		return err
	}
	lock := flock.New(filepath.Join(l.dir, lockName), flock.SetPermissions(0o600))
	ok, err := lock.TryLock()
	if err != nil {
		return err
	}
	if ok { // else it is the one that we hold
		l.lock.Unlock()
		l.lock = lock
	} else {
		lock.Close()
	}
	if l.info == nil {
		return nil
	}
	return l.publish()
}

// Release unlocks the data folder. The lock file stays: without it, two programs
// could hold locks on two files of the same name.
func (l *Lock) Release() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := os.Remove(filepath.Join(l.dir, infoName))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.lock.Unlock())
}

// Destroy unlocks the data folder and removes the files of this package, and the
// folder itself if it is empty then. Call it only after everything else has been
// removed: a program that starts in this moment locks a file that is gone.
func (l *Lock) Destroy() error {
	if err := l.Release(); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(l.dir, lockName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if left, err := os.ReadDir(l.dir); err != nil || len(left) > 0 {
		return err // the folder has other files
	}
	return os.Remove(l.dir)
}

// A program that was just started holds the lock for a moment before it serves.
const (
	startFor  = 3 * time.Second
	startStep = 20 * time.Millisecond
)

// Find returns where the program that runs in the data folder dir serves, or
// ErrNotRunning. It waits a little for a program that is just starting.
func Find(dir string) (Info, error) {
	for deadline := time.Now().Add(startFor); ; time.Sleep(startStep) {
		held, err := held(dir)
		if err != nil {
			return Info{}, err
		}
		if !held {
			return Info{}, ErrNotRunning
		}
		info, err := read(dir)
		// It may be about to be written. Windows does not open it then.
		if _, notRead := errors.AsType[*fs.PathError](err); !notRead {
			return info, err
		}
		if time.Now().After(deadline) {
			if errors.Is(err, fs.ErrNotExist) {
				err = ErrNotRunning
			}
			return Info{}, err
		}
	}
}

// held reports whether a program holds the lock of dir. It creates nothing.
func held(dir string) (bool, error) {
	if err := regular(filepath.Join(dir, lockName)); err != nil {
		return false, err
	}
	l := flock.New(filepath.Join(dir, lockName), flock.SetFlag(os.O_RDONLY))
	ok, err := l.TryRLock()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if ok {
		return false, l.Unlock()
	}
	return true, l.Close()
}

// regular refuses a file that is none, such as a named pipe: to open it would wait
// for a program at its other end.
func regular(name string) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file; move it away", name)
	}
	return nil
}

func read(dir string) (Info, error) {
	name := filepath.Join(dir, infoName)
	if err := regular(name); err != nil {
		return Info{}, err
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return Info{}, err
	}
	var info Info
	if err := json.Unmarshal(b, &info); err != nil {
		return Info{}, fmt.Errorf("%s is damaged: %w", name, err)
	}
	if info.LocalOrigin == "" {
		return Info{}, fmt.Errorf("%s is damaged: it names no address", name)
	}
	return info, nil
}
