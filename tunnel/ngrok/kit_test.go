package ngrok

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

const (
	goodToken = "2good_authtoken_of_a_test"
	domain    = tunneltest.DefaultDomain
	origin    = "https://" + domain
)

// A kit is a Supervisor that serves a handler, with an edge.
type kit struct {
	t    *testing.T
	edge *tunneltest.Edge
	s    *tunnel.Supervisor
	log  *testenv.Output // at debug level
	stop func()          // ends Run and waits for it

	mu   sync.Mutex
	seen []tunnel.Status
}

// newKit starts a Supervisor with no tunnel to open yet.
func newKit(t *testing.T, c tunneltest.Config, h http.Handler) *kit {
	t.Helper()
	if h == nil {
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "here") })
	}
	k := &kit{t: t, edge: tunneltest.Start(t, c), log: new(testenv.Output)}
	k.s = &tunnel.Supervisor{
		Serve: serve(h),
		Log:   slog.New(slog.NewJSONHandler(k.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Pace: tunnel.Pace{
			MinWait: 10 * time.Millisecond, MaxWait: 50 * time.Millisecond,
			Drain: 300 * time.Millisecond, HeldLong: time.Hour,
		},
	}
	k.s.Pace.Changed = func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.seen = append(k.seen, k.s.Status())
	}
	return k
}

// run starts Run.
func (k *kit) run() *kit {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); k.s.Run(ctx) }()
	k.stop = func() { cancel(); <-done }
	k.t.Cleanup(k.stop)
	return k
}

// serve does what the program does with a tunnel.
func serve(h http.Handler) func(context.Context, net.Listener, tunnel.Front) error {
	return func(ctx context.Context, ln net.Listener, _ tunnel.Front) error {
		srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
		done := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(done)
			sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tunnel.DrainTime)
			defer cancel()
			srv.Shutdown(sctx)
		})
		err := srv.Serve(ln)
		if !stop() {
			<-done
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	}
}

// ngrok returns a tunnel through the kit's edge.
func (k *kit) ngrok(token string) *Tunnel {
	return &Tunnel{Authtoken: tunnel.NewAuthtoken(token), Log: k.s.Log, ConnectAddr: k.edge.Addr(), ConnectCAs: k.edge.CA()}
}

// online starts everything and waits until the tunnel is open.
func online(t *testing.T, h http.Handler) *kit {
	t.Helper()
	k := newKit(t, tunneltest.Config{}, h).run()
	k.s.Set(tunnel.Want{Tunnel: k.ngrok(goodToken)})
	k.until("online", isOnline)
	return k
}

func isOnline(s tunnel.Status) bool { return s.State == tunnel.Online }

func isCode(state tunnel.State, code string) func(tunnel.Status) bool {
	return func(s tunnel.Status) bool { return s.State == state && s.Code == code }
}

const patience = time.Minute

// until waits for a status, and returns it.
func (k *kit) until(what string, cond func(tunnel.Status) bool) tunnel.Status {
	k.t.Helper()
	var s tunnel.Status
	k.eventually(what, func() bool { s = k.s.Status(); return cond(s) })
	return s
}

func (k *kit) eventually(what string, cond func() bool) {
	k.t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			k.t.Fatalf("not within %v: %s; now %+v\nlog:\n%s", patience, what, k.s.Status(), k.log)
		}
	}
}

// get requests path through the edge.
func (k *kit) get(path string) (int, string) {
	k.t.Helper()
	status, body, err := fetch(k.edge.Client(false), origin+path)
	if err != nil {
		k.t.Fatal(err)
	}
	return status, body
}

func fetch(c *http.Client, u string) (int, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

// works waits until requests are answered.
func (k *kit) works() {
	k.t.Helper()
	k.eventually("a request is answered", func() bool {
		status, body, err := fetch(k.edge.Client(false), k.s.Status().Origin+"/")
		return err == nil && status == 200 && body == "here"
	})
}

// history returns all statuses so far.
func (k *kit) history() []tunnel.Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]tunnel.Status(nil), k.seen...)
}
