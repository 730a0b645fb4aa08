package vault

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/shimtest/keyringtest"
)

// A folderKind makes a data folder with one key in it, which is the name of the
// folder, and closes it.
type folderKind struct {
	name string
	make func(t *testing.T, dir string)
	left bool // an item that others may need stays, and Destroy says so
}

// keyIn saves a key in a data folder.
func keyIn(t *testing.T, dir string, mode keychain.Mode) {
	t.Helper()
	cfg := ringConfig(t, dir)
	cfg.Mode = mode
	v := start(t, cfg)
	addEndpoint(t, v, testSlug, "token=1")
	saveKey(t, v, testSlug, "", filepath.Base(dir))
	closeVault(t, v)
}

// checkKeyIn starts a data folder without saying where its master key is, and
// checks that its key opens.
func checkKeyIn(t *testing.T, dir string) {
	t.Helper()
	v := start(t, ringConfig(t, dir))
	defer closeVault(t, v)
	want := filepath.Base(dir)
	eventually(t, "the keychain's answer", func() bool { return v.Keychain().State != keychain.StateWaiting })
	for _, c := range v.Credentials(testSlug) {
		checkKey(t, v, c.ID, want)
	}
	if n := len(v.Credentials(testSlug)); n != 1 {
		t.Errorf("%s has %d keys, want one", want, n)
	}
}

// makeOld makes a folder as earlier versions did: the master key is in the item
// that all folders share, and the folder remembers nothing about it.
func makeOld(t *testing.T, dir string) {
	t.Helper()
	text := base64.StdEncoding.EncodeToString([]byte("the master key of all old folder"))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, keychain.KeyFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	keyIn(t, dir, keychain.ModeFile)
	if err := os.Remove(filepath.Join(dir, keychain.KeyFile)); err != nil {
		t.Fatal(err)
	}
	edit(t, dir, func(tx *bbolt.Tx) error { return tx.Bucket(bucketSettings).Delete([]byte(settingPlace)) })
	if a := askItem(t, ringConfig(t, dir), "set", sharedItem, text); a.Key != text {
		t.Fatalf("set = %q", a.Status)
	}
}

var folderKinds = []folderKind{
	{"os", func(t *testing.T, dir string) { keyIn(t, dir, keychain.ModeOS) }, false},
	{"file", func(t *testing.T, dir string) { keyIn(t, dir, keychain.ModeFile) }, false},
	{"memory", func(t *testing.T, dir string) { keyIn(t, dir, keychain.ModeMemory) }, false},
	{"os, then memory", func(t *testing.T, dir string) {
		keyIn(t, dir, keychain.ModeOS)
		keyIn(t, dir, keychain.ModeMemory)
	}, false},
	{"old", makeOld, true},
	{"old, started once", func(t *testing.T, dir string) {
		makeOld(t, dir)
		checkKeyIn(t, dir)
	}, true},
}

// TestTwoFolders: two folders may be used with any keychains, and in any order
// one of them is deleted, the keys of the other go on working; and what a folder
// alone had in the keychain goes with it.
func TestTwoFolders(t *testing.T) {
	keyringtest.Start(t, keyringtest.Unlocked).Setenv(t)
	for _, doomed := range folderKinds {
		for _, other := range folderKinds {
			t.Run(doomed.name+" deleted beside "+other.name, func(t *testing.T) {
				base := t.TempDir()
				a, b := filepath.Join(base, "doomed"), filepath.Join(base, "other")
				doomed.make(t, a)
				other.make(t, b)
				item, own := itemOf(t, a), Owned(a)
				left, err := Destroy(ringConfig(t, a))
				if err != nil || (len(left) > 0) != doomed.left {
					t.Errorf("Destroy = %q, %v", left, err)
				}
				if got := files(t, a); len(got) != 0 {
					t.Errorf("left are %v", got)
				}
				if item != sharedItem {
					if got := askItem(t, ringConfig(t, a), "get", item, "").Status; got != "missing" {
						t.Errorf("the item of the deleted folder is %s", got)
					}
					if !slices.Equal(own.Items, []string{item}) {
						t.Errorf("Owned named %q, and %q was deleted", own.Items, item)
					}
				} else if len(own.Items) > 0 {
					t.Errorf("Owned named %q", own.Items)
				}
				if other.name == "memory" {
					if got := files(t, b); len(got) != 0 {
						t.Errorf("a folder that keeps nothing holds %v", got)
					}
					return
				}
				checkKeyIn(t, b)
			})
		}
	}
}

// A copy of a folder has its own item once it runs, and none that it would
// delete before. A folder that was moved keeps its item.
func TestCopiedFolder(t *testing.T) {
	keyringtest.Start(t, keyringtest.Unlocked).Setenv(t)
	copied := func(t *testing.T, dir, name string) string {
		t.Helper()
		to := filepath.Join(t.TempDir(), name)
		if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		return to
	}
	for _, started := range []bool{false, true} {
		for _, original := range []bool{false, true} {
			dir := filepath.Join(t.TempDir(), "data")
			keyIn(t, dir, keychain.ModeOS)
			other := copied(t, dir, "data")
			if started {
				checkKeyIn(t, other)
			}
			if original {
				dir, other = other, dir
			}
			if !started && !original {
				continue // what only the original's item opens goes with it
			}
			if left, err := Destroy(ringConfig(t, dir)); err != nil || len(left) > 0 {
				t.Errorf("Destroy = %q, %v", left, err)
			}
			checkKeyIn(t, other)
		}
	}

	dir := filepath.Join(t.TempDir(), "data")
	keyIn(t, dir, keychain.ModeOS)
	item := itemOf(t, dir)
	moved := filepath.Join(t.TempDir(), "data")
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	checkKeyIn(t, moved)
	if got := itemOf(t, moved); got != item {
		t.Errorf("a folder that was moved has the item %q, want %q", got, item)
	}
	if left, err := Destroy(ringConfig(t, moved)); err != nil || len(left) > 0 {
		t.Errorf("Destroy = %q, %v", left, err)
	}
	if got := askItem(t, ringConfig(t, moved), "get", item, "").Status; got != "missing" {
		t.Errorf("the item of a folder that was moved is %s", got)
	}
}

