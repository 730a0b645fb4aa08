// Package idle gives up an idle HTTP/1.1 connection before its server does. A
// request that crosses the server's FIN would be lost, and nothing would tell
// whether it was done (RFC 9112, Section 9.5).
package idle

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/wire"
)

// errStale is the error of a connection that was idle for too long. Nothing was
// written to it, so http.Transport sends the request on another one.
var errStale = errors.New("the connection was idle for too long")

// A conn is a connection of an http.Transport that carries HTTP/1.1. It ends
// before its peer would end it: http.Transport itself does not know how long
// that is, and would lose the request that crosses the peer's FIN.
type conn struct {
	net.Conn
	limit time.Duration // how long it may be idle if its server says nothing
	stale atomic.Bool

	mu    sync.Mutex
	uses  int           // requests that got it
	keep  time.Duration // how long it may be idle
	since time.Time     // when it became idle; zero while a request has it
	timer *time.Timer
}

// Write writes nothing to a connection that is stale.
func (c *conn) Write(p []byte) (int, error) {
	if c.stale.Load() {
		return 0, errStale
	}
	return c.Conn.Write(p)
}

// Close also ends the timer.
func (c *conn) Close() error {
	c.mu.Lock()
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	return c.Conn.Close()
}

// take gives the connection to a request. The request cannot use it if it was
// idle for too long. It returns what free needs.
func (c *conn) take() (use int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.since.IsZero() && time.Since(c.since) >= c.keep {
		c.stale.Store(true)
	}
	c.since = time.Time{}
	c.uses++
	return c.uses
}

// free makes the connection idle, unless another request has it already.
func (c *conn) free(use int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.uses != use {
		return
	}
	c.since = time.Now()
	c.arm(c.keep)
}

// allow sets how long the connection may be idle.
func (c *conn) allow(keep time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep = keep
	if !c.since.IsZero() {
		c.arm(keep - time.Since(c.since))
	}
}

func (c *conn) arm(d time.Duration) {
	if c.timer == nil {
		c.timer = time.AfterFunc(d, c.expire)
		return
	}
	c.timer.Reset(d)
}

// expire ends the connection if it was idle for too long.
func (c *conn) expire() {
	c.mu.Lock()
	due := !c.since.IsZero() && time.Since(c.since) >= c.keep
	if due {
		c.stale.Store(true)
	}
	c.mu.Unlock()
	if due {
		c.Conn.Close()
	}
}

// A DialFunc is the DialContext of an http.Transport.
type DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// Dial returns a DialFunc for the http.Transport of a Transport. A connection
// may be idle for limit, or for less where its server says so.
func Dial(dial DialFunc, limit time.Duration) DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &conn{Conn: c, limit: limit, keep: wire.Keep(nil, limit)}, nil
	}
}

// A Transport sends requests through an http.Transport that dials with Dial.
type Transport struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (k Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	u := new(use)
	u.trace.GotConn = u.got
	u.trace.PutIdleConn = u.put
	resp, err := k.Transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), &u.trace)))
	if err != nil {
		return nil, err
	}
	if resp.ProtoMajor == 1 {
		if l := u.now.Load(); l != nil {
			l.conn.allow(wire.Keep(resp.Header, l.conn.limit))
		}
	}
	return resp, nil
}

// A use is one request on a connection, or on one after another if the first
// ones were closed.
type use struct {
	trace httptrace.ClientTrace
	now   atomic.Pointer[lease]
}

// A lease is a connection while it carries one request.
type lease struct {
	conn *conn
	use  int
}

// got is called with each connection that the request gets. One that carries
// HTTP/2 is never put back, so it is never idle; its peer says with GOAWAY which
// requests it will not answer (RFC 9113, Section 6.8).
func (u *use) got(info httptrace.GotConnInfo) {
	c := info.Conn
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if k, ok := c.(*conn); ok {
		u.now.Store(&lease{k, k.take()})
	}
}

// put is called when the connection is idle.
func (u *use) put(err error) {
	if h := u.now.Load(); h != nil && err == nil {
		h.conn.free(h.use)
	}
}
