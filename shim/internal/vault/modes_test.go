package vault

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
)

func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		testenv.Skip(t, "needs mode bits, which say nothing on Windows")
	}
	dir := filepath.Join(t.TempDir(), "new", "data")
	v := openFileMode(t, dir)
	addEndpoint(t, v, testSlug, "x=1")
	closeVault(t, v)
	want := map[string]os.FileMode{".": 0o700, stateFile: 0o600, keychain.KeyFile: 0o600}
	check := func() {
		t.Helper()
		for name, mode := range want {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != mode {
				t.Errorf("%s has mode %o, want %o", name, got, mode)
			}
		}
	}
	check()
	if b := contents(t, dir, keychain.KeyFile); len(b) != 44 {
		t.Errorf("the key file has %d bytes, want 44", len(b))
	}
	for _, name := range []string{stateFile, keychain.KeyFile} {
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	closeVault(t, openFileMode(t, dir))
	check()

	// An empty folder is ours; one that already contains other files is not.
	empty, used := t.TempDir(), t.TempDir()
	for _, d := range []string{empty, used} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(used, "letter.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for d, mode := range map[string]os.FileMode{empty: 0o700, used: 0o755} {
		closeVault(t, openFileMode(t, d))
		if info, _ := os.Stat(d); info.Mode().Perm() != mode {
			t.Errorf("folder has mode %o, want %o", info.Mode().Perm(), mode)
		}
	}
}

func TestFileModeMakesKeyLate(t *testing.T) {
	dir := t.TempDir()
	v := openFileMode(t, dir)
	addEndpoint(t, v, testSlug, "")
	if got, want := files(t, dir), []string{stateFile}; !slices.Equal(got, want) {
		t.Errorf("before anything is sealed: %v, want %v", got, want)
	}
	if k := v.Keychain(); k.State != keychain.StateFile || !strings.Contains(k.Words, keychain.KeyFile) {
		t.Errorf("Keychain() = %+v", k)
	}
	id := saveKey(t, v, testSlug, "", testKey).ID
	closeVault(t, v)

	// With another master key, the records stay unchanged.
	path := filepath.Join(dir, keychain.KeyFile)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	v = openFileMode(t, dir)
	if _, err := v.Key(id); !errors.Is(err, ErrKeyNeeded) {
		t.Errorf("Key without the key file: %v, want ErrKeyNeeded", err)
	}
	saveKey(t, v, testSlug, "", "second")
	closeVault(t, v)
	if err := os.Rename(path+".old", path); err != nil {
		t.Fatal(err)
	}
	checkKey(t, openFileMode(t, dir), id, testKey)
}

func TestMemoryMode(t *testing.T) {
	dir := t.TempDir()
	v := openFileMode(t, dir)
	addEndpoint(t, v, testSlug, "")
	closeVault(t, v)
	before := contents(t, dir, stateFile)

	v = open(t, Config{Dir: dir, Mode: keychain.ModeMemory})
	v.Start(t.Context())
	if got := len(v.Endpoints()); got != 0 {
		t.Errorf("mode memory shows %d endpoints of another run", got)
	}
	addEndpoint(t, v, "bbbbbbbbbbbb", "")
	checkKey(t, v, saveKey(t, v, "bbbbbbbbbbbb", "", testKey).ID, testKey)
	if k := v.Keychain(); k.State != keychain.StateMemory || k.CanKeep {
		t.Errorf("Keychain() = %+v", k)
	}
	if err := v.Keep(); err == nil {
		t.Error("Keep succeeds, though nothing was to be kept")
	}
	closeVault(t, v)
	if got, want := files(t, dir), []string{stateFile}; !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	if !bytes.Equal(before, contents(t, dir, stateFile)) {
		t.Error("mode memory changed the state file")
	}

	// Leftovers of a killed run are removed.
	left := filepath.Join(dir, memoryFile)
	for _, tt := range []keychain.Mode{keychain.ModeMemory, keychain.ModeFile} {
		if err := os.WriteFile(left, []byte("rubbish"), 0o600); err != nil {
			t.Fatal(err)
		}
		closeVault(t, open(t, Config{Dir: dir, Mode: tt}))
		if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("mode %s: the file of a killed run is left", tt)
		}
	}
}
