package vault

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/shimtest/keyringtest"
)

// ringConfig is a vault on the session's keychain, in a child process.
func ringConfig(t *testing.T, dir string) Config {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Dir: dir,
		// With the race detector, every child would sleep for a second at its
		// end.
		Helper:    []string{"/usr/bin/env", "GORACE=atexit_sleep_ms=0", exe, "keychain-helper", filepath.Join(t.TempDir(), "notes")},
		PollEvery: 30 * time.Millisecond,
	}
}

// notes is the file in which the children record what they are asked.
func notes(cfg Config) string { return cfg.Helper[len(cfg.Helper)-1] }

// asked counts what the children were asked.
func asked(t *testing.T, cfg Config, op string) int {
	t.Helper()
	b, err := os.ReadFile(notes(cfg))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte(`"op":"`+op+`"`))
}

func start(t *testing.T, cfg Config) *Vault {
	t.Helper()
	v := open(t, cfg)
	v.Start(t.Context())
	return v
}

func awaitState(t *testing.T, v *Vault, want keychain.State) keychain.Status {
	t.Helper()
	eventually(t, "keychain "+string(want), func() bool { return v.Keychain().State == want })
	return v.Keychain()
}

// withState makes a data folder with one endpoint and one key. Its master key
// is in the session's keychain.
func withState(t *testing.T) (dir, credential string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	v := start(t, ringConfig(t, dir))
	addEndpoint(t, v, testSlug, "")
	c := saveKey(t, v, testSlug, "", testKey)
	closeVault(t, v)
	return dir, c.ID
}

func TestL06Unlocked(t *testing.T) {
	s := keyringtest.Start(t, keyringtest.Unlocked)
	s.Setenv(t)
	dir := filepath.Join(t.TempDir(), "data")
	cfg := ringConfig(t, dir)
	v := start(t, cfg)
	awaitState(t, v, keychain.StateReady)
	addEndpoint(t, v, testSlug, "")
	if got := askRing(t, cfg, "get", "").Status; got != "missing" {
		t.Errorf("before anything is sealed, the keychain answers %q, want missing", got)
	}
	c := saveKey(t, v, testSlug, "", testKey)
	closeVault(t, v)

	item := askRing(t, cfg, "get", "")
	if raw, err := base64.StdEncoding.DecodeString(item.Key); err != nil || len(raw) != 32 {
		t.Errorf("the item in the keychain has %d bytes, %v", len(raw), err)
	}
	for _, name := range files(t, dir) {
		for _, secret := range []string{testKey, item.Key} {
			if bytes.Contains(contents(t, dir, name), []byte(secret)) {
				t.Errorf("%s contains a secret in clear", name)
			}
		}
	}
	v = start(t, cfg)
	k := awaitState(t, v, keychain.StateReady)
	if k.Mode != keychain.ModeOS || k.CanKeep || k.Words == "" {
		t.Errorf("Keychain() = %+v", k)
	}
	checkKey(t, v, c.ID, testKey)
}

// A program that has just started does not refuse the first key.
func TestFirstKeyWaitsForAnswer(t *testing.T) {
	keyringtest.Start(t, keyringtest.Unlocked).Setenv(t)
	v := start(t, ringConfig(t, t.TempDir()))
	addEndpoint(t, v, testSlug, "token=1")
	checkKey(t, v, saveKey(t, v, testSlug, "", testKey).ID, testKey)
}

