package tunnel

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A failing is a supervised tunnel that fails, in a bubble of synctest.
type failing struct {
	*Supervisor
	tun  *fake
	told []State // each change of the status

	mu       sync.Mutex
	err      error // of opening; nil opens
	networks []net.Addr
	asleep   time.Duration
}

func runFailing(t *testing.T, err error) *failing {
	f := &failing{err: err, tun: new(fake)}
	f.tun.open = func(ctx context.Context, _ int64) (net.Listener, string, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.err != nil {
			return nil, "", f.err
		}
		return newPipe(), "https://mcp.example.com", nil
	}
	f.Supervisor = &Supervisor{
		Serve: func(ctx context.Context, _ net.Listener, _ Front) error { <-ctx.Done(); return nil },
		Pace: Pace{
			Addrs: func() ([]net.Addr, error) { f.mu.Lock(); defer f.mu.Unlock(); return f.networks, nil },
			Now:   func() time.Time { f.mu.Lock(); defer f.mu.Unlock(); return time.Now().Add(f.asleep) },
		},
	}
	f.Pace.Changed = func() { f.told = append(f.told, f.Status().State) }
	f.Set(Want{Tunnel: f.tun})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { f.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	f.pass(time.Second)
	return f
}

// pass lets time pass, and everything happen that is due.
func (f *failing) pass(d time.Duration) { time.Sleep(d); synctest.Wait() }

func (f *failing) becomes(err error) { f.mu.Lock(); f.err = err; f.mu.Unlock() }

func (f *failing) moves() {
	f.mu.Lock()
	f.networks = append(f.networks, &net.IPNet{IP: net.IPv4(10, 0, 0, byte(len(f.networks))), Mask: net.CIDRMask(8, 32)})
	f.mu.Unlock()
}

func (f *failing) sleeps() { f.mu.Lock(); f.asleep += 8 * time.Hour; f.mu.Unlock() }

// A pipe is a listener to which nothing connects.
type pipe struct{ closed chan struct{} }

func newPipe() *pipe { return &pipe{make(chan struct{})} }

func (p *pipe) Accept() (net.Conn, error) { <-p.closed; return nil, net.ErrClosed }
func (p *pipe) Close() error              { close(p.closed); return nil }
func (p *pipe) Addr() net.Addr            { return &net.TCPAddr{} }

// TestPermanentAgain: what only the owner can mend is tried again when it may
// have been mended elsewhere, and not otherwise. Each kind of permanent failure
// is tried, and all behave alike except a stop by the owner.
func TestPermanentAgain(t *testing.T) {
	for cause, p := range words {
		if !p.Permanent {
			continue
		}
		t.Run(string(cause), func(t *testing.T) {
			for _, tt := range []struct {
				name  string
				do    func(*failing)
				after time.Duration // in which it is tried, once
				quiet time.Duration // before, in which it is not
			}{
				{"nothing", func(*failing) {}, daily, daily - time.Minute},
				{"another network", (*failing).moves, restTime + 10*time.Second, restTime - 10*time.Second},
				{"sleep", (*failing).sleeps, restTime + 10*time.Second, restTime - 10*time.Second},
				{"a network that comes and goes", func(f *failing) {
					for range 5 {
						f.moves()
						f.pass(6 * time.Second)
					}
				}, restTime, 10 * time.Second},
			} {
				synctest.Test(t, func(t *testing.T) { // begins at midnight of 1 January 2000
					f := runFailing(t, NewFault(cause, nil))
					if st := f.Status(); st.State != Failed || f.tun.opened.Load() != 1 {
						t.Fatalf("%s: %s after %d attempts", tt.name, st.State, f.tun.opened.Load())
					}
					before, told := f.Status(), len(f.told)
					tt.do(f)
					f.pass(tt.quiet)
					if n := f.tun.opened.Load(); n != 1 {
						t.Errorf("%s: tried %d times too early", tt.name, n-1)
					}
					f.pass(tt.after - tt.quiet + time.Minute)
					want := int64(2)
					if cause == CauseStopped {
						want = 1
					}
					if n := f.tun.opened.Load(); n != want {
						t.Errorf("%s: tried %d times in all, want %d", tt.name, n, want)
					}
					if f.Status() != before || len(f.told) != told {
						t.Errorf("%s: in vain, and yet the status changed: %v", tt.name, f.told[told:])
					}
				})
			}
		})
	}
}

// TestPermanentPasses: once the cause is gone, the next attempt is the last,
// and the owner's word needs no waiting.
func TestPermanentPasses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		do    func(*failing)
		after time.Duration
		told  []State
	}{
		{"after a day", func(*failing) {}, daily + time.Minute, []State{Online}},
		{"in another network", (*failing).moves, restTime + 10*time.Second, []State{Online}},
		{"after sleep", (*failing).sleeps, restTime + 10*time.Second, []State{Online}},
		{"by the owner's word", func(f *failing) { f.Reconnect() }, time.Second, []State{Connecting, Online}},
		{"in a network that does not work at first", func(f *failing) {
			f.becomes(errors.New("no route"))
			f.moves()
			f.pass(restTime + 20*time.Second)
			f.becomes(nil)
		}, time.Minute, []State{Online}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := runFailing(t, NewFault("4026", nil))
				told := len(f.told)
				f.becomes(nil)
				tt.do(f)
				f.pass(tt.after)
				if st := f.Status(); st.State != Online || !slices.Equal(f.told[told:], tt.told) {
					t.Errorf("%s, told %v, want %v", st.State, f.told[told:], tt.told)
				}
			})
		})
	}
}

// TestQuotaRenewed: what the words put off to the next month is tried as soon
// as it has begun, in UTC, at any local time.
func TestQuotaRenewed(t *testing.T) {
	day := func(s string) time.Time {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, tt := range []struct{ failed, want string }{
		{"2026-11-30T10:00:00Z", "2026-12-01T00:00:00Z"},
		{"2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"},
		{"2028-02-29T00:00:01Z", "2028-03-01T00:00:00Z"},
		{"2026-12-01T05:00:00+14:00", "2026-12-01T00:00:00Z"}, // still November in UTC
		{"2026-11-30T20:00:00-08:00", "2026-12-02T04:00:00Z"}, // December in UTC: a day later
		{"2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z"},
		{"2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z"},
	} {
		failed, want := day(tt.failed), day(tt.want)
		for range 20 {
			got := again(failed)
			slack := got.Sub(want)
			if want.Sub(failed) == daily && slack != 0 || slack < 0 || slack > 2*renewedBy {
				t.Errorf("failed at %s: again at %s, want %s", tt.failed, got, tt.want)
			}
		}
	}
}
