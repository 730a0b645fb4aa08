// Package logfile keeps the program's log in its data folder: a program that a
// click or a login started has no console. It gets exactly what standard error
// gets. There are at most two files: when the current one is full, it replaces
// the older one.
package logfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// The names in the data folder.
const (
	Name      = "key2oauth.log"     // what is written now
	oldName   = "key2oauth.log.old" // what was written before
	crashName = "crash.log"         // what Go's runtime writes when the program crashes
	oldCrash  = "crash.log.old"     // the crash before the run before
)

// MaxSize is the most that the log takes on disk, in bytes, with both files.
const MaxSize = 5 << 20

// A File is a log that continues in a new file when the current one is full. A
// write that fails, as on a full disk, is dropped: a log must not hold up its
// program.
type File struct {
	dir string
	max int64 // bytes of one file

	mu   sync.Mutex
	f    *os.File // nil while it cannot be opened, and after Close
	size int64
	done bool
}

// Open opens the log in a data folder, which must exist and be the owner's
// alone.
func Open(dir string) (*File, error) {
	l := &File{dir: dir, max: MaxSize / 2}
	if err := closeToOthers(dir); err != nil {
		return nil, fmt.Errorf("the log cannot be written: %w", err)
	}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("the log cannot be written: %w", err)
	}
	return l, nil
}

// closeToOthers takes the files that are there from other users, who may have been
// given rights to them by a copy or a restore.
func closeToOthers(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // there the folder's access list is that of its files
	}
	for _, base := range []string{Name, oldName, crashName, oldCrash} {
		name := filepath.Join(dir, base)
		info, err := os.Lstat(name)
		if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 == 0 {
			continue
		}
		if err := os.Chmod(name, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Path is the file that is written now.
func (l *File) Path() string { return filepath.Join(l.dir, Name) }

func (l *File) open() error {
	name := l.Path()
	if _, err := size(name); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.f, l.size = f, info.Size()
	return nil
}

// size returns the length of one of our files, 0 if it is not there. Only a
// regular file is one: a link would be written through, a pipe would wait for a
// reader.
func size(name string) (int64, error) {
	info, err := os.Lstat(name)
	switch {
	case err != nil:
		return 0, nil // to open it says why
	case !info.Mode().IsRegular():
		return 0, &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
	}
	return info.Size(), nil
}

// Write never fails.
func (l *File) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done {
		return len(b), nil
	}
	if l.f != nil && l.size > 0 && l.size+int64(len(b)) > l.max {
		// Windows cannot rename an open file.
		l.f.Close()
		l.f = nil
		if os.Rename(l.Path(), filepath.Join(l.dir, oldName)) != nil {
			os.Remove(l.Path()) // staying small matters more than old lines
		}
	}
	if l.f == nil && l.open() != nil {
		return len(b), nil
	}
	n, _ := l.f.Write(b[:min(len(b), int(l.max))])
	l.size += int64(n)
	return len(b), nil
}

// Close ends the log.
func (l *File) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = true
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}

// Crashes has Go's runtime write the report of a crash of this program to a
// file in dir. It returns the file of an earlier run's crash that was not
// reported yet, or "".
func Crashes(dir string) (earlier string, err error) {
	name := filepath.Join(dir, crashName)
	n, err := size(name)
	if err != nil {
		return "", err
	}
	if n > 0 {
		earlier = filepath.Join(dir, oldCrash)
		if err := os.Rename(name, earlier); err != nil {
			return "", err
		}
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return earlier, err
	}
	// The runtime keeps a copy of the handle.
	return earlier, errors.Join(debug.SetCrashOutput(f, debug.CrashOptions{}), f.Close())
}

// Remove deletes all that this package keeps in a data folder. Nothing may be
// writing there.
func Remove(dir string) error {
	errs := []error{debug.SetCrashOutput(nil, debug.CrashOptions{})}
	for _, name := range []string{Name, oldName, crashName, oldCrash} {
		if err := os.Remove(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// A Tee writes to standard error and, from Keep to Drop, to a File as well. Where
// a program has no console, standard error fails, and the File gets all the same.
type Tee struct {
	Stderr io.Writer

	file atomic.Pointer[File]
}

// Keep begins to write to l.
func (t *Tee) Keep(l *File) { t.file.Store(l) }

// Drop ends what Keep began, and closes the File.
func (t *Tee) Drop() error {
	if l := t.file.Swap(nil); l != nil {
		return l.Close()
	}
	return nil
}

// Write returns what standard error returns.
func (t *Tee) Write(b []byte) (int, error) {
	if l := t.file.Load(); l != nil {
		l.Write(b)
	}
	return t.Stderr.Write(b)
}
