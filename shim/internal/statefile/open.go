package statefile

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/key2oauth/key2oauth/shim/atomicfile"
	"github.com/key2oauth/key2oauth/shim/internal/datadir"
	"github.com/key2oauth/key2oauth/shim/internal/dbpages"
	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// ErrDamaged says that something in the file cannot be read.
var ErrDamaged = dbpages.ErrDamaged

// TextInUse says that another program has the file that it takes.
const TextInUse = "%s is in use by another Key2OAuth; quit that one, or name another folder with --data-dir"

// explain puts err, which came from the file at path, into words.
func explain(path string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*datadir.Error](err); ok {
		return e
	}
	words := ""
	switch {
	case errors.Is(err, records.ErrNewer):
		words = fmt.Sprintf("%s was written by a newer version of Key2OAuth; install that version, or name another folder with --data-dir", path)
	case errors.Is(err, berrors.ErrTimeout):
		words = fmt.Sprintf(TextInUse, path)
	case IsDamage(err):
		words = fmt.Sprintf("%s is damaged (%v); restore a backup with: key2oauth restore %s; or move it away to start fresh", path, err, newestCopy(path))
	default:
		return datadir.Explain(path, err)
	}
	return &datadir.Error{Path: path, Words: words, Err: err}
}

// newestCopy names the newest copy beside the file at path, for a command line.
func newestCopy(path string) string {
	newest, at := "FILE", time.Time{}
	for _, name := range Copies(path) {
		if info, err := os.Stat(name); err == nil && info.ModTime().After(at) {
			newest, at = name, info.ModTime()
		}
	}
	if strings.ContainsAny(newest, " '\"$\\") {
		return strconv.Quote(newest)
	}
	return newest
}

// IsDamage reports whether an error says that what a file holds is damaged.
func IsDamage(err error) bool {
	for _, e := range []error{
		ErrDamaged, berrors.ErrInvalid, berrors.ErrChecksum, berrors.ErrVersionMismatch,
		berrors.ErrInvalidMapping, berrors.ErrFreePagesNotLoaded,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// minSize is less than any database has: two pages that say where the rest is.
const minSize = 2 * 4096

// openFile opens the file at path and creates it if there is none. Its errors
// are explained.
func openFile(path string, c *Config, temporary bool) (*bbolt.DB, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := createFile(path, c, temporary); err != nil {
			return nil, explain(path, err)
		}
	case err != nil:
		return nil, explain(path, err)
	case !info.Mode().IsRegular():
		return nil, notAFile(path, info)
	case temporary:
		if err := removeTemporary(path); err != nil {
			return nil, explain(path, err)
		}
		return openFile(path, c, temporary)
	case datadir.OpenToOthers(info):
		if err := datadir.OwnerOnly(path); err != nil {
			return nil, explain(path, err)
		}
	}
	if info != nil && info.Size() < minSize {
		return nil, explain(path, fmt.Errorf("%w: it is cut off", ErrDamaged))
	}
	// The first look is read-only: a file that turns out to be damaged or newer
	// than we are must keep every byte.
	err = look(path, c)
	if errors.Is(err, dbpages.ErrDisorder) {
		if err = rebuild(path, c); err == nil {
			err = look(path, c)
		}
	}
	if err != nil {
		return nil, explain(path, err)
	}
	db, err := openDB(path, access{noSync: temporary})
	if err != nil {
		return nil, explain(path, err)
	}
	if err := guard(nil, func() error { return c.Layout.Upgrade(db) }); err != nil {
		c.closeDB(db)
		return nil, explain(path, err)
	}
	return db, nil
}

// look inspects the file at path, which it does not change. Of a file of an older
// layout, which is about to be changed, it makes a copy.
func look(path string, c *Config) error {
	db, err := openDB(path, access{readOnly: true})
	if err != nil {
		return err
	}
	defer c.closeDB(db)
	return guard(nil, func() error {
		if err := inspect(db, path, &c.Layout); err != nil {
			return err
		}
		var from int
		err := db.View(func(tx *bbolt.Tx) (err error) {
			from, err = records.VersionOf(tx)
			return err
		})
		if err != nil || from == c.Layout.Version {
			return err
		}
		return keepCopy(db, path, beforeSchema, strconv.Itoa(c.Layout.Version))
	})
}

// Peek reads a file that is not open, and changes nothing in it. Its errors
// are explained, except for those of fn.
func Peek(path string, layout records.Layout, fn func(tx *bbolt.Tx) error) error {
	return withDB(path, layout, func(db *bbolt.DB) error { return db.View(fn) })
}

// withDB calls fn with a file that is not open, which it inspects first and does
// not change.
func withDB(path string, layout records.Layout, fn func(db *bbolt.DB) error) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return notAFile(path, info) // opening it may wait forever
	}
	db, err := openDB(path, access{readOnly: true})
	if err != nil {
		return explain(path, err)
	}
	c := &Config{Layout: layout, CloseWithin: closeWithin}
	defer c.closeDB(db)
	if err := guard(nil, func() error { return inspect(db, path, &layout) }); err != nil && !errors.Is(err, dbpages.ErrDisorder) {
		return explain(path, err)
	}
	return guard(nil, func() error { return fn(db) })
}

