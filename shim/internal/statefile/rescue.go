package statefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/key2oauth/key2oauth/shim/atomicfile"
)

// A file that was removed, or whose folder was, stays usable as long as it is
// open: what is saved then is gone at the next start. So its name is looked at
// before each change and now and then, and a lost file is rewritten.

// replaced begins the names of files that had taken the place of ours.
const replaced = ".replaced-"

// lost reports whether the file's name leads to another file, or to none. The
// caller holds writing.
func (f *File) lost() bool {
	if !f.lasting || f.db == nil {
		return false
	}
	info, err := os.Lstat(f.path) // a link is not ours, wherever it leads
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return true
	case err != nil:
		return false // a disk that does not answer has not lost it
	}
	return !os.SameFile(info, f.info)
}

// LookAfter rewrites the file if it was lost. Its error is ErrClosed or a
// *SaveError.
func (f *File) LookAfter() error {
	f.writing.Lock()
	defer f.writing.Unlock()
	err := f.keepPlace()
	if err != nil && !errors.Is(err, ErrClosed) {
		f.couldNotSave(err)
		return &SaveError{Err: err}
	}
	return err
}

// keepPlace rewrites the file if it was lost. The caller holds writing.
func (f *File) keepPlace() error {
	if !f.lost() {
		return nil
	}
	f.using.Lock()
	defer f.using.Unlock()
	return f.rewrite()
}

// rewrite copies the open file to its name, and uses the copy from now on.
// What has taken its place is kept aside. The caller holds writing and using.
func (f *File) rewrite() error {
	if err := f.usable(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	if f.cfg.Rescue != nil {
		if err := f.cfg.Rescue(); err != nil {
			return err
		}
	}
	next := f.path + nextSuffix
	if err := copyRecords(f.db, next, &f.cfg); err != nil {
		os.Remove(next)
		return err
	}
	aside := ""
	if _, err := os.Lstat(f.path); err == nil {
		aside = f.path + replaced + f.cfg.Now().UTC().Format("20060102-150405")
		if err := os.Rename(f.path, aside); err != nil {
			os.Remove(next)
			return err
		}
	}
	if err := f.take(next); err != nil {
		return err
	}
	f.log.Error("the state file was removed or replaced while it was in use; it was rewritten", "file", f.path, "kept_aside", aside)
	if f.cfg.Rescued != nil {
		f.cfg.Rescued(aside)
	}
	return nil
}

// take puts the file next, which is complete, in the place of the open one, and
// uses it from now on. The caller holds writing and using.
func (f *File) take(next string) error {
	old := f.db
	if runtime.GOOS == "windows" { // where an open file keeps its name
		f.cfg.closeDB(old)
		old, f.db = nil, nil
	}
	renamed := atomicfile.Rename(next, f.path)
	if renamed != nil && old != nil {
		return renamed
	}
	db, err := openDB(f.path, access{})
	if err != nil {
		return errors.Join(renamed, err)
	}
	info, err := os.Stat(f.path)
	if err != nil {
		f.cfg.closeDB(db)
		return errors.Join(renamed, err)
	}
	f.db, f.info = db, info
	f.cfg.closeDB(old)
	return renamed
}

// reorder rewrites the open file because keys in it are out of order: a bit
// that was lost in one key hides others.
func (f *File) reorder() error {
	f.writing.Lock()
	defer f.writing.Unlock()
	f.using.Lock()
	defer f.using.Unlock()
	if err := f.usable(); err != nil || !f.lasting {
		return err
	}
	if err := keepCopy(f.db, f.path, beforeRepair, f.cfg.Now().UTC().Format("20060102-150405")); err != nil {
		return err
	}
	next := f.path + nextSuffix
	if err := copyRecords(f.db, next, &f.cfg); err != nil {
		os.Remove(next)
		return err
	}
	f.log.Warn("keys of the state file were out of order; it was rewritten", "file", f.path)
	return f.take(next)
}
