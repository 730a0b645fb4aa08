package vault

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/shimtest/keyringtest"
)

// TestItemLostWhileRunning: no matter what happens to the keychain's item while the
// program runs, keys that were saved before and after open after a restart.
func TestItemLostWhileRunning(t *testing.T) {
	other := base64.StdEncoding.EncodeToString([]byte("a master key of another program."))
	for _, tt := range []struct {
		name string
		lose func(t *testing.T, s *keyringtest.Session, cfg Config, item string)
		told bool
	}{
		{"nothing", func(*testing.T, *keyringtest.Session, Config, string) {}, false},
		{"deleted", func(t *testing.T, _ *keyringtest.Session, cfg Config, item string) {
			askItem(t, cfg, "delete", item, "")
		}, true},
		{"replaced by another master key", func(t *testing.T, _ *keyringtest.Session, cfg Config, item string) {
			askItem(t, cfg, "delete", item, "")
			askItem(t, cfg, "set", item, other)
		}, true},
		{"replaced by something else", func(t *testing.T, _ *keyringtest.Session, cfg Config, item string) {
			askItem(t, cfg, "delete", item, "")
			askItem(t, cfg, "set", item, "something else")
		}, true},
		{"locked", func(t *testing.T, s *keyringtest.Session, _ Config, _ string) { s.Lock(t) }, false},
	} {
		for _, how := range []string{"by the next key", "by looking after it"} {
			t.Run(tt.name+", found "+how, func(t *testing.T) {
				s := keyringtest.Start(t, keyringtest.Unlocked)
				s.Setenv(t)
				dir := filepath.Join(t.TempDir(), "data")
				cfg := ringConfig(t, dir)
				v := start(t, cfg)
				addEndpoint(t, v, testSlug, "token=1")
				first := saveKey(t, v, testSlug, "", testKey)
				tt.lose(t, s, cfg, itemOf(t, dir))
				keys := map[string]string{first.ID: testKey}
				if how == "by the next key" {
					keys[saveKey(t, v, testSlug, "", "second").ID] = "second"
				} else if err := v.keys.LookAfter(); err != nil {
					t.Fatal(err)
				}
				notes := v.Notes()
				if (len(notes) == 1 && notes[0].Kind == NoteItemLost) != tt.told {
					t.Errorf("Notes = %+v, want to be told: %v", notes, tt.told)
				}
				closeVault(t, v)
				if tt.name == "locked" {
					s.Unlock(t)
				}
				v = start(t, cfg)
				awaitState(t, v, keychain.StateReady)
				for id, key := range keys {
					checkKey(t, v, id, key)
				}
			})
		}
	}
}

// Where the item cannot be stored again, no key is accepted that would be gone
// after the restart.
func TestItemLostForGood(t *testing.T) {
	s := keyringtest.Start(t, keyringtest.Unlocked)
	s.Setenv(t)
	dir := filepath.Join(t.TempDir(), "data")
	cfg := ringConfig(t, dir)
	v := start(t, cfg)
	addEndpoint(t, v, testSlug, "")
	first := saveKey(t, v, testSlug, "", testKey)
	item := itemOf(t, dir)
	askItem(t, cfg, "delete", item, "")
	askItem(t, cfg, "set", item, "something else")
	// The folder cannot remember a new item: another folder is in the way.
	name := filepath.Join(dir, keychain.PlaceFile)
	if err := errors.Join(os.Remove(name), os.MkdirAll(filepath.Join(name, "x"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := v.SaveCredential(testSlug, "", endpoint.NewSecret("second"), endpoint.Working); err == nil || errors.Is(err, ErrKeyNeeded) {
		t.Errorf("SaveCredential = %v, want an error", err)
	}
	checkKey(t, v, first.ID, testKey)
	if n := len(v.Credentials(testSlug)); n != 1 {
		t.Errorf("%d keys, want the one from before", n)
	}
}