var errNotAFile = errors.New("not a regular file")

// notAFile refuses what is no regular file. A link is not followed: the copies,
// and the file that takes the place of this one, have to be in its own folder.
func notAFile(path string, info os.FileInfo) error {
	e := &datadir.Error{Path: path, Err: errNotAFile}
	to, err := os.Readlink(path)
	switch {
	case err == nil && info.Mode()&os.ModeSymlink != 0:
		e.Words = fmt.Sprintf("%s is a link to %s, and Key2OAuth does not follow links to its data; put the file itself there, or name its folder with --data-dir", path, to)
	case info.IsDir():
		e.Words = fmt.Sprintf("%s is a folder, and not a file; move it away, or name another folder with --data-dir", path)
	default:
		e.Words = fmt.Sprintf("%s is not a regular file; move it away, or name another folder with --data-dir", path)
	}
	return e
}

// removeTemporary removes the file of a run that was killed. It is an error if
// that run still uses it.
func removeTemporary(path string) error {
	db, err := openDB(path, access{})
	if err == nil {
		db.Close()
	} else if errors.Is(err, berrors.ErrTimeout) {
		return err
	}
	return os.Remove(path)
}

// createFile makes an empty file under another name first: a crash leaves
// either no file or a complete one.
func createFile(path string, c *Config, temporary bool) error {
	next := path + nextSuffix
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := openDB(next, access{create: true, noSync: temporary})
	if err == nil {
		err = db.Update(c.Layout.Create)
		err = errors.Join(err, c.closeDB(db))
	}
	if err != nil {
		os.Remove(next)
		return err
	}
	return atomicfile.Rename(next, path)
}

// nextSuffix names the file that is about to become the state file.
const nextSuffix = ".new"

// An access says how a database file is opened.
type access struct {
	readOnly bool
	create   bool // the file must not exist yet, nor a link of that name
	noSync   bool
}

// openDB opens a bbolt file. bbolt answers some kinds of damage with a panic
// and leaves the file open, so the file is closed here.
func openDB(path string, a access) (db *bbolt.DB, err error) {
	var f *os.File
	opts := &bbolt.Options{
		Timeout:      100 * time.Millisecond,
		FreelistType: bbolt.FreelistMapType,
		ReadOnly:     a.readOnly,
		NoStatistics: true,
		NoSync:       a.noSync,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			if a.create {
				flag |= os.O_EXCL
			}
			var err error
			f, err = os.OpenFile(name, flag, mode)
			return f, err
		},
	}
	err = guard(nil, func() error {
		var err error
		db, err = bbolt.Open(path, 0o600, opts)
		return err
	})
	if err != nil {
		if f != nil {
			f.Close()
		}
		return nil, err
	}
	return db, nil
}

// inspect reports an error unless the file is sound and has our layout.
// In one whose keys are out of order, that cannot be told.
func inspect(db *bbolt.DB, path string, l *records.Layout) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := dbpages.Check(f, info.Size(), db.Info().PageSize); err != nil {
		return err
	}
	return db.View(l.Check)
}

// closeDB closes db, but waits only so long: after a panic inside bbolt, one of
// its locks may stay locked.
func (c *Config) closeDB(db *bbolt.DB) error {
	if db == nil {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- db.Close() }()
	select {
	case err := <-done:
		return err
	case <-time.After(c.CloseWithin):
		return errors.New("the state file does not close")
	}
}

// closeWithin is ample: what holds a lock of bbolt's longest is one write to
// the disk.
const closeWithin = 5 * time.Second

// guard calls fn and turns what bbolt does on a damaged file, which is to panic
// or to read outside of its mapping, into an error. A panic in code of our
// callers is passed on.
func guard(t *Tx, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if t != nil && t.foreign {
			panic(r)
		}
		err = fmt.Errorf("%w: %v", ErrDamaged, r)
	}()
	return fn()
}

// copyTo writes the present content of db to a new file at path, as changed by
// edit.
func copyTo(path string, db *bbolt.DB, edit func(tx *bbolt.Tx) error, c *Config) error {
	if err := writeCopy(db, path); err != nil {
		return err
	}
	copied, err := openDB(path, access{})
	if err != nil {
		return err
	}
	// An edit that changes nothing syncs nothing.
	return errors.Join(copied.Update(edit), copied.Sync(), c.closeDB(copied))
}
