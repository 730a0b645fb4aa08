//go:build !race

// The SDK has a data race when a heartbeat times out, and when it finds a
// session dead that it did not close itself.

package ngrok

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// quick makes an Agent that notices a dead session soon.
func (k *kit) quick() *Tunnel {
	n := k.ngrok(goodToken)
	n.heartbeat, n.tolerance = 100*time.Millisecond, 200*time.Millisecond
	return n
}

// A session that goes silent is noticed and comes back.
func TestFrozen(t *testing.T) {
	k := newKit(t, tunneltest.Config{}, nil).run()
	k.s.Set(tunnel.Want{Tunnel: k.quick()})
	k.until("online", isOnline)
	k.edge.Freeze()
	k.until("retrying", func(s tunnel.Status) bool { return s.State == tunnel.Retrying })
	k.edge.Thaw()
	k.until("online", isOnline)
	k.works()
}

// Fifty broken sessions leave nothing behind.
func TestLeaksNothing(t *testing.T) {
	stacks := func() string {
		buf := make([]byte, 1<<20)
		return string(buf[:runtime.Stack(buf, true)])
	}
	// Every goroutine of a tunnel has this package, the SDK or its multiplexer
	// on its stack. No parallel tests run now.
	count := func() int {
		n := 0
		for g := range strings.SplitSeq(stacks(), "\n\n") {
			if strings.Contains(g, "golang.ngrok.com/") || strings.Contains(g, "key2oauth/tunnel.(*") || strings.Contains(g, "key2oauth/tunnel/ngrok.(*") {
				n++
			}
		}
		return n
	}
	before := count()
	k := newKit(t, tunneltest.Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "here") })).run()
	k.s.Set(tunnel.Want{Tunnel: k.quick()})
	k.until("online", isOnline)
	k.works()
	for n := range 50 {
		k.edge.KillSessions()
		k.eventually("the session is resumed", func() bool { return len(k.edge.Binds()) >= n+2 })
		k.until("online", isOnline)
	}
	k.works()
	for range 10 {
		k.s.Set(tunnel.Want{Tunnel: k.quick()})
		k.until("online again", func(s tunnel.Status) bool { return s.State == tunnel.Online && k.edge.Sessions() == 1 })
	}
	k.stop()
	k.edge.Close()
	var after int
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if after = count(); after <= before {
			return
		}
	}
	t.Errorf("%d goroutines before, %d after:\n%s", before, after, stacks())
}
