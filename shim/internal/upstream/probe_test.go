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

// A probe without a key is sent once a day at most, and not at all where a
// trial has told.
func TestTells(t *testing.T) {
	for _, tt := range []struct {
		name  string
		open  []string // methods that need no key
		fault shimtest.Fault
		told  *bool
		want  bool
		sent  int // requests for three questions
	}{
		{"asks for the key", nil, nil, nil, true, 1},
		{"asks for it in tools/call", []string{"initialize", "notifications/initialized"}, nil, nil, false, 2}, // and ends the session
		{"busy", nil, shimtest.Status(429, "slow down"), nil, false, 3},
		{"broken", nil, shimtest.Status(500, "oh"), nil, false, 3},
		{"told that it asks", nil, nil, new(true), true, 0},
		{"told that it does not", nil, nil, new(false), false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := shimtest.NewUpstream(t, shimtest.Options{})
			u.OpenTo(tt.open...)
			u.Break(tt.fault)
			c := newClient(t)
			tg := target(t, u, endpoint.DefaultHeader)
			if tt.told != nil {
				c.SetTells(tg, *tt.told)
			}
			for range 3 {
				if got := c.Tells(t.Context(), *tg); got != tt.want {
					t.Errorf("Tells = %v, want %v", got, tt.want)
				}
			}
			if got := len(u.Requests()); got != tt.sent {
				t.Errorf("the upstream got %d requests, want %d", got, tt.sent)
			}
			if u.Saw(u.Key()) {
				t.Error("the upstream got the key")
			}
		})
	}
}
