package tunnel

import (
	"context"
	"hash/maphash"
	"net"
	"time"
)

// A watch notices that the computer slept, and that its networks changed. It
// looks every few seconds, because each system has its own way to be told of
// either, and some need more rights than we have. A look costs a fifth of a
// millisecond; see BenchmarkWatch.
type watch struct {
	every time.Duration              // 0 means 5 s
	now   func() time.Time           // nil means time.Now; the wall clock counts
	addrs func() ([]net.Addr, error) // nil means those of this computer
}

// slept is how far the wall clock has to jump. Sleep stops the timers, or lets
// them fire late.
const slept = 30 * time.Second

// run signals nets when the networks changed and sleeps when the computer
// slept, until ctx ends.
func (w *watch) run(ctx context.Context, nets, sleeps chan struct{}) {
	every := w.every
	if every == 0 {
		every = 5 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	state := w.look(nil)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		last := state
		state = w.look(last)
		if state.wall.Sub(last.wall) > every+slept {
			signal(sleeps)
		}
		if state.networks != last.networks {
			signal(nets)
		}
	}
}

// A look is what a watch saw.
type look struct {
	wall     time.Time // without the monotonic clock, which may stop in sleep
	networks uint64    // a hash of this computer's addresses
	seed     maphash.Seed
}

func (w *watch) look(last *look) *look {
	now, addrs := time.Now, net.InterfaceAddrs
	if w.now != nil {
		now = w.now
	}
	if w.addrs != nil {
		addrs = w.addrs
	}
	l := &look{wall: now().Round(0)}
	if last == nil {
		l.seed = maphash.MakeSeed()
	} else {
		l.seed, l.networks = last.seed, last.networks
	}
	if list, err := addrs(); err == nil {
		l.networks = 0
		for _, a := range list { // in any order
			l.networks += maphash.String(l.seed, a.String())
		}
	}
	return l
}
