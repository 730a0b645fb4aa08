package vault

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/ledger"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

func digestOf(parts ...string) oauth.Digest {
	return sha256.Sum256([]byte(strings.Join(parts, "/")))
}

// withGrant opens a vault with one endpoint, one key and one grant.
func withGrant(t testing.TB, dir string) (v *Vault, credential string) {
	t.Helper()
	v = openFileMode(t, dir)
	addEndpoint(t, v, testSlug, "")
	credential = saveKey(t, v, testSlug, "g1", testKey).ID
	addGrant(t, v, "g1", testSlug, credential)
	return v, credential
}

func TestGrantRoundTrip(t *testing.T) {
	dir := t.TempDir()
	v, credential := withGrant(t, dir)
	at := time.Date(2026, 3, 4, 5, 6, 7, 89, time.UTC)
	g := oauth.Grant{
		ID: "g2", Slug: testSlug, Origin: "https://x.example", ClientID: "https://claude.ai/client",
		ClientName: "Claude", Verified: true, RedirectURI: "http://localhost:4711/cb", Credential: credential,
		Scope: "mcp", Created: at, LastUsed: at.Add(time.Second), CodeRedeemed: true,
	}
	code := oauth.Token{
		Kind: oauth.RefreshToken, Expires: at, Scope: "mcp", RedirectURI: "http://localhost:4711/cb", Challenge: "abc",
		Used: true, Parent: digestOf("parent"), SuccessorUsed: at.Add(time.Minute), Superseded: true,
	}
	if err := v.CreateGrant(g, digestOf("code"), code); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := v.Grant("g2")
		if diff := cmp.Diff(g, got); diff != "" || err != nil {
			t.Errorf("Grant: %v, -want +got:\n%s", err, diff)
		}
		token, ok, err := v.Token("g2", digestOf("code"))
		if diff := cmp.Diff(code, token); diff != "" || !ok || err != nil {
			t.Errorf("Token: %v, %v, -want +got:\n%s", ok, err, diff)
		}
		closeVault(t, v)
		v = openFileMode(t, dir)
	}
	all, err := v.Grants()
	if err != nil || len(all) != 2 || all[0].ID != "g2" {
		t.Errorf("Grants = %+v, %v; want g2, which is older, first", all, err)
	}
	if _, ok, err := v.Token("g1", digestOf("code")); ok || err != nil {
		t.Errorf("another grant's token: %v, %v", ok, err)
	}
}

