package statefile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/atomicfile"
	"github.com/key2oauth/key2oauth/shim/internal/datadir"
	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// Copies of a file lie beside it. Their names begin with that of the file, and
// go on with why there is a copy.
const (
	beforeSchema  = ".before-schema-"
	beforeRepair  = ".before-repair-"
	beforeRestore = ".before-restore-"
	daily         = ".daily-"
)

// keptCopies is how many copies of each kind are kept.
const keptCopies = 3

// Copies lists the copies beside the file at path, the oldest of each kind
// first.
func Copies(path string) []string {
	return copiesOf(path, beforeSchema, beforeRepair, beforeRestore, daily)
}

func copiesOf(path string, kinds ...string) []string {
	entries, _ := os.ReadDir(filepath.Dir(path))
	var all []string
	for _, kind := range kinds {
		prefix := filepath.Base(path) + kind
		var found []fs.DirEntry
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), prefix) && e.Type().IsRegular() {
				found = append(found, e)
			}
		}
		slices.SortFunc(found, func(a, b fs.DirEntry) int {
			return cmp.Or(cmp.Compare(len(a.Name()), len(b.Name())), strings.Compare(a.Name(), b.Name()))
		})
		for _, e := range found {
			all = append(all, filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
	return all
}

// writeCopy writes what db holds to a file, which is complete and durable when
// writeCopy returns nil, and as it was before otherwise. A link at name is
// replaced, not followed.
func writeCopy(db *bbolt.DB, name string) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*.new")
	if err != nil {
		return err
	}
	if err = writeTo(f, db); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return err
	}
	return atomicfile.Rename(f.Name(), name)
}

// writeTo writes what db holds to w. An error of w stays what it is, of which
// bbolt returns the words alone.
func writeTo(w io.Writer, db *bbolt.DB) error {
	k := keeper{w: w}
	err := guard(nil, func() error {
		return db.View(func(tx *bbolt.Tx) error {
			_, err := tx.WriteTo(&k)
			return err
		})
	})
	if err != nil && k.err != nil {
		return k.err
	}
	return err
}

// A keeper keeps the error of a writer.
type keeper struct {
	w   io.Writer
	err error
}

func (k *keeper) Write(b []byte) (n int, err error) {
	n, err = k.w.Write(b)
	k.err = cmp.Or(k.err, err)
	return n, err
}

// dropCopies deletes the oldest copies of a kind.
func dropCopies(path, kind string) {
	all := copiesOf(path, kind)
	for _, name := range all[:max(0, len(all)-keptCopies)] {
		os.Remove(name)
	}
}

// keepCopy writes a copy of db, which is at path, beside it.
func keepCopy(db *bbolt.DB, path, kind, of string) error {
	name := path + kind + of
	if err := writeCopy(db, name); err != nil {
		return fmt.Errorf("no copy of it can be made first: %w", err)
	}
	dropCopies(path, kind)
	return nil
}

// rebuild writes the records of the file at path into a new one, which takes its
// place. It is for a file whose keys are out of order: a bit that was lost in one
// key hides others too.
func rebuild(path string, c *Config) error {
	db, err := openDB(path, access{readOnly: true})
	if err != nil {
		return err
	}
	defer c.closeDB(db)
	next := path + nextSuffix
	err = copyRecords(db, next, c)
	if err == nil {
		err = Peek(next, c.Layout, func(*bbolt.Tx) error { return nil })
	}
	if err == nil {
		err = keepCopy(db, path, beforeRepair, c.Now().UTC().Format("20060102-150405"))
	}
	if err != nil {
		os.Remove(next)
		if e, ok := errors.AsType[*datadir.Error](err); ok {
			err = e.Err // it names the new file
		}
		return err
	}
	c.Log.Warn("keys of the state file were out of order; it was rewritten", "file", path)
	return atomicfile.Rename(next, path)
}

// copyRecords writes the records of db into a new file, which is complete and
// durable when it returns nil. It walks the pages as they are, so it also finds
// records that bbolt's search does not.
func copyRecords(db *bbolt.DB, next string, c *Config) error {
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	to, err := openDB(next, access{create: true, noSync: true})
	if err != nil {
		return err
	}
	err = guard(nil, func() error {
		return db.View(func(tx *bbolt.Tx) error {
			return tx.ForEach(func(name []byte, b *bbolt.Bucket) error { return copyBucket(to, name, b) })
		})
	})
	if err == nil {
		err = to.Sync()
	}
	return errors.Join(err, c.closeDB(to))
}

