package vault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/key2oauth/key2oauth/shim/atomicfile"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

// schema is the version of the file's layout. A program refuses files that are
// newer than itself.
const schema = 3

// The buckets of the state file.
var (
	bucketMeta      = []byte("meta")
	bucketSettings  = []byte("settings")
	bucketEndpoints = []byte("endpoints")   // slug -> endpointRecord
	bucketCreds     = []byte("credentials") // id -> credentialRecord
	bucketSealed    = []byte("sealed")      // kind "/" id -> sealed record
	bucketSessions  = []byte("sessions")    // digest -> expiry
	bucketGrants    = []byte("grants")      // id -> grantRecord
	bucketTokens    = []byte("tokens")      // grant id, 0, digest -> token record
	bucketDue       = []byte("due")         // time, grant id -> nothing; since version 2
	bucketGranted   = []byte("granted")     // what grants were made for -> how many; since version 3

	// Made with the first call, so files from before there was activity are whole.
	bucketActivity = []byte("activity") // number of the last call -> batch of calls

	allBuckets = [][]byte{
		bucketMeta, bucketSettings, bucketEndpoints, bucketCreds,
		bucketSealed, bucketSessions, bucketGrants, bucketTokens, bucketDue, bucketGranted,
	}
	keySchema = []byte("schema")
)

// A DirError says what is wrong with the data folder or a file in it, and what
// to do, in words for people. Nothing that was in the folder was changed.
type DirError struct {
	Path  string
	Words string
	Err   error
}

func (e *DirError) Error() string { return e.Words }
func (e *DirError) Unwrap() error { return e.Err }

var (
	errDamaged = errors.New("damaged")
	errNewer   = errors.New("newer schema")
)

// dirError puts err, which came from the file or folder at path, into words.
func dirError(path string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*DirError](err); ok {
		return e
	}
	e := &DirError{Path: path, Err: err}
	dir := filepath.Dir(path)
	switch {
	case errors.Is(err, errNewer):
		e.Words = fmt.Sprintf("%s was written by a newer version of Key2OAuth; install that version, or name another folder with --data-dir", path)
	case errors.Is(err, berrors.ErrTimeout):
		e.Words = fmt.Sprintf("%s is in use by another Key2OAuth; end that one, or name another folder with --data-dir", path)
	case isFull(err):
		e.Words = fmt.Sprintf("the disk that holds %s is full; make room and start again", dir)
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		e.Words = fmt.Sprintf("%s cannot be read and written; give yourself the right to, or name another folder with --data-dir", path)
	case isDamage(err):
		e.Words = fmt.Sprintf("%s is damaged (%v); restore it from a backup, or move it away to start anew", path, err)
	default:
		e.Words = fmt.Sprintf("%s cannot be used: %v", path, err)
	}
	return e
}

func (v *Vault) dirError(err error) error { return dirError(v.dbPath, err) }

func isDamage(err error) bool {
	for _, e := range []error{
		errDamaged, berrors.ErrInvalid, berrors.ErrChecksum, berrors.ErrVersionMismatch,
		berrors.ErrInvalidMapping, berrors.ErrFreePagesNotLoaded,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// prepareDir makes the data folder if it is missing. A folder that others can
// enter is only closed to them while nothing of anybody's is in it: the files
// of the vault are closed to others in any case.
func prepareDir(dir string, log logger) error {
	info, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return dirError(dir, err)
		}
		return dirError(dir, ownerOnly(dir))
	}
	if err != nil {
		return dirError(dir, err)
	}
	if !info.IsDir() {
		return dirError(dir, errors.New("it is not a folder"))
	}
	if !openToOthers(info) {
		return nil
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) == 0 {
		return dirError(dir, ownerOnly(dir))
	}
	log.Warn("other users of this machine can look into the data folder; close it with chmod 700", "dir", dir)
	return nil
}

type logger interface{ Warn(msg string, args ...any) }

// minSize is less than any database has: two pages that say where the rest is.
const minSize = 2 * 4096

// openFile opens the state file at path, which it makes if there is none.
func openFile(path string) (*bbolt.DB, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := createFile(path); err != nil {
			return nil, dirError(path, err)
		}
	case err != nil:
		return nil, dirError(path, err)
	case filepath.Base(path) == memoryFile:
		// Left by a run that was killed, unless that run still goes on.
		if db, err := openDB(path, false); err == nil {
			closeDB(db)
		} else if errors.Is(err, berrors.ErrTimeout) {
			return nil, dirError(path, err)
		}
		if err := os.Remove(path); err != nil {
			return nil, dirError(path, err)
		}
		return openFile(path)
	case openToOthers(info):
		if err := ownerOnly(path); err != nil {
			return nil, dirError(path, err)
		}
	}
	if info != nil && info.Size() < minSize {
		return nil, dirError(path, fmt.Errorf("%w: it is cut off", errDamaged))
	}
	// The first look is read-only: a file that turns out to be damaged or
	// newer than we are stays as it is, to the byte.
	db, err := openDB(path, true)
	if err == nil {
		err = guard(nil, func() error { return inspect(db, path) })
		closeDB(db)
	}
	if err != nil {
		return nil, dirError(path, err)
	}
	if db, err = openDB(path, false); err != nil {
		return nil, dirError(path, err)
	}
	if err := guard(nil, func() error { return migrate(db) }); err != nil {
		closeDB(db)
		return nil, dirError(path, err)
	}
	return db, nil
}

