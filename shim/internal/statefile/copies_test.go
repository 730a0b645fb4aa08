package statefile

import (
	"errors"
	"io/fs"
	"os"
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

// TestCopyReplacesNothingOfOurs: a copy in the folder of the file may have a name
// of its own, but not that of what lies there, such as the master key.
func TestCopyReplacesNothingOfOurs(t *testing.T) {
	dir := t.TempDir()
	path, ours, elsewhere := filepath.Join(dir, "state.db"), filepath.Join(dir, "master.key"), filepath.Join(t.TempDir(), "master.key")
	for _, name := range []string{ours, elsewhere} {
		if err := os.WriteFile(name, []byte("key"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := open(t, path, Config{})
	for _, running := range []bool{true, false} {
		copyTo := f.CopyTo
		if !running {
			f.Close()
			copyTo = func(name string) error { return Copy(path, name, testLayout(1)) }
		}
		for _, name := range []string{ours, path} {
			before, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := copyTo(name); err == nil {
				t.Errorf("running %v: %s was replaced", running, name)
			}
			if after, err := os.ReadFile(name); err != nil || string(after) != string(before) {
				t.Errorf("running %v: %s has changed: %v", running, name, err)
			}
		}
		for _, name := range []string{elsewhere, filepath.Join(dir, "mine.db")} {
			if err := errors.Join(copyTo(name), os.Remove(name), os.WriteFile(elsewhere, nil, 0o600)); err != nil {
				t.Errorf("running %v: %v", running, err)
			}
		}
	}
}
