package ngrok

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// The SDK's listener sometimes deadlocks when it is closed while connections
// arrive. That delays neither the owner nor the next opening.
func TestCloseUnderLoad(t *testing.T) {
	rounds := 5
	if testenv.InCI() {
		rounds = 100
	}
	k := newKit(t, tunneltest.Config{}, nil).run()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	var answered, wrong atomic.Int64
	for range 16 {
		wg.Go(func() {
			c := k.edge.Client(false)
			defer c.CloseIdleConnections()
			for ctx.Err() == nil {
				status, body, err := fetch(c, origin+"/")
				switch {
				case err == nil && status == 200 && body == "here":
					answered.Add(1)
				case err == nil && status == 200:
					wrong.Add(1)
				}
				if answered.Load()%7 == 0 { // a new connection now and then
					c.CloseIdleConnections()
				}
			}
		})
	}
	for range rounds {
		k.s.Set(tunnel.Want{Tunnel: k.ngrok(goodToken)})
		k.until("online", isOnline)
		before := answered.Load()
		k.eventually("requests are answered", func() bool { return answered.Load() > before+100 })
		k.s.Set(tunnel.Want{})
		k.until("off", func(s tunnel.Status) bool { return s.State == tunnel.Off })
	}
	cancel()
	wg.Wait()
	if wrong.Load() != 0 {
		t.Errorf("%d wrong answers", wrong.Load())
	}
}

// A hundred breaks during a stream of calls: every answer is correct, and the
// tunnel comes back each time.
func TestBreaksUnderLoad(t *testing.T) {
	breaks := 10
	if testenv.InCI() {
		breaks = 100
	}
	k := newKit(t, tunneltest.Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Query().Get("n")) })).run()
	k.s.Set(tunnel.Want{Tunnel: k.ngrok(goodToken)})
	k.until("online", isOnline)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var answered atomic.Int64
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			c := k.edge.Client(w%2 == 0)
			for n := 0; ctx.Err() == nil; n++ {
				want := fmt.Sprintf("%d-%d", w, n)
				status, body, err := fetch(c, origin+"/?n="+want)
				if err == nil && status == 200 {
					if body != want {
						t.Errorf("got %q, want %q", body, want)
					}
					answered.Add(1)
				}
			}
		})
	}
	for n := range breaks {
		switch n % 3 {
		case 0:
			k.edge.KillSessions()
		case 1:
			k.s.Reconnect()
		case 2:
			if err := k.edge.StopTunnel(domain, "", "Stopped."); err != nil && k.s.Status().State == tunnel.Online {
				t.Logf("break %d: %v", n, err)
			}
		}
		before := answered.Load()
		k.eventually("calls are answered again", func() bool { return answered.Load() > before+10 })
	}
	cancel()
	wg.Wait()
	k.until("online", isOnline)
}

// ngrok's connections do not support write deadlines, and say so.
func TestWriteDeadline(t *testing.T) {
	t.Parallel()
	said := make(chan error, 3)
	k := online(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		said <- c.SetWriteDeadline(time.Now().Add(time.Hour))
		said <- c.SetWriteDeadline(time.Time{})
		said <- c.SetReadDeadline(time.Now().Add(time.Hour))
	}))
	k.get("/")
	if err := <-said; !errors.Is(err, os.ErrNoDeadline) {
		t.Errorf("a write deadline: got %v", err)
	}
	if err := <-said; err != nil {
		t.Errorf("no write deadline: got %v", err)
	}
	if err := <-said; err != nil {
		t.Errorf("a read deadline: got %v", err)
	}
}

// BenchmarkRequest measures what the tunnel adds to a request over https.
func BenchmarkRequest(b *testing.B) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "here") })
	ask := func(b *testing.B, c *http.Client, u string) {
		for b.Loop() {
			if status, _, err := fetch(c, u); err != nil || status != 200 {
				b.Fatal(status, err)
			}
		}
	}
	b.Run("direct", func(b *testing.B) {
		srv := httptest.NewTLSServer(h)
		defer srv.Close()
		ask(b, srv.Client(), srv.URL)
	})
	b.Run("tunnel", func(b *testing.B) {
		edge := tunneltest.Start(b, tunneltest.Config{})
		s := &tunnel.Supervisor{Serve: serve(h)}
		s.Set(tunnel.Want{Tunnel: &Tunnel{Authtoken: tunnel.NewAuthtoken(goodToken), ConnectAddr: edge.Addr(), ConnectCAs: edge.CA()}})
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan bool)
		go func() { s.Run(ctx); close(done) }()
		for s.Status().State != tunnel.Online {
			time.Sleep(time.Millisecond)
		}
		ask(b, edge.Client(false), origin+"/")
		cancel()
		<-done
	})
}