func TestL06Locked(t *testing.T) {
	s := keyringtest.Start(t, keyringtest.Unlocked)
	s.Setenv(t)
	dir, id := withState(t)
	s.Lock(t)

	cfg := ringConfig(t, dir)
	v := start(t, cfg)
	awaitState(t, v, keychain.StateLocked)
	if got := len(v.Endpoints()); got != 1 {
		t.Errorf("while locked %d endpoints are listed, want 1", got)
	}
	if _, err := v.Key(id); !errors.Is(err, ErrLocked) {
		t.Errorf("Key while locked: %v, want ErrLocked", err)
	}
	if c, _ := v.Credential(id); c.State != endpoint.Working {
		t.Errorf("while locked the credential reads %q, want %q", c.State, endpoint.Working)
	}
	if _, err := v.SaveCredential(testSlug, "", endpoint.NewSecret("k"), endpoint.Working); !errors.Is(err, ErrLocked) {
		t.Errorf("SaveCredential while locked: %v, want ErrLocked", err)
	}

	// The prompt cannot be shown, which counts as dismissed: it does not come
	// back automatically.
	before := asked(t, cfg, "probe")
	eventually(t, "ten more looks", func() bool { return asked(t, cfg, "probe") >= before+10 })
	if got := asked(t, cfg, "get"); got != 1 {
		t.Errorf("a locked keychain was asked %d times, want once", got)
	}
	v.Unlock()
	eventually(t, "a second question", func() bool { return asked(t, cfg, "get") == 2 })

	s.Unlock(t)
	awaitState(t, v, keychain.StateReady)
	checkKey(t, v, id, testKey)

	looks := asked(t, cfg, "probe")
	time.Sleep(10 * cfg.PollEvery) // time for ten more looks, which must not come
	if got := asked(t, cfg, "probe"); got != looks {
		t.Errorf("%d looks at a keychain that has answered, want none", got-looks)
	}
}

// On a first run, a locked keychain is waited for and never replaced.
func TestL06LockedFirstRun(t *testing.T) {
	s := keyringtest.Start(t, keyringtest.Locked)
	s.Setenv(t)
	dir := filepath.Join(t.TempDir(), "data")
	v := start(t, ringConfig(t, dir))
	addEndpoint(t, v, testSlug, "")
	awaitState(t, v, keychain.StateLocked)
	if got, want := files(t, dir), []string{stateFile}; !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	if _, err := v.SaveCredential(testSlug, "", endpoint.NewSecret(testKey), endpoint.Working); !errors.Is(err, ErrLocked) {
		t.Errorf("SaveCredential while locked: %v, want ErrLocked", err)
	}
	s.Unlock(t)
	awaitState(t, v, keychain.StateReady)
	checkKey(t, v, saveKey(t, v, testSlug, "", testKey).ID, testKey)
}

// The keychain locks itself again between the start and the first key.
func TestLockedBeforeFirstKey(t *testing.T) {
	s := keyringtest.Start(t, keyringtest.Unlocked)
	s.Setenv(t)
	v := start(t, ringConfig(t, t.TempDir()))
	addEndpoint(t, v, testSlug, "")
	awaitState(t, v, keychain.StateReady)
	s.Lock(t)
	if _, err := v.SaveCredential(testSlug, "", endpoint.NewSecret(testKey), endpoint.Working); !errors.Is(err, ErrLocked) {
		t.Errorf("SaveCredential while locked: %v, want ErrLocked", err)
	}
	awaitState(t, v, keychain.StateLocked)
	s.Unlock(t)
	awaitState(t, v, keychain.StateReady)
	checkKey(t, v, saveKey(t, v, testSlug, "", testKey).ID, testKey)
}

func TestL06NotSetUp(t *testing.T) {
	keyringtest.Start(t, keyringtest.NotSetUp).Setenv(t)
	dir := filepath.Join(t.TempDir(), "data")
	v := start(t, ringConfig(t, dir))
	k := awaitState(t, v, keychain.StateNotSetUp)
	if !strings.Contains(k.Words, "Create one") {
		t.Errorf("words %q do not say what to do", k.Words)
	}
	addEndpoint(t, v, testSlug, "")
	if _, err := v.SaveCredential(testSlug, "", endpoint.NewSecret(testKey), endpoint.Working); !errors.Is(err, ErrLocked) {
		t.Errorf("SaveCredential: %v, want ErrLocked", err)
	}
	if got, want := files(t, dir), []string{stateFile}; !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
}

