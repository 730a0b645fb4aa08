package statefile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/datadir"
	"github.com/key2oauth/key2oauth/shim/internal/records"
)

var bucketA, bucketB = []byte("a"), []byte("b")

// testLayout is a layout with one bucket, or with two from version 2 on.
func testLayout(version int) records.Layout {
	l := records.Layout{Version: version, Buckets: []records.Bucket{{Name: bucketA}}}
	if version > 1 {
		l.Buckets = append(l.Buckets, records.Bucket{Name: bucketB, Since: 2})
		l.Migrate = func(tx *bbolt.Tx, from int) error {
			b, err := tx.CreateBucket(bucketB)
			if err != nil {
				return err
			}
			return b.Put([]byte("from"), fmt.Append(nil, from))
		}
	}
	return l
}

func open(t testing.TB, path string, cfg Config) *File {
	t.Helper()
	if cfg.Layout.Version == 0 {
		cfg.Layout = testLayout(1)
	}
	f, err := Open(path, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func put(t testing.TB, f *File, key, value string) {
	t.Helper()
	err := f.Update(func(t *Tx) error { return t.Bucket(bucketA).Put([]byte(key), []byte(value)) })
	if err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, f *File, bucket []byte, key string) (value string) {
	t.Helper()
	err := f.View(func(tx *bbolt.Tx) error {
		value = string(tx.Bucket(bucket).Get([]byte(key)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// soundFile is a file with pages of each kind.
func soundFile(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sound.db")
	f := open(t, path, Config{})
	for i := range 3 {
		err := f.Update(func(t *Tx) error {
			for n := range 300 {
				if err := t.Bucket(bucketA).Put(fmt.Appendf(nil, "%d-%d", i, n), bytes.Repeat([]byte("x"), 50)); err != nil {
					return err
				}
			}
			return t.Bucket(bucketA).Put([]byte("long"), make([]byte, 10_000*i))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMigrate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	f := open(t, path, Config{})
	put(t, f, "k", "v")
	f.Close()
	for range 2 { // the second time there is nothing to do
		f = open(t, path, Config{Layout: testLayout(2)})
		if got := get(t, f, bucketB, "from"); got != "1" {
			t.Errorf("migrated from version %q, want 1", got)
		}
		if got := get(t, f, bucketA, "k"); got != "v" {
			t.Errorf("the record is %q after migration", got)
		}
		f.Close()
	}
	before, _ := os.ReadFile(path)
	_, err := Open(path, Config{Layout: testLayout(1)})
	if e, ok := errors.AsType[*datadir.Error](err); !ok || !strings.Contains(e.Words, "newer version") {
		t.Errorf("Open of a newer file = %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("a newer file was changed")
	}
}

func TestTemporary(t *testing.T) {
	dir := t.TempDir()
	path, kept := filepath.Join(dir, "temporary.db"), filepath.Join(dir, "state.db")
	if err := os.WriteFile(path, []byte("left by a run that was killed"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := open(t, path, Config{Temporary: true})
	if !f.db.NoSync {
		t.Error("a temporary file is synced")
	}
	if _, err := Open(path, Config{Layout: testLayout(1), Temporary: true}); err == nil {
		t.Error("the temporary file of a run that is alive was taken over")
	}
	put(t, f, "k", "v")
	then := false
	err := f.Keep(kept, func(t *Tx) error {
		t.Then(func() { then = true })
		return t.Bucket(bucketA).Put([]byte("edited"), []byte("yes"))
	})
	if err != nil || !then {
		t.Fatalf("Keep = %v, Then ran: %v", err, then)
	}
	if f.db.NoSync {
		t.Error("a file that is kept is not synced")
	}
	put(t, f, "later", "x")
	f.Close()
	f = open(t, kept, Config{})
	for key, want := range map[string]string{"k": "v", "edited": "yes", "later": "x"} {
		if got := get(t, f, bucketA, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	checkNames(t, dir, "state.db")

	f = open(t, path, Config{Temporary: true})
	failure := errors.New("no")
	if err := f.Keep(filepath.Join(dir, "other.db"), func(*Tx) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("Keep = %v, want the error of edit", err)
	}
	if err := f.Keep(kept, func(*Tx) error { return nil }); err == nil {
		t.Error("Keep replaced a file")
	}
	put(t, f, "k", "still works")
	f.Close()
	checkNames(t, dir, "state.db")
}

// If another user planted a link, its target stays unchanged.
func TestPlantedLinks(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(elsewhere, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state.db")
	for _, name := range []string{path + nextSuffix, filepath.Join(dir, RoomFile)} {
		if err := os.Symlink(elsewhere, name); err != nil {
			t.Skip("requires symbolic links: ", err)
		}
	}
	f := open(t, path, Config{})
	if err := f.TryDisk(); err != nil {
		t.Errorf("TryDisk: %v", err)
	}
	if b, _ := os.ReadFile(elsewhere); string(b) != "theirs" {
		t.Errorf("the link's target holds %.20q", b)
	}
	checkNames(t, dir, "state.db")
}

// Only a panic of the caller's own function is passed on.
func TestForeign(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	f := open(t, path, Config{})
	func() {
		defer func() {
			if r := recover(); r != "theirs" {
				t.Errorf("recovered %v", r)
			}
		}()
		f.Update(func(t *Tx) error {
			return t.Foreign(func() error {
				return errors.Join(t.Own(func() error { return nil }), func() error { panic("theirs") }())
			})
		})
	}()
	put(t, f, "k", "v") // nothing is locked
	err := f.Update(func(t *Tx) error {
		return t.Foreign(func() error { return t.Own(func() error { panic("ours") }) })
	})
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("a panic of our own = %v, want ErrDamaged", err)
	}
	if err := f.View(func(*bbolt.Tx) error { return nil }); !errors.Is(err, ErrDamaged) {
		t.Errorf("a damaged file is used again: %v", err)
	}
}

func checkNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the folder holds %q, want %q", got, want)
	}
}
