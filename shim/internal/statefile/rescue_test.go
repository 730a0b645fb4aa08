package statefile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/internal/dbpages"
	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// TestLostFile: no matter what happens to the name of an open file, nothing that was
// saved before or after is lost, and what took its place is kept aside.
func TestLostFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		testenv.Skip(t, "needs to remove an open file, which Windows does not allow")
	}
	other := soundFile(t)
	for _, tt := range []struct {
		name string
		lose func(dir, path string) error
		kept []byte // aside
	}{
		{"the file is removed", func(_, path string) error { return os.Remove(path) }, nil},
		{"the folder is removed", func(dir, _ string) error { return os.RemoveAll(dir) }, nil},
		{"the folder is moved", func(dir, _ string) error { return os.Rename(dir, dir+".moved") }, nil},
		{"the folder is replaced", func(dir, path string) error {
			return errors.Join(os.Rename(dir, dir+".moved"), os.Mkdir(dir, 0o700), os.WriteFile(path, other, 0o600))
		}, other},
		{"the file is replaced by another one", func(_, path string) error {
			return errors.Join(os.WriteFile(path+".x", other, 0o600), os.Rename(path+".x", path))
		}, other},
		{"the file is replaced by text", func(_, path string) error {
			return errors.Join(os.Remove(path), os.WriteFile(path, []byte("text"), 0o600))
		}, []byte("text")},
		{"the file is replaced by a copy of itself", func(_, path string) error {
			b, err := os.ReadFile(path)
			return errors.Join(err, os.Rename(path, path+".x"), os.WriteFile(path, b, 0o600))
		}, []byte{}},
	} {
		for _, idle := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "data")
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(dir, "state.db")
				rescues, aside := 0, "none"
				f := open(t, path, Config{
					Rescue:  func() error { rescues++; return nil },
					Rescued: func(name string) { aside = name },
				})
				put(t, f, "before", "1")
				if err := f.LookAfter(); err != nil || rescues != 0 {
					t.Fatalf("LookAfter = %v, %d rescues of a file that is there", err, rescues)
				}
				if err := tt.lose(dir, path); err != nil {
					t.Fatal(err)
				}
				if idle {
					if err := f.LookAfter(); err != nil {
						t.Fatal(err)
					}
				}
				put(t, f, "after", "2")
				if rescues != 1 || aside == "none" {
					t.Errorf("%d rescues, aside %q", rescues, aside)
				}
				if b, err := os.ReadFile(aside); tt.kept != nil && (err != nil || len(tt.kept) > 0 && !bytes.Equal(b, tt.kept)) {
					t.Errorf("kept aside are %d bytes, %v, want %d", len(b), err, len(tt.kept))
				}
				f.Close()
				f = open(t, path, Config{})
				if get(t, f, bucketA, "before") != "1" || get(t, f, bucketA, "after") != "2" {
					t.Error("something is lost after a restart")
				}
			})
		}
	}
}

// TestReorder: Scrub finds records that a lost bit in another's key hides, in a
// file too large to be looked at before it is used.
func TestReorder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	layout := testLayout(1)
	layout.Buckets[0].Checked = true
	f := open(t, path, Config{Layout: layout})
	err := f.Update(func(t *Tx) error {
		for i := range 3000 {
			if err := records.PutBytes(t.Tx, bucketA, fmt.Appendf(nil, "key%06d", i), bytes.Repeat([]byte("x"), 400)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	b, _ := os.ReadFile(path)
	if len(b) <= dbpages.SmallFile {
		t.Fatalf("a file of %d bytes is small", len(b))
	}
	at := bytes.LastIndex(b, []byte("key001503x"))
	b[at] ^= 0x80
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	f = open(t, path, Config{Layout: layout})
	if err := f.Scrub(); err != nil {
		t.Fatal(err)
	}
	if got := f.Damaged(); len(got) != 1 || got[0].Key != "\xebey001503" {
		t.Errorf("Damaged = %v", got)
	}
	for i := range 3000 {
		if i != 1503 && get(t, f, bucketA, fmt.Sprintf("key%06d", i)) == "" {
			t.Errorf("record %d is not found", i)
		}
	}
	if got := Copies(path); len(got) != 1 {
		t.Errorf("the copies are %q, want one from before", got)
	}
}

// A lost file that cannot be written again makes changes fail, until it can.
func TestLostFileWithoutRoom(t *testing.T) {
	if runtime.GOOS == "windows" {
		testenv.Skip(t, "needs to remove an open file, which Windows does not allow")
	}
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f := open(t, filepath.Join(dir, "state.db"), Config{})
	put(t, f, "before", "1")
	if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil { // a file is in its place
		t.Fatal(err)
	}
	err := f.Update(func(t *Tx) error { return t.Bucket(bucketA).Put([]byte("after"), []byte("2")) })
	if _, ok := errors.AsType[*SaveError](err); !ok || f.Disk() != DiskFailing {
		t.Errorf("Update = %v, the disk is %s", err, f.Disk())
	}
	if err := f.View(func(*bbolt.Tx) error { return nil }); err != nil {
		t.Errorf("View = %v", err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	put(t, f, "after", "2")
	f.Close()
	f = open(t, filepath.Join(dir, "state.db"), Config{})
	if get(t, f, bucketA, "before") != "1" || get(t, f, bucketA, "after") != "2" {
		t.Error("something is lost")
	}
}
