package keychain

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// In mode "file" the key is made when it is first needed, and read later.
func TestFileMode(t *testing.T) {
	dir := t.TempDir()
	k, err := Open(Config{Dir: dir, Mode: ModeFile})
	if err != nil {
		t.Fatal(err)
	}
	if m, known := k.Master(); m != nil || !known || k.Status().State != StateFile {
		t.Errorf("Master = %v, %v in state %q; want known to be missing", m, known, k.Status().State)
	}
	made, err := k.Need()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, KeyFile))
	if raw, err2 := base64.StdEncoding.DecodeString(string(b)); err != nil || err2 != nil || len(raw) != 32 {
		t.Errorf("the key file has %d bytes, %v, %v", len(raw), err, err2)
	}
	k.Close()

	k, err = Open(Config{Dir: dir, Mode: ModeFile})
	if err != nil {
		t.Fatal(err)
	}
	if m, _ := k.Master(); !m.Same(made) || !m.Sealed(made.Seal(kindKey, "id", testBase, testKey)) {
		t.Error("the key file holds another master key")
	}
	k.Close()
	if left, err := k.Delete(); err != nil || len(left) > 0 {
		t.Errorf("Delete = %q, %v", left, err)
	}
	if m, _ := k.Master(); m != nil {
		t.Error("the master key is still in memory")
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("%s is left", entries[0].Name())
	}
	if _, err := k.Need(); !errors.Is(err, ErrClosed) {
		t.Errorf("Need after Close: %v, want ErrClosed", err)
	}
}

func TestMemoryMode(t *testing.T) {
	k, err := Open(Config{Dir: t.TempDir(), Mode: ModeMemory})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Need(); err != nil {
		t.Error(err)
	}
	err = k.Keep(func(*MasterKey, func()) error { panic("called") })
	if !errors.Is(err, ErrNothingToKeep) {
		t.Errorf("Keep = %v, want ErrNothingToKeep", err)
	}
}

// Without a keychain, a run that doesn't have to save anything does not wait
// for one. Any other run does.
func TestNoKeychain(t *testing.T) {
	if runtime.GOOS != "linux" {
		testenv.Skip(t, "needs a keychain that can be missing")
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
	for _, undecided := range []bool{true, false} {
		changed := make(chan struct{}, 100)
		k, err := Open(Config{
			Dir: t.TempDir(), PollEvery: time.Millisecond, Undecided: undecided,
			Keep:    func() error { t.Error("there is nothing to keep it in"); return nil },
			Changed: func() { changed <- struct{}{} },
		})
		if err != nil {
			t.Fatal(err)
		}
		k.Start(t.Context())
		want := StateUnavailable
		if undecided {
			want = StateMemory
		}
		for k.Status().State != want {
			select {
			case <-changed:
			case <-time.After(time.Minute):
				t.Fatalf("state %q, want %q", k.Status().State, want)
			}
		}
		if s := k.Status(); !strings.Contains(s.Words, map[bool]string{true: "No system keychain found", false: "Can't reach the system keychain"}[undecided]) {
			t.Errorf("Status = %+v", s)
		}
		if _, err := k.Need(); undecided != (err == nil) || err != nil && !errors.Is(err, ErrLocked) {
			t.Errorf("undecided %v: Need = %v", undecided, err)
		}
		k.Close()
	}
}
