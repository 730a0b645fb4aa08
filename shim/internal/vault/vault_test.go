package vault

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// edit changes a closed state file, as a person with an editor could.
func edit(t *testing.T, dir string, fn func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, stateFile), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Update(fn); err != nil {
		t.Fatal(err)
	}
}

// TestNoEditMovesKey edits the file in every way that could send a key to
// another place, and proves that no key opens afterward.
func TestNoEditMovesKey(t *testing.T) {
	const slugA, slugB = "aaaaaaaaaaaa", "bbbbbbbbbbbb"
	replace := func(tx *bbolt.Tx, bucket []byte, key, old, new string) error {
		b, err := records.GetBytes(tx, bucket, []byte(key))
		changed := bytes.ReplaceAll(b, []byte(old), []byte(new))
		if err != nil || bytes.Equal(b, changed) {
			return fmt.Errorf("%q has no %q, %v", b, old, err)
		}
		return records.PutBytes(tx, bucket, []byte(key), changed) // who edits a file makes the checksum too
	}
	swap := func(tx *bbolt.Tx, x, y []byte) error {
		bx, err := records.GetBytes(tx, bucketSealed, x)
		by, err2 := records.GetBytes(tx, bucketSealed, y)
		bx, by = bytes.Clone(bx), bytes.Clone(by)
		return errors.Join(err, err2, records.PutBytes(tx, bucketSealed, x, by), records.PutBytes(tx, bucketSealed, y, bx))
	}
	for _, tt := range []struct {
		name string
		edit func(tx *bbolt.Tx, a, b string) error
		both bool // whether the key of B must stay closed too
	}{
		{"two sealed keys swapped", func(tx *bbolt.Tx, a, b string) error {
			return swap(tx, sealedKey(kindKey, a), sealedKey(kindKey, b))
		}, true},
		{"two sealed queries swapped", func(tx *bbolt.Tx, a, b string) error {
			return swap(tx, sealedKey(kindQuery, slugA), sealedKey(kindQuery, slugB))
		}, true},
		{"a key under the name of a query", func(tx *bbolt.Tx, a, b string) error {
			return putSealed(tx, kindQuery, slugA, getSealed(tx, kindKey, a))
		}, false},
		{"upstream URL", func(tx *bbolt.Tx, a, b string) error {
			return replace(tx, bucketEndpoints, slugA, "mcp.example.com", "evil.example.com")
		}, false},
		{"query dropped", func(tx *bbolt.Tx, a, b string) error {
			return replace(tx, bucketEndpoints, slugA, `"has_query":true,`, "")
		}, false},
		{"credential moved to another endpoint", func(tx *bbolt.Tx, a, b string) error {
			return replace(tx, bucketCreds, a, slugA, slugB)
		}, false},
		{"one bit", func(tx *bbolt.Tx, a, b string) error {
			sealed := getSealed(tx, kindKey, a)
			sealed[len(sealed)-1] ^= 1
			return putSealed(tx, kindKey, a, sealed)
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			v := openFileMode(t, dir)
			addEndpoint(t, v, slugA, "token=a")
			addEndpoint(t, v, slugB, "token=b")
			a := saveKey(t, v, slugA, "", "key of A").ID
			b := saveKey(t, v, slugB, "", "key of B").ID
			closeVault(t, v)

			v = openFileMode(t, dir)
			checkKey(t, v, a, "key of A")
			closeVault(t, v)

			edit(t, dir, func(tx *bbolt.Tx) error { return tt.edit(tx, a, b) })
			v = openFileMode(t, dir)
			if key, err := v.Key(a); !errors.Is(err, ErrKeyNeeded) {
				t.Errorf("the key of A opens: %q, %v", key.Reveal(), err)
			}
			if c, _ := v.Credential(a); c.State != endpoint.KeyNeeded {
				t.Errorf("the credential of A reads %q, want %q", c.State, endpoint.KeyNeeded)
			}
			if _, err := v.Key(b); (err != nil) != tt.both {
				t.Errorf("the key of B: %v", err)
			}
		})
	}
}

