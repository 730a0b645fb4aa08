package vault

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/datadir"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/settings"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// restored opens a copy of the state in a new folder, with the master key of
// another.
func restored(t *testing.T, from, backup string, keepApps bool) *Vault {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := Restore(dir, backup, keepApps); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, keychain.KeyFile), contents(t, from, keychain.KeyFile), 0o600); err != nil {
		t.Fatal(err)
	}
	return openFileMode(t, dir)
}

// A backup is whole while the state changes all the time, and has everything
// that was saved before.
func TestBackupWhileWriting(t *testing.T) {
	dir := t.TempDir()
	v, _ := withGrant(t, dir)
	stop := make(chan struct{})
	var writing sync.WaitGroup
	var mu sync.Mutex
	saved := 0
	writing.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			err := v.UpdateGrant("g1", func(tx oauth.Tx) error {
				tx.SetToken(digestOf("n", fmt.Sprint(n)), oauth.Token{Kind: oauth.RefreshToken, Expires: time.Now().Add(time.Hour), Scope: strings.Repeat("x", n%300)})
				return nil
			})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			saved = n
			mu.Unlock()
		}
	})
	for i := range 10 {
		mu.Lock()
		want := saved
		mu.Unlock()
		name := filepath.Join(t.TempDir(), "backup.db")
		if err := v.Backup(name); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(name); err != nil || datadir.OpenToOthers(info) {
			t.Errorf("the backup has mode %v, %v", info.Mode(), err)
		}
		b := restored(t, dir, name, true)
		for n := 1; n <= want; n++ {
			if _, ok, err := b.Token("g1", digestOf("n", fmt.Sprint(n))); !ok || err != nil {
				t.Fatalf("backup %d lacks token %d of %d: %v", i, n, want, err)
			}
		}
		closeVault(t, b)
	}
	close(stop)
	writing.Wait()
}

