package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/shimtest/keyringtest"
)

// A ringReply is what the keychain's child answers.
type ringReply struct{ Status, Key string }

// sharedItem is the item that all data folders of earlier versions shared.
const sharedItem = "master key"

// itemOf is the item of a data folder, by its file. It is sharedItem if there is
// none.
func itemOf(t *testing.T, dir string) string {
	t.Helper()
	var place struct{ Item string }
	b, err := os.ReadFile(filepath.Join(dir, keychain.PlaceFile))
	if errors.Is(err, os.ErrNotExist) {
		return sharedItem
	}
	if err == nil {
		err = json.Unmarshal(b, &place)
	}
	if err != nil || place.Item == "" {
		t.Fatalf("%s holds %q, %v; want the id of an item", keychain.PlaceFile, b, err)
	}
	return sharedItem + " " + place.Item
}

// askRing asks the session's keychain for the item of a data folder.
func askRing(t *testing.T, cfg Config, op, key string) ringReply {
	t.Helper()
	return askItem(t, cfg, op, itemOf(t, cfg.Dir), key)
}

// askItem asks the session's keychain in a child process of the test, as the
// vault does in its own.
func askItem(t *testing.T, cfg Config, op, item, key string) (r ringReply) {
	t.Helper()
	cmd := exec.Command(cfg.Helper[0], cfg.Helper[1:]...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		json.NewEncoder(stdin).Encode(map[string]string{"op": op, "account": item, "key": key}),
		json.NewDecoder(stdout).Decode(&r),
		stdin.Close(),
		cmd.Wait(),
	)
	if err != nil {
		t.Fatalf("%s: %v", op, err)
	}
	return r
}

// Close ends a child that hangs. Package keychain tests its timeout.
func TestChildEnds(t *testing.T) {
	s := keyringtest.Start(t, keyringtest.Unlocked)
	s.Setenv(t)
	cfg := ringConfig(t, t.TempDir())
	s.Hang(t)

	v := start(t, cfg)
	eventually(t, "a child", func() bool { return children(t, cfg) == 1 })
	closeVault(t, v)
	eventually(t, "no child after Close", func() bool { return children(t, cfg) == 0 })
}

// children counts the helper processes of a test.
func children(t *testing.T, cfg Config) (n int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		b, _ := os.ReadFile(name)
		if bytes.Contains(b, []byte(notes(cfg))) {
			n++
		}
	}
	return n
}

// Without their master key, records read "key needed". They work again when the
// key returns, even if another one was made meanwhile.
func TestMasterKeyLostAndFound(t *testing.T) {
	s := keyringtest.Start(t, keyringtest.Unlocked)
	s.Setenv(t)
	dir, id := withState(t)
	cfg := ringConfig(t, dir)
	old := askRing(t, cfg, "get", "")
	deleteItem := func() {
		t.Helper()
		if a := askRing(t, cfg, "delete", ""); a.Status != "missing" {
			t.Fatalf("delete = %+v", a)
		}
	}
	deleteItem()

	v := start(t, cfg)
	awaitState(t, v, keychain.StateReady)
	if c, _ := v.Credential(id); c.State != endpoint.KeyNeeded {
		t.Errorf("without its master key the credential reads %q, want %q", c.State, endpoint.KeyNeeded)
	}
	if _, err := v.Key(id); !errors.Is(err, ErrKeyNeeded) {
		t.Errorf("Key: %v, want ErrKeyNeeded", err)
	}
	second := saveKey(t, v, testSlug, "", "second")
	if _, err := v.Key(id); !errors.Is(err, ErrKeyNeeded) {
		t.Errorf("Key under the new master key: %v, want ErrKeyNeeded", err)
	}
	closeVault(t, v)

	deleteItem()
	if a := askRing(t, cfg, "set", old.Key); a.Status != "found" {
		t.Fatalf("set = %+v", a)
	}
	v = start(t, cfg)
	awaitState(t, v, keychain.StateReady)
	checkKey(t, v, id, testKey)
	if c, _ := v.Credential(id); c.State != endpoint.Working {
		t.Errorf("with its master key the credential reads %q, want %q", c.State, endpoint.Working)
	}
	if c, _ := v.Credential(second.ID); c.State != endpoint.KeyNeeded {
		t.Errorf("the second credential reads %q, want %q", c.State, endpoint.KeyNeeded)
	}
}

// An item that is not a master key is left alone.
func TestForeignItem(t *testing.T) {
	keyringtest.Start(t, keyringtest.Unlocked).Setenv(t)
	cfg := ringConfig(t, t.TempDir())
	place := []byte(`{"item":"AAAAAAAAAAAAAAAAAAAAAAAAAA"}`)
	if err := os.WriteFile(filepath.Join(cfg.Dir, keychain.PlaceFile), place, 0o600); err != nil {
		t.Fatal(err)
	}
	if a := askRing(t, cfg, "set", "something else"); a.Status != "found" {
		t.Fatalf("set = %+v", a)
	}
	v := start(t, cfg)
	if k := awaitState(t, v, keychain.StateLocked); k.Words != fmt.Sprintf(keychain.TextBadItem, "master key AAAAAAAAAAAAAAAAAAAAAAAAAA") {
		t.Errorf("words %q do not say what is wrong", k.Words)
	}
	addEndpoint(t, v, testSlug, "")
	if _, err := v.SaveCredential(testSlug, "", endpoint.NewSecret("k"), endpoint.Working); !errors.Is(err, ErrLocked) {
		t.Errorf("SaveCredential: %v, want ErrLocked", err)
	}
	if a := askRing(t, cfg, "get", ""); a.Key != "something else" {
		t.Error("the foreign item was changed")
	}
}