// A replaced, rejected or labeled key stays so over a restart.
func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	v := openFileMode(t, dir)
	addEndpoint(t, v, testSlug, "")
	a := saveKey(t, v, testSlug, "", testKey)
	b := saveKey(t, v, testSlug, "g1", "second")
	if a.Label != "key 1" || b.Label != "key 2" || b.Grant != "g1" || a.State != endpoint.Working {
		t.Errorf("saved %+v and %+v", a, b)
	}
	if _, err := v.SaveCredential("nothing", "", endpoint.NewSecret("x"), endpoint.Working); !errors.Is(err, ErrNotFound) {
		t.Errorf("SaveCredential for no endpoint: %v, want ErrNotFound", err)
	}
	for _, err := range []error{
		v.SetCredentialState(a.ID, endpoint.Rejected),
		v.LabelCredential(a.ID, "work"),
		v.ReplaceKey(b.ID, endpoint.NewSecret("third"), endpoint.Unverified),
		v.SetCredentialState(b.ID, endpoint.KeyNeeded), // derived from the master key, so it is not saved
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		checkKey(t, v, a.ID, testKey)
		checkKey(t, v, b.ID, "third")
		all := v.Credentials(testSlug)
		if len(all) != 2 || all[0].Label != "work" || all[0].State != endpoint.Rejected || all[1].State != endpoint.Unverified {
			t.Errorf("Credentials = %+v", all)
		}
		closeVault(t, v)
		v = openFileMode(t, dir)
	}

	for name, err := range map[string]error{
		"SetCredentialState": v.SetCredentialState("nothing", endpoint.Working),
		"LabelCredential":    v.LabelCredential("nothing", "x"),
		"ReplaceKey":         v.ReplaceKey("nothing", endpoint.NewSecret("x"), endpoint.Working),
		"DeleteCredential":   v.DeleteCredential("nothing"),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s of no credential: %v, want ErrNotFound", name, err)
		}
	}
	if err := v.DeleteCredential(a.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Key(a.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("Key after DeleteCredential: %v, want ErrNotFound", err)
	}
	// A label that is free again may be reused; one that is taken may not.
	if c := saveKey(t, v, testSlug, "", "x"); c.Label != "key 1" {
		t.Errorf("label %q, want %q", c.Label, "key 1")
	}
}

