package shim

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/dashboard"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/movepages"
	"github.com/key2oauth/key2oauth/shim/internal/origin"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/parcel"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/tunnel"
)

// ServeLocal serves the loopback side on ln until ctx ends or the owner quits,
// then lets calls finish for a few seconds. It calls ready once connections are
// accepted. After the owner has had everything deleted it returns ErrDeleted.
func (s *Shim) ServeLocal(ctx context.Context, ln net.Listener, ready func()) error {
	addr, err := netip.ParseAddrPort(ln.Addr().String())
	if err != nil || !addr.Addr().IsLoopback() {
		return fmt.Errorf("%s is not a loopback address", ln.Addr())
	}
	// The program holds both loopback addresses where it can.
	s.own.Store(&[]netip.AddrPort{addr, netip.AddrPortFrom(netip.IPv6Loopback(), addr.Port())})
	s.owner.Serve("http://" + addr.String())
	s.local.Store(origin.NewLocal(s.originConfig(), addr))

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var background sync.WaitGroup
	background.Go(func() { s.tokens.Run(ctx) })
	background.Go(func() { s.follow(ctx) })
	background.Go(func() { s.pulse.Run(ctx) })
	background.Go(func() { s.documents.Run(ctx) })
	s.vault.Start(ctx)
	s.sample.Tidy()
	s.reach.Drive()
	background.Go(func() { s.reach.Run(ctx) })

	srv := newServer(s.localSide(), s.log)
	srv.ConnContext = owner.WithPeer
	s.reclaimer.follow(srv)
	srv.BaseContext = func(net.Listener) context.Context { return context.WithoutCancel(ctx) }
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	if ready != nil {
		ready()
	}
	select {
	case err = <-done:
	case <-ctx.Done():
		err = s.drain(srv)
		<-done
	case <-s.control.Quitting():
		err = s.drain(srv) // which lets the answer to the request out
		<-done
	case <-s.control.Deleted():
		// The answer that says so is still on its way.
		if err := s.drain(srv); err != nil {
			s.log.Debug("ended with calls open", "err", err)
		}
		<-done
		err = ErrDeleted
	}
	cancel()
	background.Wait()
	return err
}

// follow passes on changes of the state, which the keychain may cause, until
// ctx ends.
func (s *Shim) follow(ctx context.Context) {
	for {
		changed := s.vault.Changed()
		s.control.Changed()
		s.reach.Drive()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// localSide serves the loopback side: consent, the owner's pages and the admin API,
// and for clients on this computer all that a public origin has. ServeLocal
// must serve it, because it knows the peer of each connection.
func (s *Shim) localSide() http.Handler {
	own := s.ownerRoutes()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if dashboard.IsPath(r.URL.Path) {
			own.ServeHTTP(w, r)
			return
		}
		s.local.Load().ServeHTTP(w, r)
	})
}

// ownerRoutes are wrapped as a whole: every route is held to the owner's OS
// user and to our own address, without each handler having to remember it.
func (s *Shim) ownerRoutes() http.Handler {
	showPage := func(w http.ResponseWriter, r *http.Request, e *httpx.Error) { web.ShowError(w, s.side(r, false), e) }
	m := http.NewServeMux()
	page := func(pattern string, h httpx.HandlerFunc) { m.Handle(pattern, httpx.Handle(s.log, showPage, h)) }
	s.dashboard.Routes(page)
	s.servers.Routes(page)
	s.connect.Routes(page)
	s.movePages.Routes(page)
	s.sample.Routes(page)
	page("GET /consent/{id}", s.signIns.ShowConsent)
	page("POST /consent/{id}", s.signIns.AnswerConsent)
	page("POST /consent/{id}/open", s.signIns.KeepOpen)
	s.adminAPI.Routes(m)

	show := func(w http.ResponseWriter, r *http.Request, e *httpx.Error) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			s.adminAPI.ShowError(w, r, e)
			return
		}
		showPage(w, r, e)
	}
	return httpx.Handle(s.log, show, s.owner.Door(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit(r.URL.Path))
		m.ServeHTTP(w, r)
	})))
}

// maxImport is how long a request with a file may be, in bytes: a form may
// write three characters for one.
const maxImport = 4 * endpoint.MaxExport

// maxMove is how long a form with the file of another computer may be.
const maxMove = parcel.MaxSize + 1<<20

// bodyLimit is how long the body of a request to the owner's side may be, in
// bytes.
func bodyLimit(path string) int64 {
	switch path {
	case "/settings/import", "/api/import":
		return maxImport
	case movepages.Path + "/in":
		return maxMove
	}
	return 64 << 10
}

// servePublic serves what the world may reach, and nothing else, on ln until
// ctx ends or ln fails. Calls then have two seconds to finish; what still runs,
// as every stream does, is cut. A write to a client that does not read may
// outlive that: it ends when the caller closes the tunnel under it.
func (s *Shim) servePublic(ctx context.Context, ln net.Listener, f tunnel.Front) error {
	u, err := url.Parse(f.Origin)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return fmt.Errorf("%q is not a public origin", f.Origin)
	}
	o := origin.NewPublic(s.originConfig(), u, string(f.ClientHeader))
	s.public.Store(o)
	if addr, err := netip.ParseAddrPort(ln.Addr().String()); err == nil {
		s.front.Store(&addr)
		defer s.front.CompareAndSwap(&addr, nil)
	}
	s.control.Changed()

	calls, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	srv := newServer(s.reach.Meter.Count(o), s.log)
	srv.BaseContext = func(net.Listener) context.Context { return calls }
	front := origin.NewListener(ln, s.reach.Meter.Wrote, s.isToken)
	front.Watch(srv)
	s.reclaimer.follow(srv)
	go front.Sweep(calls)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(front) }()
	select {
	case err = <-done: // the caller may close ln first, and end ctx then
	case <-ctx.Done():
		err = nil
	}
	// Wait a little: a call that was answered must arrive.
	patience, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if late := srv.Shutdown(patience); late != nil {
		cut()
		go srv.Close() // waits for the lock of a writer that is stuck
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// isToken reports whether an access token is valid.
func (s *Shim) isToken(token string) bool {
	access, err := s.tokens.Verify(token)
	if err != nil {
		return false
	}
	access.Release()
	return true
}

// drain lets calls finish. Streams that wait for messages would never end, so
// they are cut first; their clients come back once we do. A call that takes too
// long gets an error, if its protocol has a way to say so.
func (s *Shim) drain(srv *http.Server) error {
	const patience, farewell = 2 * time.Second, time.Second
	s.changes.Close()
	s.calls.Pause.CutStreams()
	finished := func(within time.Duration) bool {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		return srv.Shutdown(ctx) == nil
	}
	if finished(patience) {
		return nil
	}
	s.calls.Pause.CutCalls()
	if finished(farewell) {
		return nil
	}
	return srv.Close()
}

// newServer sets no limit on the time of a whole request: tools may work for
// many minutes, and streams stay open for days.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           httpx.CloseChunked(h),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    256 << 10, // arguments of tools travel in Mcp-Param headers
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
