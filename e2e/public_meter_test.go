package e2e

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestN02N05Meter compares what the program counts with what the edge saw.
func TestN02N05Meter(t *testing.T) {
	t.Parallel()
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	a := startTunneled(t)
	e := a.addEndpoint("Linear", up.URL, "")
	u := signedIn(t, a, a.url(e), up.Key())
	local := signedInHere(t, a, e, up.Key())
	mustMatch := func(when string) tunnelInfo {
		t.Helper()
		got := a.tunnel()
		if want := int64(a.world.Requests()); got.Usage.Requests != want {
			t.Errorf("%s: %d requests are counted, the edge passed on %d", when, got.Usage.Requests, want)
		}
		return got
	}
	before := mustMatch("after a sign-in").Usage
	if before.MaxRequests == 0 || before.Warning != "" {
		t.Errorf("the usage is %+v, want the limits of a plan and no warning yet", before)
	}

	const calls, size = 20, 100_000
	for range calls {
		if got, err := callTool(u.http, u.Resource, u.Access, "big", map[string]any{"bytes": size}); err != nil || got.Status != http.StatusOK || len(got.Body) < size {
			t.Fatalf("a call = %d with %d bytes, %v", got.Status, len(got.Body), err)
		}
	}
	after := mustMatch("after calls").Usage
	if got := after.Requests - before.Requests; got != calls {
		t.Errorf("%d calls are counted as %d requests", calls, got)
	}
	if got := after.Bytes - before.Bytes; got < calls*size || got > calls*size*11/10 {
		t.Errorf("%d bytes of answers are counted as %d", calls*size, got)
	}
	for range calls {
		local.mustCall("on this machine")
	}
	if got := mustMatch("after calls on this machine").Usage; got.Requests != after.Requests || got.Bytes != after.Bytes {
		t.Errorf("calls on this machine were counted: %+v, before %+v", got, after)
	}
}

// TestN02Warning uses up four fifths of the free plan's monthly allowance.
func TestN02Warning(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	a := startTunneled(t)
	limit := a.tunnel().Usage.MaxRequests
	if limit < 1000 || limit > 100_000 {
		t.Fatalf("the limit is %d requests", limit)
	}
	begin := time.Now()
	var sent atomic.Int64
	spend := func(until int64) {
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				c := a.world.Client(true)
				for sent.Add(1) <= until {
					resp, err := c.Get(publicOrigin + "/nothing")
					if err != nil {
						t.Error(err)
						return
					}
					resp.Body.Close()
				}
			})
		}
		wg.Wait()
		sent.Store(until)
	}
	spend(limit*8/10 - 100)
	if got := a.tunnel().Usage; got.Warning != "" {
		t.Errorf("at %d of %d requests there is the warning %q", got.Requests, limit, got.Warning)
	}
	spend(limit * 8 / 10)
	got := a.tunnel().Usage
	t.Logf("%d requests in %v: %q", got.Requests, time.Since(begin).Round(time.Second), got.Warning)
	if got.Warning == "" {
		t.Errorf("at %d of %d requests there is no warning", got.Requests, limit)
	}
	if out := a.run("", "tunnel"); !strings.Contains(unwrapped(out), got.Warning) {
		t.Errorf("key2oauth tunnel does not show the warning:\n%s", out)
	}
}