// createFile makes an empty state file under another name first, so that a
// crash leaves none or a whole one.
func createFile(path string) error {
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := openDB(next, false)
	if err == nil {
		err = db.Update(func(tx *bbolt.Tx) error {
			for _, name := range allBuckets {
				if _, err := tx.CreateBucket(name); err != nil {
					return err
				}
			}
			return tx.Bucket(bucketMeta).Put(keySchema, strconv.AppendInt(nil, schema, 10))
		})
		err = errors.Join(err, closeDB(db))
	}
	if err != nil {
		os.Remove(next)
		return err
	}
	return atomicfile.Rename(next, path)
}

// openDB opens a bbolt file. bbolt answers some kinds of damage with a panic;
// the file is then closed here, since bbolt does not.
func openDB(path string, readOnly bool) (db *bbolt.DB, err error) {
	var f *os.File
	opts := &bbolt.Options{
		Timeout:      100 * time.Millisecond,
		FreelistType: bbolt.FreelistMapType,
		ReadOnly:     readOnly,
		NoStatistics: true,
		// A run that keeps nothing need not wait for the disk.
		NoSync: filepath.Base(path) == memoryFile,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
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

// inspect looks whether the file is whole and ours.
func inspect(db *bbolt.DB, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := checkPages(f, info.Size(), db.Info().PageSize); err != nil {
		return err
	}
	return db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			return fmt.Errorf("%w: it holds something else", errDamaged)
		}
		got, err := strconv.Atoi(string(meta.Get(keySchema)))
		if err != nil {
			return fmt.Errorf("%w: its version cannot be read", errDamaged)
		}
		if got > schema {
			return errNewer
		}
		for _, name := range allBuckets {
			if tx.Bucket(name) == nil && got >= since(name) {
				return fmt.Errorf("%w: it has no %s", errDamaged, name)
			}
		}
		return nil
	})
}

// since is the version that brought a bucket.
func since(bucket []byte) int {
	switch string(bucket) {
	case string(bucketDue):
		return 2
	case string(bucketGranted):
		return 3
	}
	return 1
}

// closeDB closes db, but does not wait for ever: after a panic inside bbolt one
// of its locks may never be given back.
func closeDB(db *bbolt.DB) error {
	if db == nil {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- db.Close() }()
	select {
	case err := <-done:
		return err
	case <-time.After(closeWithin):
		return errors.New("the state file does not close")
	}
}

// closeWithin is ample: nothing that holds a lock of bbolt's takes longer than
// one write to the disk.
var closeWithin = 5 * time.Second

// guard calls fn and turns what bbolt does on a damaged file, which is to
// panic or to read outside of its mapping, into an error. A panic in code of
// our callers goes on.
func guard(t *txn, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if t != nil && t.foreign {
			panic(r)
		}
		err = fmt.Errorf("%w: %v", errDamaged, r)
	}()
	return fn()
}

// A txn is a read-write transaction. What is appended to after runs, with v.mu
// held, once the transaction is durable.
type txn struct {
	*bbolt.Tx
	after   []func()
	foreign bool // while a caller's function runs
}

func (t *txn) then(f func()) { t.after = append(t.after, f) }

// view runs fn in a read-only transaction.
func (v *Vault) view(fn func(tx *bbolt.Tx) error) error {
	v.dbmu.RLock()
	defer v.dbmu.RUnlock()
	if err := v.usable(); err != nil {
		return err
	}
	return v.judge(guard(nil, func() error { return v.db.View(fn) }))
}

// update runs fn in a read-write transaction, which is durable when update
// returns nil and has changed nothing otherwise. It waits until it is known
// which file is kept.
func (v *Vault) update(fn func(t *txn) error) error {
	if err := v.awaitDecision(); err != nil {
		return err
	}
	return v.write(fn)
}

// write is update without the wait.
func (v *Vault) write(fn func(t *txn) error) error {
	v.wmu.Lock()
	defer v.wmu.Unlock()
	v.dbmu.RLock()
	defer v.dbmu.RUnlock()
	if err := v.usable(); err != nil {
		return err
	}
	t := new(txn)
	var failed error
	err := guard(t, func() error {
		return v.db.Update(func(tx *bbolt.Tx) error {
			t.Tx = tx
			failed = fn(t)
			return failed
		})
	})
	if err != nil {
		if failed == nil && !errors.Is(err, errDamaged) {
			// bbolt has rolled back; with room on the disk the next one works.
			v.couldNotSave(err)
			return fmt.Errorf("%w: %w", oauth.ErrUnavailable, err)
		}
		return v.judge(err)
	}
	if len(t.after) > 0 {
		v.mu.Lock()
		for _, f := range t.after {
			f()
		}
		v.mu.Unlock()
	}
	return nil
}

// usable reports why the state cannot be used, if so. The caller holds dbmu.
func (v *Vault) usable() error {
	if v.db == nil {
		return ErrClosed
	}
	if e := v.broken.Load(); e != nil {
		return e
	}
	return nil
}

// judge remembers that the file turned out to be damaged: bbolt may then hold
// a lock for ever, so it is not called again.
func (v *Vault) judge(err error) error {
	if !errors.Is(err, errDamaged) {
		return err
	}
	e, _ := errors.AsType[*DirError](v.dirError(err))
	if v.broken.CompareAndSwap(nil, e) {
		v.log.Error("the state file is damaged", "file", v.dbPath, "err", err)
	}
	return e
}

// damaged names the record that cannot be read.
func damaged(bucket, key []byte, err error) error {
	return fmt.Errorf("%w: record %q of %s: %w", errDamaged, key, bucket, err)
}