// The state alone, as a backup has it, finds its master key again: in its own
// folder, and in another one that has a master key already.
func TestStateFindsItsItem(t *testing.T) {
	keyringtest.Start(t, keyringtest.Unlocked).Setenv(t)
	dir := filepath.Join(t.TempDir(), "data")
	keyIn(t, dir, keychain.ModeOS)
	state := contents(t, dir, stateFile)
	item := itemOf(t, dir)

	other := filepath.Join(t.TempDir(), "data")
	keyIn(t, other, keychain.ModeOS)
	before := itemOf(t, other)
	if err := os.WriteFile(filepath.Join(other, stateFile), state, 0o600); err != nil {
		t.Fatal(err)
	}
	checkKeyIn(t, other)
	if got := itemOf(t, other); got == item || got == before {
		t.Errorf("the folder uses the item %q, which has another master key or another owner", got)
	}
	if got := askItem(t, ringConfig(t, other), "get", before, "").Status; got != "found" {
		t.Errorf("the item that the folder had before is %s", got)
	}
	if err := os.Remove(filepath.Join(dir, keychain.PlaceFile)); err != nil {
		t.Fatal(err)
	}
	checkKeyIn(t, dir)
	if _, err := Destroy(ringConfig(t, other)); err != nil {
		t.Error(err)
	}
	if got := askItem(t, ringConfig(t, other), "get", before, "").Status; got != "missing" {
		t.Errorf("an item that the folder had before is %s after everything was deleted", got)
	}
	checkKeyIn(t, dir)
}

// A state that is damaged does not hide which item has to be deleted, nor where
// it is remembered that there is none.
func TestDestroyDamaged(t *testing.T) {
	keyringtest.Start(t, keyringtest.Unlocked).Setenv(t)
	dir, _ := withState(t)
	item := itemOf(t, dir)
	if err := os.WriteFile(filepath.Join(dir, stateFile), bytes.Repeat([]byte("rotten"), 9000), 0o600); err != nil {
		t.Fatal(err)
	}
	if left, err := Destroy(ringConfig(t, dir)); err != nil || len(left) > 0 {
		t.Errorf("Destroy = %q, %v", left, err)
	}
	if got := askItem(t, ringConfig(t, dir), "get", item, "").Status; got != "missing" {
		t.Errorf("the item is %s", got)
	}
}

// A damaged PlaceFile costs nothing: the state has a copy.
func TestDamagedPlaceFile(t *testing.T) {
	keyringtest.Start(t, keyringtest.Unlocked).Setenv(t)
	dir := filepath.Join(t.TempDir(), "data")
	keyIn(t, dir, keychain.ModeOS)
	sound := contents(t, dir, keychain.PlaceFile)
	flipped := bytes.Clone(sound)
	flipped[bytes.Index(sound, []byte(strings.TrimPrefix(itemOf(t, dir), sharedItem+" ")))+3] ^= 1
	for _, b := range [][]byte{nil, []byte("{"), sound[:20], flipped} {
		if err := os.WriteFile(filepath.Join(dir, keychain.PlaceFile), b, 0o600); err != nil {
			t.Fatal(err)
		}
		checkKeyIn(t, dir)
		if err := os.WriteFile(filepath.Join(dir, keychain.PlaceFile), sound, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// The mode of the last run that kept things is used when none is named.
func TestModeIsRemembered(t *testing.T) {
	keyringtest.Start(t, keyringtest.Unlocked).Setenv(t)
	dir := filepath.Join(t.TempDir(), "data")
	for _, tt := range []struct{ named, want keychain.Mode }{
		{"", keychain.ModeOS}, {keychain.ModeFile, keychain.ModeFile}, {"", keychain.ModeFile},
		{keychain.ModeMemory, keychain.ModeMemory}, {"", keychain.ModeFile},
		{keychain.ModeOS, keychain.ModeOS}, {"", keychain.ModeOS},
	} {
		cfg := ringConfig(t, dir)
		cfg.Mode = tt.named
		v := start(t, cfg)
		if got := v.Keychain().Mode; got != tt.want {
			t.Errorf("started with %q, the mode is %q, want %q", tt.named, got, tt.want)
		}
		if tt.want == keychain.ModeOS {
			awaitState(t, v, keychain.StateReady)
		}
		closeVault(t, v)
	}
	// Earlier versions remembered nothing. Their records say it.
	dir = filepath.Join(t.TempDir(), "data")
	keyIn(t, dir, keychain.ModeFile)
	edit(t, dir, func(tx *bbolt.Tx) error { return tx.Bucket(bucketSettings).Delete([]byte(settingPlace)) })
	checkKeyIn(t, dir)
}