func TestEndpoints(t *testing.T) {
	dir := t.TempDir()
	v := openFileMode(t, dir)
	addEndpoint(t, v, testSlug, "token=a%20b&x")
	addEndpoint(t, v, "bbbbbbbbbbbb", "")
	if err := v.AddEndpoint(endpoint.Endpoint{Slug: testSlug, BaseURL: testBase, Name: "x"}, ""); !errors.Is(err, ErrExists) {
		t.Errorf("AddEndpoint of a slug that is taken: %v, want ErrExists", err)
	}
	header := endpoint.Header{Name: "X-Api-Key"}
	err := v.UpdateEndpoint(testSlug, func(e *endpoint.Endpoint) error {
		e.Name, e.Header = "Renamed", header
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	refused := errors.New("no")
	if err := v.UpdateEndpoint(testSlug, func(e *endpoint.Endpoint) error { e.Name = "x"; return refused }); !errors.Is(err, refused) {
		t.Errorf("UpdateEndpoint = %v, want the error of its function", err)
	}
	if err := v.UpdateEndpoint(testSlug, func(e *endpoint.Endpoint) error { e.BaseURL = "https://evil.example/"; return nil }); err == nil {
		t.Error("UpdateEndpoint changes the upstream URL")
	}
	for range 2 {
		e, ok := v.Endpoint(testSlug)
		if !ok || e.Name != "Renamed" || e.Header != header || !e.HasQuery || e.Created.IsZero() {
			t.Errorf("Endpoint = %+v, %v", e, ok)
		}
		if u, err := v.UpstreamURL(testSlug); err != nil || u.String() != testBase+"?token=a%20b&x" {
			t.Errorf("UpstreamURL = %v, %v", u, err)
		}
		if got := len(v.Endpoints()); got != 2 {
			t.Errorf("%d endpoints, want 2", got)
		}
		closeVault(t, v)
		if bytes.Contains(contents(t, dir, stateFile), []byte("a%20b")) {
			t.Error("the query is in the file in clear")
		}
		v = openFileMode(t, dir)
	}
	if _, err := v.UpstreamURL("nothing"); !errors.Is(err, ErrNotFound) {
		t.Errorf("UpstreamURL of no endpoint: %v, want ErrNotFound", err)
	}
}

// Changing the upstream URL deletes the keys, in the file too. Grants stay and
// work again once a key is pasted.
func TestSetUpstream(t *testing.T) {
	dir := t.TempDir()
	v := openFileMode(t, dir)
	addEndpoint(t, v, testSlug, "token=1")
	a := saveKey(t, v, testSlug, "", testKey)
	addGrant(t, v, "g1", testSlug, a.ID)
	addEndpoint(t, v, "bbbbbbbbbbbb", "")
	other := saveKey(t, v, "bbbbbbbbbbbb", "", "other")

	if err := v.SetUpstream(testSlug, "https://new.example.com/mcp", "", nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := v.Key(a.ID); !errors.Is(err, ErrKeyNeeded) {
			t.Errorf("Key: %v, want ErrKeyNeeded", err)
		}
		if c, _ := v.Credential(a.ID); c.State != endpoint.KeyNeeded {
			t.Errorf("the credential reads %q, want %q", c.State, endpoint.KeyNeeded)
		}
		if u, err := v.UpstreamURL(testSlug); err != nil || u.String() != "https://new.example.com/mcp" {
			t.Errorf("UpstreamURL = %v, %v", u, err)
		}
		if _, err := v.Grant("g1"); err != nil {
			t.Errorf("the grant is gone: %v", err)
		}
		checkKey(t, v, other.ID, "other")
		closeVault(t, v)
		v = openFileMode(t, dir)
	}
	if err := v.ReplaceKey(a.ID, endpoint.NewSecret("new"), endpoint.Working); err != nil {
		t.Fatal(err)
	}
	checkKey(t, v, a.ID, "new")
	if err := v.SetUpstream("nothing", "https://new.example.com/mcp", "", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("SetUpstream of no endpoint: %v, want ErrNotFound", err)
	}
}

// TestL08DeleteEndpoint proves that nothing of an endpoint is left: at once
// nothing that works, and nothing at all once it cannot be restored.
func TestL08DeleteEndpoint(t *testing.T) {
	dir := t.TempDir()
	v := openFileMode(t, dir)
	addEndpoint(t, v, testSlug, "token=1")
	addEndpoint(t, v, "bbbbbbbbbbbb", "")
	a := saveKey(t, v, testSlug, "", testKey)
	own := saveKey(t, v, testSlug, "g1", "own")
	b := saveKey(t, v, "bbbbbbbbbbbb", "", "other")
	addGrant(t, v, "g1", testSlug, own.ID)
	addGrant(t, v, "g2", "bbbbbbbbbbbb", b.ID)
	if err := v.DeleteEndpoint(testSlug); err != nil {
		t.Fatal(err)
	}
	if err := v.DeleteEndpoint(testSlug); !errors.Is(err, ErrNotFound) {
		t.Errorf("DeleteEndpoint again: %v, want ErrNotFound", err)
	}
	for _, id := range []string{a.ID, own.ID} {
		if _, ok := v.Credential(id); ok {
			t.Errorf("credential %s is left", id)
		}
	}
	checkKey(t, v, b.ID, "other")
	if err := v.ForgetDeleted(testSlug); err != nil {
		t.Fatal(err)
	}
	if err := v.ForgetDeleted(testSlug); !errors.Is(err, ErrNotFound) {
		t.Errorf("ForgetDeleted again: %v, want ErrNotFound", err)
	}
	closeVault(t, v)

	left := make(map[string]int)
	edit(t, dir, func(tx *bbolt.Tx) error {
		for _, b := range layout.Buckets {
			if tx.Bucket(b.Name) == nil {
				continue
			}
			left[string(b.Name)] = tx.Bucket(b.Name).Inspect().KeyN
		}
		return nil
	})
	if left["deleted"] != 0 {
		t.Errorf("%d records in deleted, want none", left["deleted"])
	}
	for _, name := range [][]byte{bucketEndpoints, bucketCreds, bucketSealed, []byte("grants"), []byte("tokens")} {
		if left[string(name)] != 1 {
			t.Errorf("%d records in %s, want 1", left[string(name)], name)
		}
	}
}

func TestSettings(t *testing.T) {
	dir := t.TempDir()
	v := openFileMode(t, dir)
	if _, ok := v.Setting("addr"); ok {
		t.Error("a setting that was never made is there")
	}
	if err := v.SetSetting("addr", []byte("127.0.0.1:7450")); err != nil {
		t.Fatal(err)
	}
	random, err := v.Random("key", 32)
	if err != nil || len(random) != 32 {
		t.Fatalf("Random = %d bytes, %v", len(random), err)
	}
	for range 2 {
		if got, ok := v.Setting("addr"); !ok || string(got) != "127.0.0.1:7450" {
			t.Errorf("Setting = %q, %v", got, ok)
		}
		if got, err := v.Random("key", 32); err != nil || !bytes.Equal(got, random) {
			t.Errorf("Random answers something else, %v", err)
		}
		closeVault(t, v)
		v = openFileMode(t, dir)
	}
	if err := v.SetSetting("addr", nil); err != nil {
		t.Fatal(err)
	}
	if _, ok := v.Setting("addr"); ok {
		t.Error("a deleted setting is there")
	}
}

func TestClosed(t *testing.T) {
	v := openFileMode(t, t.TempDir())
	addEndpoint(t, v, testSlug, "")
	closeVault(t, v)
	if err := v.AddEndpoint(endpoint.Endpoint{Slug: "x", BaseURL: testBase}, ""); !errors.Is(err, ErrClosed) {
		t.Errorf("AddEndpoint: %v, want ErrClosed", err)
	}
	if _, err := v.Grants(); !errors.Is(err, ErrClosed) {
		t.Errorf("Grants: %v, want ErrClosed", err)
	}
}

func TestChanged(t *testing.T) {
	v := openFileMode(t, t.TempDir())
	addEndpoint(t, v, testSlug, "")
	id := saveKey(t, v, testSlug, "", testKey).ID
	changed := v.Changed()
	select {
	case <-changed:
		t.Error("Changed before anything did")
	default:
	}
	if err := v.SetCredentialState(id, endpoint.Rejected); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("not Changed by a credential that was rejected")
	}
}
