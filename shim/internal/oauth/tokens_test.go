package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// seed puts a grant with one live access token into the store.
func seed(t testing.TB, m *memStore, id string) (access string) {
	t.Helper()
	access, d := newToken(accessPrefix, id)
	if err := m.CreateGrant(Grant{ID: id, Slug: slugA, Origin: pub}, d, Token{Kind: AccessToken, Expires: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	return access
}

func isClosed(a *Access) bool {
	select {
	case <-a.Done():
		return true
	default:
		return false
	}
}

func mustVerify(t testing.TB, tokens *Tokens, access string) *Access {
	t.Helper()
	a, err := tokens.Verify(access)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestVerifyIsCachedAndBounded(t *testing.T) {
	m := newMemStore()
	tokens := NewTokens(m, nil)
	tokens.max = 10
	first := seed(t, m, "first")
	held := mustVerify(t, tokens, first)
	again := mustVerify(t, tokens, first)
	if again != held || m.reads != 1 {
		t.Errorf("the second time: same: %v, %d reads, want true, 1", again == held, m.reads)
	}
	again.Release()
	for i := range 1000 {
		mustVerify(t, tokens, seed(t, m, fmt.Sprint("g", i))).Release()
	}
	if n := len(tokens.cache); n != 10 {
		t.Errorf("%d tokens are cached, want 10", n)
	}
	if n := len(tokens.live); n > 11 {
		t.Errorf("%d grants are live, want at most 11", n)
	}
	// A call can still be cut off after its grant was pushed out of the cache.
	if err := tokens.EndGrant("first"); err != nil || !isClosed(held) {
		t.Errorf("EndGrant: %v, cut: %v", err, isClosed(held))
	}
	held.Release()
	for i := range 1000 {
		if err := tokens.EndGrant(fmt.Sprint("g", i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(tokens.cache)+len(tokens.live) != 0 {
		t.Errorf("%d cached and %d live are left", len(tokens.cache), len(tokens.live))
	}
	if err := tokens.EndGrant("first"); !errors.Is(err, ErrNotFound) {
		t.Errorf("again: got %v, want ErrNotFound", err)
	}
}

func TestEndEndpoint(t *testing.T) {
	m := newMemStore()
	tokens := NewTokens(m, nil)
	a, b := mustVerify(t, tokens, seed(t, m, "a")), mustVerify(t, tokens, seed(t, m, "b"))
	defer a.Release()
	defer b.Release()
	m.DeleteGrant("a")
	m.DeleteGrant("b")
	tokens.EndEndpoint(slugB)
	if isClosed(a) {
		t.Error("another endpoint's grant was cut")
	}
	tokens.EndEndpoint(slugA)
	if !isClosed(a) || !isClosed(b) {
		t.Error("not all grants of the endpoint were cut")
	}
}

func TestForget(t *testing.T) {
	m := newMemStore()
	tokens := NewTokens(m, nil)
	access := seed(t, m, "g")
	held := mustVerify(t, tokens, access)
	if err := m.UpdateGrant("g", func(tx Tx) error {
		g := tx.Grant()
		g.Credential = "new"
		tx.SetGrant(g)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	tokens.Forget("g")
	fresh := mustVerify(t, tokens, access)
	if fresh.Grant.Credential != "new" || isClosed(held) {
		t.Errorf("credential %q, old one cut: %v", fresh.Grant.Credential, isClosed(held))
	}
	if err := tokens.EndGrant("g"); err != nil || !isClosed(held) || !isClosed(fresh) {
		t.Errorf("EndGrant: %v, cut: %v and %v", err, isClosed(held), isClosed(fresh))
	}
	held.Release()
	fresh.Release()
}

// A request that read the store just before a grant ended must not bring the
// grant back.
func TestEndWhileLoading(t *testing.T) {
	m := newMemStore()
	tokens := NewTokens(m, nil)
	access := seed(t, m, "g")
	m.onRead = func() {
		m.onRead = nil
		g := m.grants["g"]
		if err := tokens.EndGrant("g"); err != nil {
			t.Error(err)
		}
		m.grants["g"] = g // as if this had been read at the same moment
	}
	if a, err := tokens.Verify(access); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("got %v, %v, want ErrInvalidToken", a, err)
	}
	if len(tokens.cache) != 0 {
		t.Error("the token is cached")
	}
}

func TestEndWhileLoadingRace(t *testing.T) {
	for range 200 {
		m := newMemStore()
		tokens := NewTokens(m, nil)
		access := seed(t, m, "g")
		var ended atomic.Bool
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 20 {
					was := ended.Load()
					a, err := tokens.Verify(access)
					if err != nil {
						continue
					}
					if was {
						t.Error("verified after its end")
					}
					if ended.Load() && !isClosed(a) {
						t.Error("in use after its end and not cut")
					}
					a.Release()
				}
			})
		}
		wg.Go(func() {
			if err := tokens.EndGrant("g"); err != nil {
				t.Error(err)
			}
			ended.Store(true)
		})
		wg.Wait()
		if len(tokens.cache)+len(tokens.live) != 0 {
			t.Fatalf("%d cached and %d live are left", len(tokens.cache), len(tokens.live))
		}
	}
}

func TestRunBatchesLastUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		c := f.connect(f.pub)
		id := grantOf(t, c.access)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { f.tokens.Run(ctx) })
		time.Sleep(time.Minute)
		for range 100 { // ten calls a second for ten seconds
			c.wantCall(c.access, http.StatusOK)
			time.Sleep(100 * time.Millisecond)
		}
		last := time.Now()
		c.wantCall(c.access, http.StatusOK)
		g, err := f.store.Grant(id)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.tokens.LastUsed(g); !got.Equal(last) {
			t.Errorf("LastUsed: got %v, want %v", got, last)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(f.store.saved); n < 8 || n > 12 {
			t.Errorf("written %d times, want about 10", n)
		}
		if g, _ = f.store.Grant(id); !g.LastUsed.Equal(last) {
			t.Errorf("saved %v, want %v", g.LastUsed, last)
		}
		last = time.Now()
		c.wantCall(c.access, http.StatusOK)
		cancel()
		wg.Wait()
		if g, _ = f.store.Grant(id); !g.LastUsed.Equal(last) {
			t.Errorf("at the end: saved %v, want %v", g.LastUsed, last)
		}
	})
}

func TestRunSweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		c := f.connect(f.pub)
		c.wantCall(c.access, http.StatusOK)
		abandoned := f.approve(f.pub, query(c.client)).Get("code") // never redeemed
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { f.tokens.Run(ctx) })
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if _, err := f.store.Grant(grantOf(t, "k2o_at_"+abandoned[len(codePrefix):])); !errors.Is(err, ErrNotFound) {
			t.Errorf("a grant with a code that was never redeemed: got %v, want ErrNotFound", err)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := len(f.tokens.cache); n != 0 {
			t.Errorf("%d expired tokens are cached", n)
		}
		if _, ts := f.store.dump(); len(ts[grantOf(t, c.access)]) != 1 {
			t.Errorf("%d tokens are kept, want the refresh token", len(ts[grantOf(t, c.access)]))
		}
		time.Sleep(90 * 24 * time.Hour)
		synctest.Wait()
		if g, _ := f.store.dump(); len(g) != 0 {
			t.Errorf("%d grants are left", len(g))
		}
		cancel()
		wg.Wait()
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, n := range []int{1, 1000, 100000} {
		b.Run(fmt.Sprint("grants=", n), func(b *testing.B) {
			m := newMemStore()
			tokens := NewTokens(m, nil)
			all := make([]string, n)
			for i := range all {
				all[i] = seed(b, m, fmt.Sprint("g", i))
			}
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					a, err := tokens.Verify(all[i%min(n, 10000)]) // the tokens that are in use
					if err != nil {
						b.Fatal(err)
					}
					a.Touch()
					a.Release()
				}
			})
		})
	}
}

// A signed-in call leaves nothing for the garbage collector.
func TestVerifyAllocatesNothing(t *testing.T) {
	m := newMemStore()
	tokens := NewTokens(m, nil)
	access := seed(t, m, "g")
	mustVerify(t, tokens, access).Touch()
	if n := testing.AllocsPerRun(100, func() {
		a, _ := tokens.Verify(access)
		a.Touch()
		a.Release()
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

// A cached token is checked in every call, so the check must not allocate.
func TestVerifyAllocates(t *testing.T) {
	m := newMemStore()
	tokens := NewTokens(m, nil)
	access := seed(t, m, "g")
	mustVerify(t, tokens, access).Release()
	n := testing.AllocsPerRun(1000, func() {
		a, err := tokens.Verify(access)
		if err != nil {
			t.Fatal(err)
		}
		a.Release()
	})
	if n > 0 {
		t.Errorf("checking a cached token makes %v allocations, want none", n)
	}
}
