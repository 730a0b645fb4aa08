package statefile

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"
)

// A fault is a commit at which the disk fails.
type fault string

const (
	early fault = "before the file has changed"
	late  fault = "at the last sync, when the file has changed"
)

// failAt makes the next commits of a file fail so. Where only the last sync
// fails, bbolt has written everything: so it has after a commit that succeeded.
func failAt(f *File, faults ...fault) {
	f.commit = func(db *bbolt.DB, fn func(tx *bbolt.Tx) error) error {
		if len(faults) == 0 {
			return db.Update(fn)
		}
		now := faults[0]
		faults = faults[1:]
		switch now {
		case early:
			return db.Update(func(tx *bbolt.Tx) error { return errors.Join(fn(tx), syscall.EIO) })
		case late:
			return errors.Join(db.Update(fn), syscall.EIO)
		}
		return db.Update(fn)
	}
}

// TestFailedCommit: after a commit that failed, memory, the answer and the file
// agree, now and after a restart.
func TestFailedCommit(t *testing.T) {
	for _, tt := range []struct {
		name   string
		faults []fault
		is     string // what the record is then
		unsure bool
		ok     bool
	}{
		{"no fault", nil, "new", false, true},
		{"nothing was written", []fault{early}, "old", false, false},
		{"the last sync failed, the next succeeds", []fault{late}, "new", false, true},
		{"the last sync failed, and the disk does not write any more", []fault{late, early}, "new", true, false},
		{"the last sync failed, twice", []fault{late, late}, "new", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			f := open(t, path, Config{})
			put(t, f, "k", "old")
			memory := "old"
			failAt(f, tt.faults...)
			err := f.Update(func(t *Tx) error {
				t.Then(func() { memory = "new" })
				return t.Bucket(bucketA).Put([]byte("k"), []byte("new"))
			})
			e, failed := errors.AsType[*SaveError](err)
			if failed == tt.ok || failed && e.Unsure != tt.unsure {
				t.Errorf("Update = %v (%+v), want success %v, unsure %v", err, e, tt.ok, tt.unsure)
			}
			if got := get(t, f, bucketA, "k"); got != tt.is || memory != tt.is {
				t.Errorf("the file has %q, memory %q, want %q in both", got, memory, tt.is)
			}
			if got := f.Disk(); (got == DiskReady) != tt.ok {
				t.Errorf("the disk is %s", got)
			}
			failAt(f)
			put(t, f, "later", "x") // the file can be changed again
			f.Close()
			f = open(t, path, Config{})
			if got := get(t, f, bucketA, "k"); got != tt.is {
				t.Errorf("after a restart the file has %q, want %q", got, tt.is)
			}
		})
	}
}