func TestL06AbsentFirstRun(t *testing.T) {
	for _, state := range []keyringtest.State{keyringtest.Absent, keyringtest.NoBus} {
		t.Run(string(state), func(t *testing.T) {
			keyringtest.Start(t, state).Setenv(t)
			dir := filepath.Join(t.TempDir(), "data")
			v := start(t, ringConfig(t, dir))
			addEndpoint(t, v, testSlug, "token=1")
			c := saveKey(t, v, testSlug, "", testKey)
			checkKey(t, v, c.ID, testKey)
			k := v.Keychain()
			if k.State != keychain.StateMemory || k.CanKeep || k.Words != keychain.TextNoKeychain {
				t.Errorf("Keychain() = %+v", k)
			}
			closeVault(t, v)
			if got := files(t, dir); len(got) != 0 {
				t.Errorf("a run that keeps nothing left %v", got)
			}
		})
	}
}

// If there is state, a keychain that cannot be reached is waited for.
func TestL06AbsentLater(t *testing.T) {
	s := keyringtest.Start(t, keyringtest.Unlocked)
	s.Setenv(t)
	dir, id := withState(t)
	s.Stop(t)
	v := start(t, ringConfig(t, dir))
	awaitState(t, v, keychain.StateUnavailable)
	if _, err := v.Key(id); !errors.Is(err, ErrLocked) {
		t.Errorf("Key: %v, want ErrLocked", err)
	}
	if err := v.Keep(); err == nil {
		t.Error("Keep succeeds in a run that keeps everything")
	}
	s.Appear(t)
	awaitState(t, v, keychain.StateReady)
	checkKey(t, v, id, testKey)
}

func TestL06Keep(t *testing.T) {
	for _, tt := range []struct {
		name string
		item bool // the keychain that appears has a master key already
	}{{"empty keychain", false}, {"keychain with another master key", true}} {
		t.Run(tt.name, func(t *testing.T) {
			s := keyringtest.Start(t, keyringtest.Absent)
			s.Setenv(t)
			dir := filepath.Join(t.TempDir(), "data")
			cfg := ringConfig(t, dir)
			v := start(t, cfg)
			addEndpoint(t, v, testSlug, "token=1")
			c := saveKey(t, v, testSlug, "", testKey)
			addGrant(t, v, "g1", testSlug, c.ID)
			if err := v.SaveSecret("ngrok", endpoint.NewSecret(testToken)); err != nil {
				t.Fatal(err)
			}
			if v.Keychain().CanKeep {
				t.Error("CanKeep without a keychain")
			}

			s.Appear(t)
			other := base64.StdEncoding.EncodeToString([]byte("a master key of another program."))
			if tt.item {
				if a := askRing(t, cfg, "set", other); a.Status != "found" {
					t.Fatalf("set: %+v", a)
				}
			}
			eventually(t, "CanKeep", func() bool { return v.Keychain().CanKeep })
			if err := v.Keep(); err != nil {
				t.Fatal(err)
			}
			checkKept := func(v *Vault) {
				t.Helper()
				awaitState(t, v, keychain.StateReady)
				checkKey(t, v, c.ID, testKey)
				checkSecret(t, v, testToken)
				if u, err := v.UpstreamURL(testSlug); err != nil || u.RawQuery != "token=1" {
					t.Errorf("UpstreamURL: %v", err)
				}
				if _, err := v.Grant("g1"); err != nil {
					t.Errorf("Grant: %v", err)
				}
			}
			checkKept(v)
			// Changes saved after Keep are kept as well.
			addGrant(t, v, "g2", testSlug, c.ID)
			closeVault(t, v)
			if got, want := files(t, dir), []string{keychain.PlaceFile, stateFile}; !slices.Equal(got, want) {
				t.Errorf("files %v, want %v", got, want)
			}
			v = start(t, cfg)
			checkKept(v)
			if _, err := v.Grant("g2"); err != nil {
				t.Errorf("grant made after Keep: %v", err)
			}
			if tt.item && askItem(t, cfg, "get", sharedItem, "").Key != other {
				t.Error("the master key that was in the keychain was replaced")
			}
		})
	}
}

