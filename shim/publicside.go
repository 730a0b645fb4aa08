package shim

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/reach"
	"github.com/key2oauth/key2oauth/tunnel"
)

// maxConns bounds the connections of a public side. One person's clients have
// dozens; each costs about 20 kB while it waits.
const maxConns = 2048

// servePublic serves what the world may reach, and nothing else, on ln until
// ctx ends or ln fails. Calls then have two seconds to finish; what still runs,
// as every stream does, is cut. A write to a client that does not read may
// outlive that: it ends when the caller closes the tunnel under it.
func (s *Shim) servePublic(ctx context.Context, ln net.Listener, f tunnel.Front) error {
	u, err := url.Parse(f.Origin)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return fmt.Errorf("%q is no public origin", f.Origin)
	}
	o := s.newPublicOrigin(u, string(f.ClientHeader))
	s.public.Store(o)
	s.control.Changed()

	calls, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	srv := newServer(s.reach.Meter.Count(o), s.log)
	srv.BaseContext = func(net.Listener) context.Context { return calls }
	done := make(chan error, 1)
	go func() { done <- srv.Serve(&publicListener{Listener: ln, meter: &s.reach.Meter}) }()
	select {
	case err = <-done: // the caller may close ln first, and end ctx then
	case <-ctx.Done():
		err = nil
	}
	// Not at once: a call that was answered must arrive.
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

// issuer finds the authorization server that got a request. It is nil if we are
// not reached at that origin any more.
func (s *Shim) issuer(name string) *oauth.Server {
	for _, o := range []*origin{s.local.Load(), s.public.Load()} {
		if o != nil && o.as.Issuer == name {
			return o.as
		}
	}
	return nil
}

// A publicListener bounds the connections of the public side, and counts what
// goes out by them.
type publicListener struct {
	net.Listener
	meter *reach.Meter
	open  atomic.Int64
}

func (l *publicListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= maxConns {
			return &publicConn{Conn: c, l: l}, nil
		}
		l.open.Add(-1)
		c.Close()
	}
}

type publicConn struct {
	net.Conn
	l      *publicListener
	closed atomic.Bool
}

func (c *publicConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.l.meter.Wrote(n)
	return n, err
}

func (c *publicConn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.l.open.Add(-1)
	}
	return c.Conn.Close()
}
