package statefile

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"
)

// A fullDisk takes some writes and then no more.
type fullDisk struct{ left int }

func (d *fullDisk) Write(b []byte) (int, error) {
	if d.left == 0 {
		return 0, &fs.PathError{Op: "write", Path: "copy", Err: syscall.ENOSPC}
	}
	d.left--
	return len(b), nil
}

// TestCopyOnFullDisk: wherever the room for a copy ends, the error says so.
func TestCopyOnFullDisk(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "state.db"), Config{})
	put(t, f, "key", "value")
	for left := range 3 {
		if _, ok := errors.AsType[*fs.PathError](writeTo(&fullDisk{left}, f.db)); !ok {
			t.Errorf("after %d writes the error is not that of the disk", left)
		}
	}
	if err := writeTo(&fullDisk{1000}, f.db); err != nil {
		t.Error(err)
	}
}
