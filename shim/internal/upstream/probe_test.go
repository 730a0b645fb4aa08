package upstream

import (
	"fmt"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

func TestProbe(t *testing.T) {
	for _, status := range []int{200, 400, 403, 404, 405, 429, 500, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			u := shimtest.NewUpstream(t, shimtest.Options{})
			u.Break(shimtest.Status(status, "no"))
			if rejected, err := newClient(t).Probe(t.Context(), *target(t, u, endpoint.DefaultHeader)); rejected || err != nil {
				t.Errorf("rejected %t, %v; want neither", rejected, err)
			}
		})
	}
	t.Run("hangs", func(t *testing.T) {
		u := shimtest.NewUpstream(t, shimtest.Options{})
		u.Break(shimtest.Hang())
		c := newClient(t)
		c.ProbeTime = 100 * time.Millisecond
		if rejected, err := c.Probe(t.Context(), *target(t, u, endpoint.DefaultHeader)); rejected || err == nil {
			t.Errorf("rejected %t, %v; want an error", rejected, err)
		}
	})
}