// TestRestore: servers, saved keys and settings are as they were; sign-ins end,
// unless they are asked for; what was there is kept.
func TestRestore(t *testing.T) {
	for _, keepApps := range []bool{false, true} {
		dir := t.TempDir()
		v, own := withGrant(t, dir) // the key of g1 alone
		saved := saveKey(t, v, testSlug, "", "saved key")
		addGrant(t, v, "g2", testSlug, saved.ID)
		if err := errors.Join(v.SetSetting("address", []byte("x")), v.AddSession(settings.Digest{1}, time.Now().Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(t.TempDir(), "backup.db")
		if err := v.Backup(name); err != nil {
			t.Fatal(err)
		}
		// What happens since.
		if err := errors.Join(v.DeleteGrant("g2"), v.DeleteCredential(saved.ID)); err != nil {
			t.Fatal(err)
		}
		addEndpoint(t, v, "bbbbbbbbbbbb", "")
		closeVault(t, v)
		before := contents(t, dir, stateFile)

		kept, err := Restore(dir, name, keepApps)
		if err != nil || !bytes.Equal(contents(t, filepath.Dir(kept), filepath.Base(kept)), before) {
			t.Errorf("Restore = %q, %v; want what was there under this name", kept, err)
		}
		v = openFileMode(t, dir)
		if len(v.Endpoints()) != 1 {
			t.Errorf("%d servers, want the one of the backup", len(v.Endpoints()))
		}
		checkKey(t, v, saved.ID, "saved key")
		if b, _ := v.Setting("address"); string(b) != "x" {
			t.Errorf("the setting is %q", b)
		}
		if v.HasSession(settings.Digest{1}) {
			t.Error("a browser is signed in again")
		}
		want := 0
		if keepApps {
			want = 2
		}
		checkCount(t, v, want)
		if _, err := v.Key(own); (err == nil) != keepApps {
			t.Errorf("the key of one app alone: %v", err)
		}
		if v.HasRedirect("http://127.0.0.1:1/cb") != keepApps {
			t.Errorf("an app counts as known: %v", !keepApps)
		}
		if keepApps {
			checkKey(t, v, own, testKey)
		}
		if _, ok, err := v.Token("g2", digestOf("g2", "code")); ok != keepApps || err != nil && !errors.Is(err, oauth.ErrNotFound) {
			t.Errorf("a token of an app that was disconnected is good: %v, %v", ok, err)
		}
		addGrant(t, v, "g3", testSlug, saved.ID)
		closeVault(t, v)
	}
}

// What cannot be restored changes nothing.
func TestRestoreRefuses(t *testing.T) {
	dir := t.TempDir()
	v, _ := withGrant(t, dir)
	closeVault(t, v)
	before := contents(t, dir, stateFile)
	bad := filepath.Join(t.TempDir(), "bad.db")
	for _, b := range [][]byte{nil, []byte("text"), before[:len(before)/2], bytes.Repeat([]byte("x"), 1<<16)} {
		if err := os.WriteFile(bad, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if kept, err := Restore(dir, bad, false); err == nil || kept != "" || !strings.Contains(err.Error(), bad) {
			t.Errorf("Restore of %d bytes = %q, %v; want words that name the file", len(b), kept, err)
		}
	}
	if !bytes.Equal(contents(t, dir, stateFile), before) {
		t.Error("the state was changed")
	}
	if got, want := files(t, dir), []string{keychain.KeyFile, stateFile}; !slices.Equal(got, want) {
		t.Errorf("the folder holds %v, want %v", got, want)
	}
}

// An older backup is brought up to date.
func TestRestoreOlder(t *testing.T) {
	from := older(t)
	v := restored(t, from, filepath.Join(from, stateFile), true)
	if n := len(v.Endpoints()); n != 2 {
		t.Errorf("%d servers, want two", n)
	}
	for _, c := range v.Credentials(testSlug) {
		if _, err := v.Key(c.ID); err != nil {
			t.Errorf("the key %s: %v", c.Label, err)
		}
	}
}

// TestDailyCopies: one copy a day, the last three are kept, each can be restored,
// and a damaged state displaces none.
func TestDailyCopies(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	v := open(t, Config{Dir: dir, Mode: keychain.ModeFile, Now: func() time.Time { return now }})
	path := filepath.Join(dir, stateFile)
	copied := func() []string {
		t.Helper()
		for range 3 {
			v.keepDaily()
		}
		return statefile.Copies(path)
	}
	for day := range 6 {
		if err := v.AddEndpoint(endpoint.Endpoint{Slug: fmt.Sprint("day", day), BaseURL: testBase, Name: "x"}, ""); err != nil {
			t.Fatal(err)
		}
		all := copied()
		if len(all) != min(day+1, 3) {
			t.Fatalf("on day %d the copies are %q", day, all)
		}
		last := all[len(all)-1]
		if err := os.Chtimes(last, now, now); err != nil { // as if it had been made at that time
			t.Fatal(err)
		}
		if info, _ := os.Stat(last); datadir.OpenToOthers(info) {
			t.Errorf("a copy has mode %v", info.Mode())
		}
		other := filepath.Join(t.TempDir(), "data")
		if _, err := Restore(other, last, false); err != nil {
			t.Fatal(err)
		}
		if n := len(openFileMode(t, other).Endpoints()); n != day+1 {
			t.Errorf("the copy of day %d has %d servers", day, n)
		}
		now = now.Add(25 * time.Hour)
	}
	before := statefile.Copies(path)
	closeVault(t, v)
	file := contents(t, dir, stateFile)
	file[bytes.LastIndex(file, []byte(`{"slug":"day3","base`))+10] ^= 1
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	v = open(t, Config{Dir: dir, Mode: keychain.ModeFile, Now: func() time.Time { return now }})
	if got := copied(); !slices.Equal(got, before) {
		t.Errorf("with a damaged record the copies are %q, want %q", got, before)
	}
}
