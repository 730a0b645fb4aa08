package ledger

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/roll"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// TestRollIsTrue: after any changes, and restarts, the roll of the grants says
// what reading all of them again says.
func TestRollIsTrue(t *testing.T) {
	for seed := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		dir := t.TempDir()
		l := openLedger(t, dir)
		at := time.Now().Truncate(time.Second)
		slugs := []string{"one", "two", "three"}
		for step := range 150 {
			id, slug := fmt.Sprintf("g%03d", rnd.IntN(step+1)), slugs[rnd.IntN(3)] // one of an earlier step, mostly
			at = at.Add(time.Duration(rnd.IntN(3)) * time.Second)
			switch n := rnd.IntN(20); {
			case n < 8:
				g := oauth.Grant{ID: fmt.Sprintf("g%03d", step), Slug: slug, Origin: "https://a.example", RedirectURI: "http://localhost/cb", Created: at}
				expires := at.Add(time.Duration(rnd.IntN(600)) * time.Second)
				if err := l.CreateGrant(g, oauth.Digest{byte(step)}, oauth.Token{Kind: oauth.Code, Expires: expires}); err != nil {
					t.Fatal(err)
				}
			case n < 11:
				l.DeleteGrant(id)
			case n < 14:
				l.TouchGrants(map[string]time.Time{id: at})
			case n < 16:
				l.UpdateGrant(id, func(tx oauth.Tx) error {
					g := tx.Grant()
					g.CodeRedeemed = true
					if rnd.IntN(3) == 0 {
						tx.Delete()
					}
					tx.SetGrant(g)
					if rnd.IntN(3) == 0 {
						return fmt.Errorf("nothing of this happens")
					}
					return nil
				})
			case n < 17:
				if err := l.file.Update(func(t *statefile.Tx) error { return l.DropGrantsOf(t, slug) }); err != nil {
					t.Fatal(err)
				}
			case n < 18:
				if err := l.Sweep(at.Add(5 * time.Minute)); err != nil {
					t.Fatal(err)
				}
			case n < 19:
				l.Flush()
			default:
				l.close(t)
				l = openLedger(t, dir)
			}
			same(t, l, slugs)
		}
	}
}

// same compares the roll with one that is read again.
func same(t *testing.T, l *testLedger, slugs []string) {
	t.Helper()
	fresh := roll.New(func(fn func(roll.Entry)) error { return l.EachMark(func(m Mark) { fn(m.Entry) }) })
	say := func(r *roll.Roll) (s string) {
		for _, slug := range slugs {
			n, used, err := r.Server(slug)
			ids, errIDs := r.Newest(slug, 0, 100)
			s += fmt.Sprintln(slug, n, used, ids, cmp.Or(err, errIDs))
		}
		ids, err := r.Recent(100)
		first, errFirst := r.First()
		return s + fmt.Sprintln(ids, first, cmp.Or(err, errFirst))
	}
	if got, want := say(l.Roll), say(fresh); got != want {
		t.Fatalf("the roll says\n%sand read again\n%s", got, want)
	}
}
