package ngrok

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// A holdingHandler makes the SDK wait once, at the moment when it hands out a
// connection.
type holdingHandler struct {
	slog.Handler
	held chan bool // gets one when the SDK waits
	free chan bool // closed to let the SDK continue
}

func (h *holdingHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *holdingHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "ngrok: "+handsOut {
		select {
		case h.held <- true:
			<-h.free
		default:
		}
	}
	return nil
}

// ngrok takes the address offline at the moment when a connection arrives, so
// the SDK's listener deadlocks. That is noticed, and the tunnel comes back.
func TestListenerLocksItselfUp(t *testing.T) {
	k := newKit(t, tunneltest.Config{}, nil).run()
	n := k.ngrok(goodToken)
	hold := &holdingHandler{slog.DiscardHandler, make(chan bool), make(chan bool)}
	n.Log, n.stuck = slog.New(hold), 200*time.Millisecond
	k.s.Set(tunnel.Want{Tunnel: n})
	k.until("online", isOnline)
	go fetch(k.edge.Client(false), origin+"/")
	<-hold.held
	if err := k.edge.StopTunnel(domain, "", "Stopped."); err != nil {
		t.Fatal(err)
	}
	k.eventually("the SDK closes its listener", func() bool { return running("client.(*shutdown).Shut") })
	close(hold.free)
	k.eventually("a new session", func() bool { return len(k.edge.Auths()) == 2 })
	k.until("online", isOnline)
	k.works()
	if !running("client.(*shutdown).Shut") {
		t.Error("the SDK did not lock itself up, so nothing was shown here")
	}
	offline := false
	for _, s := range k.history() {
		offline = offline || s.State == tunnel.Retrying && s.Words == tunnel.ProblemOf(tunnel.CauseTakenOffline).Words
	}
	if !offline {
		t.Errorf("no status reported it: %+v", k.history())
	}
}

// running reports whether a goroutine is in function.
func running(function string) bool {
	buf := make([]byte, 1<<20)
	return strings.Contains(string(buf[:runtime.Stack(buf, true)]), function)
}
