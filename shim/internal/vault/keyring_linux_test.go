package vault

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	keyringtest "github.com/key2oauth/key2oauth/shim/shimtest/keyring"
)

// A child that hangs is ended at its timeout, and with Close.
func TestChildEnds(t *testing.T) {
	s := keyringtest.Start(t, keyringtest.Unlocked)
	s.Setenv(t)
	cfg := ringConfig(t, t.TempDir())
	ring := keyring{helper: cfg.Helper}
	s.Hang(t)
	begin := time.Now()
	if a := ring.call(t.Context(), 300*time.Millisecond, opGet, ""); a.Status != ringSlow {
		t.Errorf("call = %+v, want %q", a, ringSlow)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("a call with a timeout of 300ms took %v", took)
	}
	if got := children(t, cfg); got != 0 {
		t.Errorf("%d children are left", got)
	}

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

// The child ends when nobody holds its standard input any more, as after a
// kill of the program.
func TestHelperEndsWithParent(t *testing.T) {
	s := keyringtest.Start(t, keyringtest.Unlocked)
	s.Setenv(t)
	s.Hang(t)
	stdin, parent, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	var out bytes.Buffer
	go func() { done <- RunHelper(stdin, &out) }()
	if _, err := parent.WriteString(`{"op":"get"}` + "\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		t.Fatalf("RunHelper returned %v while the keychain hangs", err)
	case <-time.After(100 * time.Millisecond):
	}
	parent.Close()
	if err := <-done; err == nil || out.Len() > 0 {
		t.Errorf("RunHelper = %v, wrote %q; want an error and nothing", err, out.String())
	}
	s.Resume(t)
}

// A master key that is lost makes its records read "key needed"; they revive
// when it returns, even if another one was made meanwhile.
func TestMasterKeyLostAndFound(t *testing.T) {
	s := keyringtest.Start(t, keyringtest.Unlocked)
	s.Setenv(t)
	dir, id := withState(t)
	cfg := ringConfig(t, dir)
	ring := keyring{helper: cfg.Helper}
	old := ring.call(t.Context(), time.Minute, opGet, "")
	deleteItem := func() {
		t.Helper()
		if a := ring.call(t.Context(), time.Minute, opDelete, ""); a.Status != ringMissing {
			t.Fatalf("delete = %+v", a)
		}
	}
	deleteItem()

	v := start(t, cfg)
	awaitState(t, v, StateReady)
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
	if a := ring.call(t.Context(), time.Minute, opSet, old.key.Reveal()); a.Status != ringFound {
		t.Fatalf("set = %+v", a)
	}
	v = start(t, cfg)
	awaitState(t, v, StateReady)
	checkKey(t, v, id, testKey)
	if c, _ := v.Credential(id); c.State != endpoint.Working {
		t.Errorf("with its master key the credential reads %q, want %q", c.State, endpoint.Working)
	}
	if c, _ := v.Credential(second.ID); c.State != endpoint.KeyNeeded {
		t.Errorf("the second credential reads %q, want %q", c.State, endpoint.KeyNeeded)
	}
}

// An item that is no master key is left alone.
func TestForeignItem(t *testing.T) {
	keyringtest.Start(t, keyringtest.Unlocked).Setenv(t)
	cfg := ringConfig(t, t.TempDir())
	ring := keyring{helper: cfg.Helper}
	if a := ring.call(context.Background(), time.Minute, opSet, "something else"); a.Status != ringFound {
		t.Fatalf("set = %+v", a)
	}
	v := start(t, cfg)
	if k := awaitState(t, v, StateLocked); k.Words != badItem {
		t.Errorf("words %q, want %q", k.Words, badItem)
	}
	addEndpoint(t, v, testSlug, "")
	if _, err := v.SaveCredential(testSlug, "", endpoint.NewSecret("k"), endpoint.Working); !errors.Is(err, ErrLocked) {
		t.Errorf("SaveCredential: %v, want ErrLocked", err)
	}
	if a := ring.call(t.Context(), time.Minute, opGet, ""); a.key.Reveal() != "something else" {
		t.Error("the foreign item was changed")
	}
}

// Without a bus, no D-Bus library is called: it would start a bus of its own
// and leave it behind.
func TestNoBusIsStarted(t *testing.T) {
	dir := t.TempDir()
	marker := filepath.Join(dir, "launched")
	script := "#!/bin/sh\ntouch " + marker + "\n"
	if err := os.WriteFile(filepath.Join(dir, "dbus-launch"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("XDG_RUNTIME_DIR", dir)
	for _, address := range []string{"", "autolaunch:"} {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
		if busAddress(os.Getenv) != "" {
			testenv.Skip(t, "needs to have no session bus at its usual place")
		}
		if r := serveRing(ringRequest{Op: opGet}); r.Status != ringUnavailable {
			t.Errorf("with address %q the keychain answers %+v, want %q", address, r, ringUnavailable)
		}
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("dbus-launch was started")
	}
}

func TestChildEnv(t *testing.T) {
	have := map[string]string{
		"DBUS_SESSION_BUS_ADDRESS": "unix:path=/x", "HOME": "/h", "NGROK_AUTHTOKEN": "secret", "KEY2OAUTH_X": "y",
	}
	got, ok := childEnv(func(name string) string { return have[name] })
	if want := []string{"DBUS_SESSION_BUS_ADDRESS=unix:path=/x", "HOME=/h"}; !ok || !slices.Equal(got, want) {
		t.Errorf("childEnv = %v, %v, want %v", got, ok, want)
	}
}