// TestKeepInFile: where there is no keychain, what a run would lose is kept with
// the master key in a file, from then on and in later runs.
func TestKeepInFile(t *testing.T) {
	s := keyringtest.Start(t, keyringtest.Absent)
	s.Setenv(t)
	dir := filepath.Join(t.TempDir(), "data")
	cfg := ringConfig(t, dir)
	v := start(t, cfg)
	addEndpoint(t, v, testSlug, "token=1")
	c := saveKey(t, v, testSlug, "", testKey)
	addGrant(t, v, "g1", testSlug, c.ID)
	if err := v.KeepInFile(); err != nil {
		t.Fatal(err)
	}
	if err := v.KeepInFile(); !errors.Is(err, keychain.ErrNothingToKeep) {
		t.Errorf("KeepInFile again: %v, want ErrNothingToKeep", err)
	}
	for range 2 {
		awaitState(t, v, keychain.StateFile)
		if k := v.Keychain(); k.Mode != keychain.ModeFile {
			t.Errorf("Keychain() = %+v", k)
		}
		checkKey(t, v, c.ID, testKey)
		if u, err := v.UpstreamURL(testSlug); err != nil || u.RawQuery != "token=1" {
			t.Errorf("UpstreamURL: %v", err)
		}
		if _, err := v.Grant("g1"); err != nil {
			t.Errorf("Grant: %v", err)
		}
		saveKey(t, v, testSlug, "", "another")
		closeVault(t, v)
		if got := files(t, dir); !slices.Contains(got, keychain.KeyFile) || !slices.Contains(got, stateFile) {
			t.Errorf("files %v, want the master key and the state among them", got)
		}
		v = start(t, cfg)
	}

	// A keychain that appears changes nothing.
	s.Appear(t)
	awaitState(t, v, keychain.StateFile)
	checkKey(t, v, c.ID, testKey)
}

// A service that hangs blocks nothing, and is waited for.
func TestL06Hangs(t *testing.T) {
	s := keyringtest.Start(t, keyringtest.Unlocked)
	s.Setenv(t)
	dir, id := withState(t)
	s.Hang(t)
	begin := time.Now()
	v := start(t, ringConfig(t, dir))
	if _, err := v.Key(id); !errors.Is(err, ErrLocked) {
		t.Errorf("Key: %v, want ErrLocked", err)
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("Open, Start and Key took %v with a keychain that hangs", took)
	}
	if got := v.Keychain().State; got != keychain.StateWaiting {
		t.Errorf("state %q, want %q", got, keychain.StateWaiting)
	}
	s.Resume(t)
	awaitState(t, v, keychain.StateReady)
	checkKey(t, v, id, testKey)
}

// A keychain that hangs on a first run isn't replaced either.
func TestL06HangsFirstRun(t *testing.T) {
	testenv.Slow(t)
	s := keyringtest.Start(t, keyringtest.Unlocked)
	s.Setenv(t)
	s.Hang(t)
	dir := filepath.Join(t.TempDir(), "data")
	v := start(t, ringConfig(t, dir))
	addEndpoint(t, v, testSlug, "")
	if got, want := files(t, dir), []string{stateFile}; !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	eventually(t, "words about it", func() bool { return strings.Contains(v.Keychain().Words, "does not answer") })
	s.Resume(t)
	awaitState(t, v, keychain.StateReady)
	checkKey(t, v, saveKey(t, v, testSlug, "", testKey).ID, testKey)
}

