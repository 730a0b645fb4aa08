package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	for _, content := range []string{"first", "second, longer", "3"} {
		if err := WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		checkContent(t, name, content)
	}
	checkNames(t, dir, "file")
}

func TestMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("requires permission bits, which files on Windows do not have")
	}
	name := filepath.Join(t.TempDir(), "file")
	for _, want := range []fs.FileMode{0o644, 0o600, 0o640} {
		if err := WriteFile(name, nil, want); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("permissions %v, want %v", got, want)
		}
	}
}

// A link that another user planted is not written through, whether it is at the
// file's own name or at a past or present temporary name.
func TestPlantedLinks(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(elsewhere, []byte("theirs"), 0o644); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "file")
	for _, link := range []string{name, name + ".new", filepath.Join(dir, ".file.1.new")} {
		if err := os.Symlink(elsewhere, link); err != nil {
			t.Skip("requires symbolic links: ", err)
		}
	}
	if err := WriteFile(name, []byte("ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	checkContent(t, elsewhere, "theirs")
	checkContent(t, name, "ours")
	if info, err := os.Lstat(name); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the file is %v, %v; want a regular file", info, err)
	}
	if info, err := os.Stat(elsewhere); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o644 {
		t.Errorf("the link's target is %v, %v; want its permissions unchanged", info, err)
	}
}

// A later write removes what a crash left, but not what another writer may be
// writing right now.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	old := time.Now().Add(-2 * leftoverAge)
	for base, when := range map[string]time.Time{
		".file.123.new":     old,
		".file.456.new":     time.Now(),
		".file.new":         old, // not a name that CreateTemp chooses
		".file.x.new":       old,
		".file.other.7.new": old, // of file.other
		"file.7.new":        old,
	} {
		if err := os.WriteFile(filepath.Join(dir, base), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(dir, base), when, when); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	checkNames(t, dir, ".file.456.new", ".file.new", ".file.other.7.new", ".file.x.new", "file", "file.7.new")

	if err := Remove(name); err != nil {
		t.Fatal(err)
	}
	checkNames(t, dir, ".file.new", ".file.other.7.new", ".file.x.new", "file.7.new")
	if err := Remove(name); err != nil {
		t.Errorf("Remove of nothing: %v", err)
	}
}

// A failed write changes nothing and leaves nothing behind.
func TestFailure(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "folder")
	if err := os.MkdirAll(filepath.Join(name, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(name, []byte("x"), 0o600); err == nil {
		t.Error("a folder was replaced by a file")
	}
	checkNames(t, dir, "folder")
	if err := WriteFile(filepath.Join(dir, "none", "file"), nil, 0o600); err == nil {
		t.Error("a file was written into a folder that does not exist")
	}
	checkNames(t, dir, "folder")
}

// Writers of the same name do not disturb each other, and a reader always sees
// the complete contents of one of them.
func TestConcurrentWriters(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	contents := []string{"one", "two, which is longer", "three"}
	var writers sync.WaitGroup
	for _, content := range contents {
		writers.Go(func() {
			for range 10 {
				if err := WriteFile(name, []byte(content), 0o600); err != nil && runtime.GOOS != "windows" {
					t.Error(err)
				}
				if b, err := os.ReadFile(name); err == nil && !slices.Contains(contents, string(b)) {
					t.Errorf("read %q", b)
				}
			}
		})
	}
	writers.Wait()
	checkNames(t, dir, "file")
}

func TestRename(t *testing.T) {
	dir := t.TempDir()
	next, name := filepath.Join(dir, "next"), filepath.Join(dir, "name")
	if err := os.WriteFile(next, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Rename(next, name); err != nil {
		t.Fatal(err)
	}
	checkContent(t, name, "x")
	checkNames(t, dir, "name")
}

func checkContent(t *testing.T, name, want string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != want {
		t.Errorf("%s holds %q, want %q", filepath.Base(name), b, want)
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
	if !slices.Equal(got, want) {
		t.Errorf("the folder holds %q, want %q", got, want)
	}
}
