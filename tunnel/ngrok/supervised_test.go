package ngrok

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// Reconnect resumes the session, so our own old session does not block the
// address.
func TestReconnectWhileOnline(t *testing.T) {
	t.Parallel()
	k := online(t, nil)
	k.s.Reconnect()
	k.eventually("the session is resumed", func() bool { return len(k.edge.Binds()) == 2 })
	k.until("online", isOnline)
	k.works()
	if a := k.edge.Auths()[1]; a.ClientID == "" {
		t.Errorf("a new session: %+v", a)
	}
}

// The program ends even if the edge does nothing.
func TestStopWhileFrozen(t *testing.T) {
	t.Parallel()
	k := online(t, nil)
	k.edge.Freeze()
	start := time.Now()
	k.stop()
	if took := time.Since(start); took > 10*(closeTime+abandonTime) {
		t.Errorf("took %v", took)
	}
}

// After sleep we reconnect at once, not only when the SDK notices.
func TestN04Wakes(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	k := newKit(t, tunneltest.Config{}, nil)
	k.s.Pace.Look = 5 * time.Millisecond
	k.s.Pace.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	k.run()
	k.s.Set(tunnel.Want{Tunnel: k.ngrok(goodToken)})
	k.until("online", isOnline)
	k.works()
	ahead.Store(int64(time.Hour))
	k.eventually("the session is resumed", func() bool { return len(k.edge.Binds()) == 2 })
	k.until("online", isOnline)
	k.works()
}

// A network change that keeps the connection's own address does not break it. A
// network change while the tunnel is away makes it try again.
func TestN04NetworkChanges(t *testing.T) {
	t.Parallel()
	var networks, looks atomic.Int64
	k := newKit(t, tunneltest.Config{}, nil)
	k.s.Pace.Look = 5 * time.Millisecond
	k.s.Pace.Addrs = func() ([]net.Addr, error) {
		looks.Add(1)
		return []net.Addr{&net.IPNet{IP: net.IPv4(10, 0, 0, byte(networks.Load())), Mask: net.CIDRMask(8, 32)}}, nil
	}
	k.run()
	n := k.ngrok(goodToken)
	n.firstWait = time.Hour
	k.s.Set(tunnel.Want{Tunnel: n})
	k.until("online", isOnline)
	networks.Add(1)
	before := looks.Load()
	k.eventually("the change was seen", func() bool { return looks.Load() > before+20 })
	k.works()
	if got := len(k.edge.Auths()); got != 1 {
		t.Errorf("the session was broken: %d attempts", got)
	}
	k.edge.Close()
	k.until("waiting", func(s tunnel.Status) bool { return s.State == tunnel.Retrying && time.Until(s.Retry) > time.Minute })
	if err := k.edge.Reopen(); err != nil {
		t.Fatal(err)
	}
	networks.Add(1)
	k.until("online, an hour before its time", isOnline)
}

// A slow Notify gets the last status, but not every one, and delays nothing.
func TestNotify(t *testing.T) {
	t.Parallel()
	k := newKit(t, tunneltest.Config{}, nil)
	blocked, released := make(chan bool, 1), make(chan bool)
	release := sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	var last atomic.Value
	var calls atomic.Int64
	k.s.Notify = func(s tunnel.Status) {
		if calls.Add(1) == 1 {
			blocked <- true
			<-released
		}
		last.Store(s.State)
	}
	k.run()
	<-blocked
	for range 20 {
		k.s.Set(tunnel.Want{Tunnel: k.ngrok(goodToken)})
		k.until("online", isOnline)
		k.s.Set(tunnel.Want{})
		k.until("off", func(s tunnel.Status) bool { return s.State == tunnel.Off })
	}
	release()
	k.eventually("the last status is told", func() bool { return last.Load() == tunnel.Off })
	if n := calls.Load(); n > 3 {
		t.Errorf("got %d calls", n)
	}
}

// A Set that only changes Known does not break an open tunnel.
func TestSetTheSame(t *testing.T) {
	t.Parallel()
	k := newKit(t, tunneltest.Config{}, nil).run()
	n := k.ngrok(goodToken)
	k.s.Set(tunnel.Want{Tunnel: n})
	k.until("online", isOnline)
	k.s.Set(tunnel.Want{Tunnel: n, Known: origin})
	time.Sleep(50 * time.Millisecond) // time for another attempt, which must not come
	k.works()
	if got := len(k.edge.Auths()); got != 1 || k.s.Status().State != tunnel.Online {
		t.Errorf("got %d attempts, %+v", got, k.s.Status())
	}
}
