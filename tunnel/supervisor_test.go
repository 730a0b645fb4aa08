package tunnel

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var asleep time.Duration
		var networks []net.Addr
		w := Watch{
			now:   func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(asleep) },
			addrs: func() ([]net.Addr, error) { mu.Lock(); defer mu.Unlock(); return networks, nil },
		}
		nets, sleeps := make(chan struct{}, 1), make(chan struct{}, 1)
		ctx, cancel := context.WithCancel(t.Context())
		w.Tell(func(slept bool) {
			if slept {
				signal(sleeps)
			} else {
				signal(nets)
			}
		})
		go w.Run(ctx)
		a := &net.IPNet{IP: net.IPv4(10, 0, 0, 1), Mask: net.CIDRMask(8, 32)}
		b := &net.IPNet{IP: net.IPv4(192, 168, 0, 1), Mask: net.CIDRMask(16, 32)}
		for _, step := range []struct {
			name       string
			do         func()
			nets, slep bool
		}{
			{"nothing", func() {}, false, false},
			{"a network", func() { networks = []net.Addr{a} }, true, false},
			{"a second", func() { networks = []net.Addr{a, b} }, true, false},
			{"another order", func() { networks = []net.Addr{b, a} }, false, false},
			{"the first goes", func() { networks = []net.Addr{b} }, true, false},
			{"a clock that is corrected", func() { asleep += 20 * time.Second }, false, false},
			{"a clock that is set back", func() { asleep -= time.Hour }, false, false},
			{"a night", func() { asleep += 8 * time.Hour }, false, true},
			{"nothing again", func() {}, false, false},
		} {
			time.Sleep(time.Second) // between two looks
			synctest.Wait()
			mu.Lock()
			step.do()
			mu.Unlock()
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if got := len(nets) == 1; got != step.nets {
				t.Errorf("%s: networks changed: got %v, want %v", step.name, got, step.nets)
			}
			if got := len(sleeps) == 1; got != step.slep {
				t.Errorf("%s: slept: got %v, want %v", step.name, got, step.slep)
			}
			for len(nets) > 0 {
				<-nets
			}
			for len(sleeps) > 0 {
				<-sleeps
			}
		}
		cancel()
	})
}

// A Look tells at once, so that no caller relies on a connection that is gone.
func TestLook(t *testing.T) {
	networks := []net.Addr{&net.IPNet{IP: net.IPv4(10, 0, 0, 1), Mask: net.CIDRMask(8, 32)}}
	w := Watch{addrs: func() ([]net.Addr, error) { return networks, nil }}
	var told [2]int
	for i := range told {
		w.Tell(func(bool) { told[i]++ })
	}
	for i, step := range []struct {
		do   func()
		want int
	}{
		{func() {}, 0}, {func() {}, 0}, {func() { networks = nil }, 1}, {func() {}, 1},
	} {
		step.do()
		w.Look()
		if told != [2]int{step.want, step.want} {
			t.Errorf("look %d: told %v times, want %d times each", i, told, step.want)
		}
	}
}

func BenchmarkWatch(b *testing.B) {
	var w Watch
	l := w.look(nil)
	b.ReportAllocs()
	for b.Loop() {
		l = w.look(l)
	}
}

// A fake is a Tunnel with scripted openings.
type fake struct {
	opened atomic.Int64
	open   func(ctx context.Context, n int64) (net.Listener, string, error)
}

func (f *fake) Provider() string           { return ProviderNgrok }
func (f *fake) ClientHeader() ClientHeader { return LastForwardedFor }

func (f *fake) Open(ctx context.Context, _ string) (net.Listener, string, error) {
	return f.open(ctx, f.opened.Add(1))
}

// Waits double up to half a minute, and a kick resets them.
func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		f := &fake{open: func(context.Context, int64) (net.Listener, string, error) {
			at = append(at, time.Since(start))
			return nil, "", errors.New("no")
		}}
		s := &Supervisor{Pace: Pace{Addrs: func() ([]net.Addr, error) { return nil, nil }}}
		s.Set(Want{Tunnel: f})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan bool)
		go func() { s.Run(ctx); close(done) }()
		time.Sleep(100*time.Second + 500*time.Millisecond)
		synctest.Wait()
		var got []int
		for _, d := range at {
			got = append(got, int(d.Seconds()))
		}
		if diff := cmp.Diff([]int{0, 1, 3, 7, 15, 31, 61, 91}, got); diff != "" {
			t.Errorf("seconds of the attempts (-want +got):\n%s", diff)
		}
		at = nil
		s.Reconnect()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(at) != 2 {
			t.Errorf("after a kick: attempts at %v", at)
		}
		cancel()
		<-done
	})
}

// Serve never runs twice at the same time, and it may return early.
func TestServeAgain(t *testing.T) {
	t.Parallel()
	var running, calls atomic.Int64
	s := &Supervisor{Pace: Pace{MinWait: time.Millisecond, MaxWait: time.Millisecond, Drain: time.Second}}
	s.Serve = func(ctx context.Context, ln net.Listener, f Front) error {
		if running.Add(1) > 1 || f.Origin != "https://mcp.example.com" {
			t.Errorf("called while it runs, or for %q", f.Origin)
		}
		defer running.Add(-1)
		if calls.Add(1) < 5 {
			return errors.New("ended")
		}
		<-ctx.Done()
		return nil
	}
	s.Set(Want{Tunnel: &fake{open: func(ctx context.Context, _ int64) (net.Listener, string, error) {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		return ln, "https://mcp.example.com", err
	}}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan bool)
	go func() { s.Run(ctx); close(done) }()
	for end := time.Now().Add(time.Minute); calls.Load() < 5 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if s.Status().State != Online {
		t.Errorf("got %+v", s.Status())
	}
	cancel()
	<-done
	if running.Load() != 0 {
		t.Error("Run returned while Serve runs")
	}
}

// Only known plans have limits.
func TestLimits(t *testing.T) {
	free, ok := LimitsOf("Free")
	if !ok || free.Requests != 20_000 || free.Out != 1e9 {
		t.Errorf("got %+v, %v", free, ok)
	}
	if _, ok := LimitsOf("Enterprise"); ok {
		t.Error("a plan that is not known has limits")
	}
}

// Settled never takes how the Want before ended for the outcome of the last
// one, however close Settled and the change of Want are.
func TestSettledIsAboutTheLastWant(t *testing.T) {
	s := &Supervisor{}
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { s.Run(ctx) })
	defer run.Wait()
	defer cancel()
	for round := range 5000 {
		s.Set(Want{})
		if st := s.Settled(ctx); st.State != Off {
			t.Fatalf("round %d: no tunnel is wanted, and the outcome is %q", round, st.State)
		}
		refused := &fake{open: func(context.Context, int64) (net.Listener, string, error) { return nil, "", NewFault("107", nil) }}
		s.Set(Want{Tunnel: refused})
		if st := s.Settled(ctx); st.State != Failed {
			t.Fatalf("round %d: the tunnel was refused, and the outcome is %q", round, st.State)
		}
	}
}
