package shim_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
)

// TestOverviewUse: a use shows at once, although it is saved later, and what
// was never used is not shown as used. The event stream also reports the last
// call.
func TestOverviewUse(t *testing.T) {
	p := start(t)
	used := newCaller(p, "Weather")
	newCaller(p, "Notes") // approved after the other, and never used

	seen := make(chan api.Overview, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.shim.Watch(ctx, func() {
			o, err := p.shim.Overview()
			if err != nil {
				t.Error(err)
			}
			seen <- o
		})
	}()
	defer func() { cancel(); <-done }()

	names := func(o api.Overview) (used, unused []string) {
		for _, e := range o.Endpoints {
			if e.LastUsed == nil {
				unused = append(unused, e.DisplayName)
			} else {
				used = append(used, e.DisplayName)
			}
		}
		for _, c := range o.Clients {
			if c.LastUsed.IsZero() {
				unused = append(unused, "app of "+c.Endpoint)
			} else {
				used = append(used, "app of "+c.Endpoint)
			}
		}
		return used, unused
	}
	o := <-seen
	if got, _ := names(o); got != nil {
		t.Errorf("before any call %q are said to be used", got)
	}
	if len(o.Clients) != 2 || o.Clients[0].Endpoint != "Notes" {
		t.Errorf("the apps are %v, want the one that was approved last first", o.Clients)
	}

	used.call("search", "")
	o, err := p.shim.Overview()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Weather", "app of Weather"}
	if got, rest := names(o); !slices.Equal(got, want) || len(rest) != 2 {
		t.Errorf("after a call %q are said to be used, want %q, and %q not to be", got, want, rest)
	}
	if o.Clients[0].Endpoint != "Weather" {
		t.Errorf("the apps are %v, want the one that was used last first", o.Clients)
	}
	for late := time.After(30 * time.Second); ; {
		select {
		case o := <-seen:
			if got, _ := names(o); slices.Equal(got, want) {
				return
			}
		case <-late:
			t.Fatal("who watches is not told that something was used")
		}
	}
}