func TestCreateGrantRefuses(t *testing.T) {
	v, credential := withGrant(t, t.TempDir())
	for _, tt := range []struct {
		name  string
		grant oauth.Grant
		want  error
	}{
		{"no endpoint", oauth.Grant{ID: "x", Slug: "nothing", Credential: credential}, ErrNotFound},
		{"no credential", oauth.Grant{ID: "x", Slug: testSlug, Credential: "nothing"}, ErrNotFound},
		{"id taken", oauth.Grant{ID: "g1", Slug: testSlug, Credential: credential}, ErrExists},
		{"no id", oauth.Grant{Slug: testSlug, Credential: credential}, nil},
	} {
		err := v.CreateGrant(tt.grant, oauth.Digest{1}, oauth.Token{})
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestT19 proves that tokens are stored only as digests: the store never
// receives anything else, and writes nothing else to the file.
func TestT19OnlyDigests(t *testing.T) {
	dir := t.TempDir()
	v, _ := withGrant(t, dir)
	const token = "k2o_at_g1.canary-token"
	err := v.UpdateGrant("g1", func(tx oauth.Tx) error {
		tx.SetToken(sha256.Sum256([]byte(token)), oauth.Token{Kind: oauth.AccessToken, Expires: time.Now().Add(time.Hour)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	closeVault(t, v)
	digest := sha256.Sum256([]byte(token))
	b := contents(t, dir, stateFile)
	if !bytes.Contains(b, digest[:]) {
		t.Error("the digest is not in the file, so the search proves nothing")
	}
	if bytes.Contains(b, []byte("canary")) {
		t.Error("the token is in the file")
	}
}

func TestUpdateGrant(t *testing.T) {
	v, credential := withGrant(t, t.TempDir())
	access := digestOf("access")
	err := v.UpdateGrant("g1", func(tx oauth.Tx) error {
		g := tx.Grant()
		g.CodeRedeemed, g.Slug = true, "moved"
		tx.SetGrant(g)
		code, ok := tx.Token(digestOf("g1", "code"))
		if !ok {
			t.Error("the code is not there")
		}
		code.Used = true
		tx.SetToken(digestOf("g1", "code"), code)
		tx.SetToken(access, oauth.Token{Kind: oauth.AccessToken})
		if _, ok := tx.Token(access); !ok {
			t.Error("a transaction does not see its own token")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if g, _ := v.Grant("g1"); !g.CodeRedeemed || g.Slug != testSlug {
		t.Errorf("Grant = %+v, want it redeemed and where it was", g)
	}
	if code, ok, _ := v.Token("g1", digestOf("g1", "code")); !ok || !code.Used {
		t.Errorf("code = %+v, %v, want it used", code, ok)
	}

	refused := errors.New("no")
	err = v.UpdateGrant("g1", func(tx oauth.Tx) error {
		tx.DeleteToken(access)
		tx.Delete()
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("UpdateGrant = %v, want the error of its function", err)
	}
	if _, ok, _ := v.Token("g1", access); !ok {
		t.Error("a transaction that was refused deleted a token")
	}
	if err := v.UpdateGrant("nothing", func(oauth.Tx) error { return nil }); !errors.Is(err, oauth.ErrNotFound) {
		t.Errorf("UpdateGrant of no grant: %v, want oauth.ErrNotFound", err)
	}

	if err := v.UpdateGrant("g1", func(tx oauth.Tx) error { tx.Delete(); return nil }); err != nil {
		t.Fatal(err)
	}
	checkEnded(t, v, "g1", credential)
}

// checkEnded checks that nothing of a grant is left, including its own key.
func checkEnded(t *testing.T, v *Vault, id, credential string) {
	t.Helper()
	if _, err := v.Grant(id); !errors.Is(err, oauth.ErrNotFound) {
		t.Errorf("Grant of an ended grant: %v, want oauth.ErrNotFound", err)
	}
	if _, ok, _ := v.Token(id, digestOf(id, "code")); ok {
		t.Error("a token of an ended grant is left")
	}
	if _, err := v.Key(credential); !errors.Is(err, ErrNotFound) {
		t.Errorf("the key that belonged to the grant alone: %v, want ErrNotFound", err)
	}
}

// A panic in the caller's function is passed on to the caller, and the state
// keeps working.
func TestUpdateGrantPanics(t *testing.T) {
	v, _ := withGrant(t, t.TempDir())
	func() {
		defer func() {
			if r := recover(); r != "mine" {
				t.Errorf("recovered %v, want the caller's panic", r)
			}
		}()
		v.UpdateGrant("g1", func(tx oauth.Tx) error {
			tx.SetToken(digestOf("x"), oauth.Token{})
			panic("mine")
		})
	}()
	if _, ok, err := v.Token("g1", digestOf("x")); ok || err != nil {
		t.Errorf("after a panic: %v, %v, want nothing kept and no error", ok, err)
	}
	addGrant(t, v, "g2", testSlug, "")
}

func TestDeleteGrant(t *testing.T) {
	v, credential := withGrant(t, t.TempDir())
	saved := saveKey(t, v, testSlug, "", "saved").ID
	// Their IDs have the same prefix, so a careless prefix match would delete
	// both.
	addGrant(t, v, "g11", testSlug, saved)
	if err := v.DeleteGrant("g1"); err != nil {
		t.Fatal(err)
	}
	checkEnded(t, v, "g1", credential)
	if _, ok, _ := v.Token("g11", digestOf("g11", "code")); !ok {
		t.Error("the token of another grant is gone")
	}
	if err := v.DeleteGrant("g11"); err != nil {
		t.Fatal(err)
	}
	checkKey(t, v, saved, "saved") // the owner's key, so it stays
	if err := v.DeleteGrant("g1"); !errors.Is(err, oauth.ErrNotFound) {
		t.Errorf("DeleteGrant again: %v, want oauth.ErrNotFound", err)
	}
}

func TestSweep(t *testing.T) {
	now := time.Now()
	v := open(t, Config{Dir: t.TempDir(), Mode: keychain.ModeFile, Now: func() time.Time { return now }})
	addEndpoint(t, v, testSlug, "")
	saved := saveKey(t, v, testSlug, "", "saved").ID
	own := saveKey(t, v, testSlug, "old", "own").ID
	orphan := saveKey(t, v, testSlug, "never", "orphan").ID
	addGrant(t, v, "old", testSlug, own)
	addGrant(t, v, "live", testSlug, saved)
	err := v.UpdateGrant("live", func(tx oauth.Tx) error {
		tx.SetToken(digestOf("refresh"), oauth.Token{Kind: oauth.RefreshToken, Expires: now.Add(90 * 24 * time.Hour)})
		tx.SetToken(digestOf("access"), oauth.Token{Kind: oauth.AccessToken, Expires: now.Add(time.Hour)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	if err := v.Sweep(now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Key(orphan); err != nil {
		t.Errorf("a key that may still get its grant: %v", err)
	}
	if _, err := v.Grant("old"); err != nil {
		t.Errorf("a grant with a valid code: %v", err)
	}

	if err := v.Sweep(now.Add(2 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	checkEnded(t, v, "old", own)
	if _, err := v.Key(orphan); !errors.Is(err, ErrNotFound) {
		t.Errorf("a key that never got its grant: %v, want ErrNotFound", err)
	}
	if _, err := v.Grant("live"); err != nil {
		t.Errorf("a grant with a live token: %v", err)
	}
	if _, ok, _ := v.Token("live", digestOf("live", "code")); ok {
		t.Error("an expired code is left")
	}
	if _, ok, _ := v.Token("live", digestOf("refresh")); !ok {
		t.Error("a live refresh token is gone")
	}
	checkKey(t, v, saved, "saved")

	// A clock that is a day ahead may be corrected later.
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{{25 * time.Hour, true}, {50 * time.Hour, false}} {
		if err := v.Sweep(now.Add(tt.after)); err != nil {
			t.Fatal(err)
		}
		if _, ok, _ := v.Token("live", digestOf("access")); ok != tt.want {
			t.Errorf("%v after an hour's access token was made it is kept: %v, want %v", tt.after, ok, tt.want)
		}
	}
}

// Last-used times are visible at once but written at most once a second.
func TestTouchGrants(t *testing.T) {
	dir := t.TempDir()
	v, _ := withGrant(t, dir)
	at := time.Now().Add(time.Minute).UTC().Round(0)
	before := txid(v)
	for n := range 1000 {
		if err := v.TouchGrants(map[string]time.Time{"g1": at.Add(time.Duration(n - 999)), "gone": at}); err != nil {
			t.Fatal(err)
		}
	}
	if g, _ := v.Grant("g1"); !g.LastUsed.Equal(at) {
		t.Errorf("last used %v, want %v at once", g.LastUsed, at)
	}
	eventually(t, "written", func() bool {
		e, _ := v.Endpoint(testSlug)
		return e.LastUsed.Equal(at)
	})
	if got := txid(v) - before; got != 1 {
		t.Errorf("%d transactions, want 1", got)
	}
	later := at.Add(time.Minute)
	if err := v.TouchGrants(map[string]time.Time{"g1": later}); err != nil {
		t.Fatal(err)
	}
	closeVault(t, v)
	v = openFileMode(t, dir)
	if g, _ := v.Grant("g1"); !g.LastUsed.Equal(later) {
		t.Errorf("after Close last used %v, want %v", g.LastUsed, later)
	}
	if e, _ := v.Endpoint(testSlug); !e.LastUsed.Equal(later) {
		t.Errorf("after Close the endpoint was last used %v, want %v", e.LastUsed, later)
	}
}

// txid counts the transactions that were written.
func txid(v *Vault) (id int) {
	v.view(func(tx *bbolt.Tx) error {
		id = tx.ID()
		return nil
	})
	return id
}

// fillGrants adds grants with three tokens each, in a few transactions.
func fillGrants(b testing.TB, v *Vault, n int) {
	b.Helper()
	for done := 0; done < n; done += 10_000 {
		err := v.update(func(t *transaction) error {
			for i := done; i < min(done+10_000, n); i++ {
				id := fmt.Sprintf("fill%08d", i)
				g := oauth.Grant{ID: id, Slug: testSlug, ClientName: "Claude", RedirectURI: "https://claude.ai/api/mcp/auth_callback"}
				if err := v.PutGrant(t, g); err != nil {
					return err
				}
				for _, kind := range []string{"code", "access", "refresh"} {
					token := oauth.Token{Kind: oauth.AccessToken, Expires: time.Now().Add(time.Hour)}
					if err := ledger.PutToken(t.Tx, id, digestOf(id, kind), token); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkToken shows that the cost of a call does not grow with the number of
// grants.
func BenchmarkToken(b *testing.B) {
	for _, n := range []int{1, 1_000, 100_000} {
		b.Run(fmt.Sprintf("grants=%d", n), func(b *testing.B) {
			v := openFileMode(b, b.TempDir())
			addEndpoint(b, v, testSlug, "")
			fillGrants(b, v, n)
			id := fmt.Sprintf("fill%08d", n/2)
			d := digestOf(id, "access")
			for b.Loop() {
				if _, ok, err := v.Token(id, d); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

func BenchmarkUpdateGrant(b *testing.B) {
	for _, n := range []int{1, 1_000, 100_000} {
		b.Run(fmt.Sprintf("grants=%d", n), func(b *testing.B) {
			v := openFileMode(b, b.TempDir())
			addEndpoint(b, v, testSlug, "")
			fillGrants(b, v, n)
			id := fmt.Sprintf("fill%08d", n/2)
			for b.Loop() {
				err := v.UpdateGrant(id, func(tx oauth.Tx) error {
					tx.SetToken(digestOf(id, "access"), oauth.Token{Kind: oauth.AccessToken, Expires: time.Now()})
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkKey measures what a call spends on its key.
func BenchmarkKey(b *testing.B) {
	v := openFileMode(b, b.TempDir())
	addEndpoint(b, v, testSlug, "")
	id := saveKey(b, v, testSlug, "", testKey).ID
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if key, err := v.Key(id); err != nil || key.IsZero() {
				b.Error("no key", err)
			}
		}
	})
}