// copyBucket copies a bucket, some records in each transaction.
func copyBucket(to *bbolt.DB, name []byte, b *bbolt.Bucket) error {
	const atOnce = 10_000
	cursor := b.Cursor()
	k, record := cursor.First()
	for first := true; first || k != nil; first = false {
		err := to.Update(func(tx *bbolt.Tx) error {
			copied, err := tx.CreateBucketIfNotExists(name)
			if err != nil {
				return err
			}
			for n := 0; k != nil && n < atOnce; n++ {
				if err := copyRecord(copied, name, k, record); err != nil {
					return err
				}
				k, record = cursor.Next()
			}
			return copied.SetSequence(b.Sequence())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// copyRecord copies one record. Where a lost bit gave a record the key of another
// one, that one keeps it.
func copyRecord(to *bbolt.Bucket, name, key, record []byte) error {
	known := to.Get(key)
	if known == nil {
		return to.Put(key, record)
	}
	aside := append(bytes.Clone(key), '~')
	if _, err := records.Check(name, key, record); err != nil {
		return to.Put(aside, record)
	}
	if err := to.Put(aside, bytes.Clone(known)); err != nil {
		return err
	}
	return to.Put(key, record)
}

// KeepDaily makes a copy beside the file if the last one is a day old. A file in
// which something was found to be damaged is not copied, so that the copies from
// before stay.
func (f *File) KeepDaily() error {
	now := f.cfg.Now().UTC()
	f.using.RLock()
	defer f.using.RUnlock()
	if err := f.usable(); err != nil || !f.lasting {
		return err
	}
	if all := copiesOf(f.path, daily); len(all) > 0 {
		info, err := os.Stat(all[len(all)-1])
		if err == nil && now.Sub(info.ModTime()) < 24*time.Hour && now.After(info.ModTime()) {
			return nil
		}
	}
	if f.anyDamage() {
		return nil
	}
	return keepCopy(f.db, f.path, daily, now.Format("20060102-150405"))
}

// CopyTo writes what the file holds now to a file that is not open. It is
// complete and durable when CopyTo returns nil, and as it was before otherwise.
func (f *File) CopyTo(name string) error {
	f.using.RLock()
	defer f.using.RUnlock()
	if err := f.usable(); err != nil {
		return err
	}
	if err := checkTarget(f.path, name); err != nil {
		return err
	}
	return f.judge(writeCopy(f.db, name))
}

// Copy is CopyTo for a file that is not open.
func Copy(path, name string, layout records.Layout) error {
	if err := checkTarget(path, name); err != nil {
		return err
	}
	return withDB(path, layout, func(db *bbolt.DB) error { return writeCopy(db, name) })
}

// checkTarget refuses a copy that would replace what lies beside the file at path:
// the file itself, or the master key.
func checkTarget(path, name string) error {
	here, err1 := os.Stat(filepath.Dir(path))
	there, err2 := os.Stat(filepath.Dir(name))
	_, err3 := os.Lstat(name)
	if errors.Join(err1, err2, err3) != nil || !os.SameFile(here, there) {
		return nil
	}
	return &fs.PathError{Op: "replace", Path: name, Err: errors.New("it would replace a file in the data folder")}
}

// Restore puts a copy of the file at from, brought up to date and changed by
// edit, in place of the file at path, which must not be open. What was there
// is kept beside it; kept is its name, or "".
func Restore(path, from string, cfg Config, edit func(tx *bbolt.Tx) error) (kept string, err error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.CloseWithin <= 0 {
		cfg.CloseWithin = closeWithin
	}
	next := path + nextSuffix
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := Copy(from, next, cfg.Layout); err != nil {
		return "", err
	}
	db, err := openDB(next, access{})
	if err == nil {
		err = guard(nil, func() error {
			return errors.Join(cfg.Layout.Upgrade(db), db.Update(edit), db.Sync())
		})
		err = errors.Join(err, cfg.closeDB(db))
	}
	if err == nil {
		err = Peek(next, cfg.Layout, func(*bbolt.Tx) error { return nil })
	}
	if err != nil {
		os.Remove(next)
		return "", err
	}
	if _, err := os.Lstat(path); err == nil {
		kept = path + beforeRestore + time.Now().UTC().Format("20060102-150405")
		if err := os.Rename(path, kept); err != nil {
			os.Remove(next)
			return "", err
		}
		dropCopies(path, beforeRestore)
	}
	return kept, atomicfile.Rename(next, path)
}
