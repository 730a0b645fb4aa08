package vault

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/stored"
)

// TestDeletedEndpoint: a deleted endpoint comes back with its slug, its query and
// the owner's keys, also after a restart, and without the apps that had used it.
// After 30 days, or once it is forgotten, nothing of it is left.
func TestDeletedEndpoint(t *testing.T) {
	now := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	reopen := func(v *Vault) *Vault {
		t.Helper()
		if v != nil {
			closeVault(t, v)
		}
		return open(t, Config{Dir: dir, Mode: keychain.ModeFile, Now: func() time.Time { return now }})
	}
	v := reopen(nil)
	addEndpoint(t, v, testSlug, "token=1")
	key, own := saveKey(t, v, testSlug, "", testKey), saveKey(t, v, testSlug, "g1", "own")
	addGrant(t, v, "g1", testSlug, own.ID)
	deleted := func(want int) {
		t.Helper()
		all, err := v.DeletedEndpoints()
		if err != nil || len(all) != want {
			t.Fatalf("%d endpoints can be restored, %v, want %d", len(all), err, want)
		}
		if want > 0 && (all[0].Slug != testSlug || all[0].Name != "Example" || !all[0].Until.Equal(all[0].At.Add(stored.DeletedFor))) {
			t.Errorf("got %+v", all[0])
		}
	}
	remove := func() {
		t.Helper()
		if err := v.DeleteEndpoint(testSlug); err != nil {
			t.Fatal(err)
		}
	}
	deleted(0)
	remove()
	deleted(1)
	if _, ok := v.Endpoint(testSlug); ok {
		t.Error("the endpoint is still there")
	}
	if _, err := v.Key(key.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("its key: %v, want ErrNotFound", err)
	}

	v = reopen(v)
	deleted(1)
	if err := v.RestoreDeleted("bbbbbbbbbbbb"); !errors.Is(err, ErrNotFound) {
		t.Errorf("restoring another: %v, want ErrNotFound", err)
	}
	if err := v.RestoreDeleted(testSlug); err != nil {
		t.Fatal(err)
	}
	deleted(0)
	for range 2 {
		checkKey(t, v, key.ID, testKey)
		if u, err := v.UpstreamURL(testSlug); err != nil || u.RawQuery != "token=1" {
			t.Errorf("the address is %v, %v", u, err)
		}
		if _, ok := v.Credential(own.ID); ok {
			t.Error("the key of an app came back")
		}
		if _, err := v.Grant("g1"); err == nil {
			t.Error("the app came back")
		}
		v = reopen(v)
	}

	remove()
	addEndpoint(t, v, testSlug, "")
	if err := v.RestoreDeleted(testSlug); !errors.Is(err, ErrExists) {
		t.Errorf("restoring where the slug is taken: %v, want ErrExists", err)
	}
	remove() // it takes the place of the other one
	if err := v.RestoreDeleted(testSlug); err != nil {
		t.Fatal(err)
	}
	if n := len(v.Credentials(testSlug)); n != 0 {
		t.Errorf("it has %d keys of the one before", n)
	}
	saveKey(t, v, testSlug, "", testKey)
	remove()
	now = now.Add(stored.DeletedFor - time.Minute)
	if err := v.Sweep(now); err != nil {
		t.Fatal(err)
	}
	deleted(1)
	now = now.Add(2 * time.Minute)
	deleted(0)
	if err := v.RestoreDeleted(testSlug); !errors.Is(err, ErrNotFound) {
		t.Errorf("restoring after 30 days: %v, want ErrNotFound", err)
	}
	if err := v.Sweep(now); err != nil {
		t.Fatal(err)
	}
	closeVault(t, v)
	edit(t, dir, func(tx *bbolt.Tx) error {
		if n := tx.Bucket([]byte("deleted")).Inspect().KeyN; n != 0 {
			t.Errorf("%d records are left after 30 days", n)
		}
		return nil
	})
}

// TestDeletedIsSealed: what can be restored holds no key that could be read.
func TestDeletedIsSealed(t *testing.T) {
	dir := t.TempDir()
	v := openFileMode(t, dir)
	addEndpoint(t, v, testSlug, "token="+testKey)
	saveKey(t, v, testSlug, "", testKey)
	if err := v.DeleteEndpoint(testSlug); err != nil {
		t.Fatal(err)
	}
	closeVault(t, v)
	seen := 0
	edit(t, dir, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("deleted")).ForEach(func(k, b []byte) error {
			seen++
			if bytes.Contains(b, []byte(testKey)) {
				t.Errorf("the record of %s has the key", k)
			}
			return nil
		})
	})
	if seen != 1 {
		t.Errorf("%d records were looked at, want 1", seen)
	}
}

// deleterProcess deletes and restores an endpoint until it is killed.
func deleterProcess(dir string) error {
	v, err := Open(Config{Dir: dir, Mode: keychain.ModeFile})
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		do := v.DeleteEndpoint
		if _, ok := v.Endpoint(testSlug); !ok {
			do = v.RestoreDeleted
		}
		if err := do(testSlug); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// TestKilledWhileDeleting kills a program that deletes and restores. Afterwards
// the endpoint is in one place, with its key.
func TestKilledWhileDeleting(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	v := openFileMode(t, dir)
	addEndpoint(t, v, testSlug, "token=1")
	key := saveKey(t, v, testSlug, "", testKey)
	closeVault(t, v)
	for range 20 {
		killed(t, exe, "deleter", dir)
		v := openFileMode(t, dir)
		_, there := v.Endpoint(testSlug)
		all, err := v.DeletedEndpoints()
		if err != nil || there == (len(all) == 1) {
			t.Fatalf("it is there: %v, and can be restored: %d, %v", there, len(all), err)
		}
		if !there {
			if err := v.RestoreDeleted(testSlug); err != nil {
				t.Fatal(err)
			}
		}
		checkKey(t, v, key.ID, testKey)
		closeVault(t, v)
	}
}
