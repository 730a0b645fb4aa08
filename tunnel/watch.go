package tunnel

import (
	"context"
	"hash/maphash"
	"net"
	"sync"
	"time"
)

// A Watch notices that the computer slept, and that its networks changed. One
// serves everything that keeps connections. It looks every few seconds, because
// each system has its own way to be told of either, and some need more rights
// than we have. A look costs a fifth of a millisecond; see BenchmarkWatch.
//
// The zero Watch is ready for use. It is safe for concurrent use.
type Watch struct {
	every time.Duration              // 0 means 5 s
	now   func() time.Time           // nil means time.Now; the wall clock counts
	addrs func() ([]net.Addr, error) // nil means those of this computer

	mu   sync.Mutex // held for a whole look, so that a second Look waits for its news
	last *look
	told []func(slept bool)
}

// slept is how far the wall clock has to jump. Sleep stops the timers, or lets
// them fire late.
const slept = 30 * time.Second

// Tell makes the Watch call f when the computer slept, and when its networks
// changed. f must not block, and must not call the Watch.
func (w *Watch) Tell(f func(slept bool)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, f)
}

// Run looks every few seconds until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(w.pace())
	defer tick.Stop()
	w.Look()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		w.Look()
	}
}

func (w *Watch) pace() time.Duration {
	if w.every == 0 {
		return 5 * time.Second
	}
	return w.every
}

// Look looks now. When it returns, everything that asked with Tell was told of
// what it saw. It is for callers that are about to rely on a connection that was
// idle.
func (w *Watch) Look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.last
	w.last = w.look(last)
	if last == nil {
		return
	}
	if w.last.wall.Sub(last.wall) > w.pace()+slept {
		w.tell(true)
	}
	if w.last.networks != last.networks {
		w.tell(false)
	}
}

func (w *Watch) tell(slept bool) {
	for _, f := range w.told {
		f(slept)
	}
}

// A look is what a Watch saw.
type look struct {
	wall     time.Time // without the monotonic clock, which may stop in sleep
	networks uint64    // a hash of this computer's addresses
	seed     maphash.Seed
}

func (w *Watch) look(last *look) *look {
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
