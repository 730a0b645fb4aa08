package e2e

import (
	"net/http"
	"testing"

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