// The desktop's prompt comes once. After it was dismissed, only Unlock brings
// it back.
func TestL06Prompt(t *testing.T) {
	s := keyringtest.Start(t, keyringtest.Unlocked)
	s.Setenv(t)
	dir, id := withState(t)
	s.Lock(t)
	prompter := s.Prompter(t)
	cfg := ringConfig(t, dir)
	v := start(t, cfg)
	eventually(t, "a prompt", func() bool { return prompter.Shown() == 1 })
	awaitState(t, v, keychain.StateLocked)
	v.Unlock() // the prompt is there already
	moreLooks := func() {
		t.Helper()
		before := asked(t, cfg, "probe")
		eventually(t, "ten more looks", func() bool { return asked(t, cfg, "probe") >= before+10 })
	}
	moreLooks()
	prompter.Dismiss(t)
	moreLooks()
	if got := prompter.Shown(); got != 1 {
		t.Fatalf("%d prompts, want one that does not come back automatically", got)
	}
	v.Unlock()
	eventually(t, "the prompt that Unlock asks for", func() bool { return prompter.Shown() == 2 })

	// Unlocked by another program while the prompt waits.
	s.Unlock(t)
	awaitState(t, v, keychain.StateReady)
	checkKey(t, v, id, testKey)
	eventually(t, "no child that still waits", func() bool { return children(t, cfg) == 0 })
}

// TestL08Destroy: the master key is removed from the keychain together with the
// files, with or without an open vault.
func TestL08Destroy(t *testing.T) {
	for _, tt := range []struct {
		name    string
		destroy func(cfg Config) ([]string, error)
	}{
		{"open", func(cfg Config) ([]string, error) {
			v := start(t, cfg)
			awaitState(t, v, keychain.StateReady)
			left, err := v.Destroy()
			if _, err := v.Grants(); !errors.Is(err, ErrClosed) {
				t.Errorf("Grants after Destroy: %v, want ErrClosed", err)
			}
			if n := len(v.Endpoints()); n != 0 {
				t.Errorf("after Destroy %d endpoints are in memory", n)
			}
			return left, err
		}},
		{"closed", Destroy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keyringtest.Start(t, keyringtest.Unlocked).Setenv(t)
			dir, _ := withState(t)
			cfg := ringConfig(t, dir)
			item := itemOf(t, dir)
			left, err := tt.destroy(cfg)
			if err != nil || len(left) != 0 {
				t.Errorf("Destroy = %q, %v", left, err)
			}
			if got := files(t, dir); len(got) != 0 {
				t.Errorf("left are the files %v", got)
			}
			if got := askItem(t, cfg, "get", item, "").Status; got != "missing" {
				t.Errorf("the keychain answers %q, want missing", got)
			}
		})
	}
}

// TestDestroyLeavesWords: what cannot be reached is named, and the files are
// deleted anyway.
func TestDestroyLeavesWords(t *testing.T) {
	for _, state := range []string{"locked", "gone"} {
		t.Run(state, func(t *testing.T) {
			s := keyringtest.Start(t, keyringtest.Unlocked)
			s.Setenv(t)
			dir, _ := withState(t)
			if state == "locked" {
				s.Lock(t)
			} else {
				s.Stop(t)
			}
			left, err := Destroy(ringConfig(t, dir))
			if err != nil || len(left) != 1 || !strings.Contains(left[0], "Delete it there") {
				t.Errorf("Destroy = %q, %v, want words about the keychain", left, err)
			}
			if got := files(t, dir); len(got) != 0 {
				t.Errorf("left are the files %v", got)
			}
		})
	}
}

// With the master key in a file, the keychain is not ours and stays untouched.
func TestDestroyLeavesKeychainOfOthers(t *testing.T) {
	keyringtest.Start(t, keyringtest.Unlocked).Setenv(t)
	other, _ := withState(t)
	dir := filepath.Join(t.TempDir(), "data")
	cfg := ringConfig(t, dir)
	cfg.Mode = keychain.ModeFile
	v := start(t, cfg)
	addEndpoint(t, v, testSlug, "")
	saveKey(t, v, testSlug, "", testKey)
	closeVault(t, v)
	cfg.Mode = ""
	if left, err := Destroy(cfg); err != nil || len(left) != 0 {
		t.Errorf("Destroy = %q, %v", left, err)
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("left are the files %v", got)
	}
	if got := askItem(t, cfg, "get", itemOf(t, other), "").Status; got != "found" {
		t.Errorf("the keychain answers %q, want found", got)
	}
}
