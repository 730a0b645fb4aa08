package vault

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/settings"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// older unpacks a data folder made at olderNow by the last program with the
// first layout. It has two endpoints, one with a query; a saved key, and a
// rejected one that belongs to g2; grants with tokens (g1, g2) and with only a
// code (g3, g4); a session, a setting, an authtoken, a timeline and a call.
func older(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	packed, err := os.Open("testdata/schema1/state.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	state, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{stateFile: state, keychain.KeyFile: contents(t, "testdata/schema1", keychain.KeyFile)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var olderNow = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func openOlder(t *testing.T, dir string) *Vault {
	t.Helper()
	return open(t, Config{Dir: dir, Mode: keychain.ModeFile, Now: func() time.Time { return olderNow }})
}

// allRecords returns everything in a state file.
func allRecords(t *testing.T, dir string) map[string]string {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, stateFile), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all := make(map[string]string)
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, value []byte) error {
				all[fmt.Sprintf("%s/%q", name, k)] = string(value)
				return nil
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestOlderFile: a file of the first layout gets its index, its count and its
// checksums. Everything else in it stays the same, byte for byte, and a copy of
// what it was is kept.
func TestOlderFile(t *testing.T) {
	dir := older(t)
	before, file := allRecords(t, dir), contents(t, dir, stateFile)
	closeVault(t, openOlder(t, dir))
	after := allRecords(t, dir)
	version := `meta/"schema"`
	if n, err := strconv.Atoi(after[version]); before[version] != "1" || n != schema || err != nil {
		t.Errorf("the version was %q and is %q, want 1 and %d", before[version], after[version], schema)
	}
	before[version] = after[version]
	for k, value := range after {
		bucket, key, _ := strings.Cut(k, "/")
		for _, b := range layout.Buckets {
			if b.Checked && string(b.Name) == bucket {
				name, err := strconv.Unquote(key)
				sound, err2 := records.Check(b.Name, []byte(name), []byte(value))
				if err != nil || err2 != nil {
					t.Errorf("%s: %v, %v", k, err, err2)
				}
				after[k] = string(sound)
			}
		}
	}
	delete(after, `meta/"schema checked"`)
	copied := filepath.Join(t.TempDir(), stateFile)
	if err := os.Rename(filepath.Join(dir, stateFile+".before-schema-4"), copied); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(allRecords(t, filepath.Dir(copied)), before1(before)) {
		t.Errorf("the copy has other records than the %d bytes that it was made of", len(file))
	}
	maps.DeleteFunc(after, func(k, _ string) bool { return strings.HasPrefix(k, "due/") || strings.HasPrefix(k, "granted/") })
	if len(before) < 20 || !maps.Equal(before, after) {
		t.Errorf("the records were\n%q\nand are\n%q", before, after)
	}
	closeVault(t, openOlder(t, dir)) // the second time there is nothing to upgrade
	if got := statefile.Copies(filepath.Join(dir, stateFile)); len(got) > 0 {
		t.Errorf("without an upgrade a copy was made: %q", got)
	}
}

// before1 is what older records were, before their version was changed.
func before1(records map[string]string) map[string]string {
	all := maps.Clone(records)
	all[`meta/"schema"`] = "1"
	return all
}

// TestOlderFileWorks uses the file that TestOlderFile compares.
func TestOlderFileWorks(t *testing.T) {
	dir := older(t)
	v := openOlder(t, dir)
	keys := map[string]string{}
	for _, c := range v.Credentials(testSlug) {
		key, err := v.Key(c.ID)
		if err != nil {
			t.Errorf("the key %s: %v", c.Label, err)
		}
		keys[c.Label+" "+string(c.State)+" "+c.Grant] = key.Reveal()
	}
	want := map[string]string{"saved ok ": "canary-saved", "own rejected g2": "canary-own"}
	if !maps.Equal(keys, want) {
		t.Errorf("the keys are %q, want %q", keys, want)
	}
	if u, err := v.UpstreamURL(testSlug); err != nil || u.RawQuery != "token=canary-query" {
		t.Errorf("UpstreamURL = %v, %v", u, err)
	}
	if e, _ := v.Endpoint(testSlug); !e.LastUsed.Equal(olderNow.Add(time.Minute)) {
		t.Errorf("the endpoint was used %v, want a minute after %v", e.LastUsed, olderNow)
	}
	checkSecret(t, v, testToken)
	if !v.HasSession(settings.Digest{1, 2, 3}) {
		t.Error("the owner's session is gone")
	}
	if b, _ := v.Setting("port"); string(b) != "7450" {
		t.Errorf("the setting is %q", b)
	}
	if calls, err := v.Activity(); err != nil || len(calls) != 1 {
		t.Errorf("%d calls, %v, want one", len(calls), err)
	}
	if lines, err := v.Timelines(); err != nil || string(lines["g1"]) != "how it came to be" {
		t.Errorf("the timelines are %q, %v", lines, err)
	}
	checkCount(t, v, 4)
	checkGranted(t, v, "https://claude.ai/cb", true,
		[]GrantedName{{Origin: "https://x.example", Name: "Claude", VerifiedID: "https://claude.ai/client"}})

	// Expired records are found, each kind at its own time.
	day := 24 * time.Hour
	for _, tt := range []struct {
		after  time.Duration
		grants string
		tokens string // of g1
	}{
		{0, "g1 g2 g3", "code access replaced refresh"},
		{time.Hour, "g1 g2", "access replaced refresh"},
		{2 * day, "g1 g2", "access replaced refresh"},
		{4 * day, "g1 g2", "refresh"},
		{91 * day, "g1 g2", "refresh"},
		{93 * day, "", ""},
	} {
		if err := v.Sweep(olderNow.Add(tt.after)); err != nil {
			t.Fatal(err)
		}
		all, err := v.Grants()
		if err != nil {
			t.Fatal(err)
		}
		var grants, tokens []string
		for _, g := range all {
			grants = append(grants, g.ID)
		}
		for _, name := range []string{"code", "access", "replaced", "refresh"} {
			if _, ok, err := v.Token("g1", digestOf("g1", name)); err != nil {
				t.Error(err)
			} else if ok {
				tokens = append(tokens, name)
			}
		}
		if got := strings.Join(grants, " "); got != tt.grants {
			t.Errorf("after %v there are %q, want %q", tt.after, got, tt.grants)
		}
		if got := strings.Join(tokens, " "); got != tt.tokens {
			t.Errorf("after %v g1 has %q, want %q", tt.after, got, tt.tokens)
		}
		checkCount(t, v, len(all))
	}
	if n := len(v.Credentials(testSlug)); n != 1 {
		t.Errorf("%d keys are left, want the saved one", n)
	}
	checkGranted(t, v, "https://claude.ai/cb", false, nil)
}

// checkGranted checks which redirect URIs and names have a grant.
func checkGranted(t *testing.T, v *Vault, redirect string, want bool, names []GrantedName) {
	t.Helper()
	if got := v.HasRedirect(redirect); got != want {
		t.Errorf("HasRedirect(%s) = %v, want %v", redirect, got, want)
	}
	if got, err := v.GrantedNames(); err != nil || !slices.Equal(got, names) {
		t.Errorf("GrantedNames = %q, %v, want %q", got, err, names)
	}
}

// TestGranted: a redirect URI or name stays known as long as one of its
// grants exists.
func TestGranted(t *testing.T) {
	dir := t.TempDir()
	v := openFileMode(t, dir)
	addEndpoint(t, v, testSlug, "")
	const redirect, client = "https://a.example/cb", "https://a.example/client"
	checkGranted(t, v, redirect, false, nil)
	verified := GrantedName{Origin: "https://x.example", Name: "A", VerifiedID: client}
	plain := GrantedName{Origin: "http://127.0.0.1:7450", Name: "A"}
	for i, origin := range []string{verified.Origin, verified.Origin, plain.Origin} {
		err := v.CreateGrant(oauth.Grant{
			ID: fmt.Sprint("g", i), Slug: testSlug, Origin: origin, ClientID: client, ClientName: "A",
			Verified: origin == verified.Origin, RedirectURI: redirect,
		}, digestOf(fmt.Sprint(i)), oauth.Token{Kind: oauth.Code, Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
	}
	checkGranted(t, v, redirect, true, []GrantedName{plain, verified})
	closeVault(t, v)
	v = openFileMode(t, dir)
	remove := func(id string, want bool, names ...GrantedName) {
		t.Helper()
		if err := v.DeleteGrant(id); err != nil {
			t.Fatal(err)
		}
		checkGranted(t, v, redirect, want, names)
	}
	remove("g0", true, plain, verified)
	remove("g1", true, plain)
	err := v.UpdateGrant("g2", func(tx oauth.Tx) error {
		g := tx.Grant()
		g.ClientName = "B"
		tx.SetGrant(g)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	checkGranted(t, v, redirect, true, []GrantedName{{Origin: plain.Origin, Name: "B"}})
	if v.HasRedirect(redirect + "/") {
		t.Error("a use without a grant counts as granted")
	}
	remove("g2", false)
}

// TestNumGrants: the count always matches the grants that exist.
func TestNumGrants(t *testing.T) {
	v := openFileMode(t, t.TempDir())
	addEndpoint(t, v, testSlug, "")
	addEndpoint(t, v, "endpoint0002", "")
	saved := saveKey(t, v, testSlug, "", "saved").ID
	other := saveKey(t, v, "endpoint0002", "", "other").ID
	for i := range 4 {
		addGrant(t, v, fmt.Sprintf("a%d", i), testSlug, saved)
		addGrant(t, v, fmt.Sprintf("b%d", i), "endpoint0002", other)
	}
	checkCount(t, v, 8)
	if err := v.DeleteGrant("a1"); err != nil {
		t.Fatal(err)
	}
	if err := v.DeleteGrant("a1"); !errors.Is(err, oauth.ErrNotFound) {
		t.Errorf("DeleteGrant again: %v", err)
	}
	checkCount(t, v, 7)
	if err := v.UpdateGrant("a2", func(tx oauth.Tx) error { tx.Delete(); return nil }); err != nil {
		t.Fatal(err)
	}
	checkCount(t, v, 6)
	if err := v.DeleteEndpoint("endpoint0002"); err != nil {
		t.Fatal(err)
	}
	checkCount(t, v, 2)
}

// checkCount compares the count with want, and with a walk over all grants.
func checkCount(t *testing.T, v *Vault, want int) {
	t.Helper()
	all, err := v.Grants()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := v.NumGrants(); err != nil || n != want || len(all) != want {
		t.Errorf("NumGrants = %d, %v, and there are %d; want %d", n, err, len(all), want)
	}
}
