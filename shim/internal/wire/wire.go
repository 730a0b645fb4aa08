// Package wire sends small requests, as most calls are, over plain HTTP/1.1. It
// works on the caller's goroutine. http.Transport hands a call to a goroutine
// that writes and to one that reads, which costs more than the rest of the call.
//
// It parses nothing itself: http.ReadResponse reads the answers, as it does for
// http.Transport. Ours is how a request is written, which connection it goes
// to, and when a connection may be used again: after an answer that was read to
// its end, with nothing after it.
//
// Fits reports which requests it takes; http.Transport sends the others. It
// speaks no TLS.
package wire

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxBody is the longest body that is sent before the answer is read. It fits
// into the socket buffers, so the two sides cannot block each other.
const maxBody = 32 << 10

// A Transport sends requests and keeps idle connections. It is safe for
// concurrent use. Its fields must not be changed after the first request.
type Transport struct {
	// DialContext makes a connection.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// MaxHeader bounds the header of an answer, in bytes.
	MaxHeader int64
	// MaxIdlePerHost bounds the idle connections of one host, IdleTimeout how
	// long a connection may be idle, even if its peer allows more; see Keep.
	MaxIdlePerHost int
	IdleTimeout    time.Duration

	pool pool
	era  atomic.Int64 // counts the calls of Renew
}

// Fits reports whether RoundTrip takes a request: a method that MCP uses, no
// trailers, a short body of known length, and a plain host name. It is false
// where the system cannot tell whether an idle connection was closed.
func Fits(req *http.Request) bool {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodDelete:
	case http.MethodPost:
	default:
		return false
	}
	body := req.Body != nil && req.Body != http.NoBody
	if body && (req.ContentLength <= 0 || req.ContentLength > maxBody) || !body && req.ContentLength > 0 {
		return false
	}
	return canProbe && !req.Close && len(req.TransferEncoding) == 0 && len(req.Trailer) == 0 &&
		req.URL.Scheme == "http" && req.URL.Opaque == "" && plainHost(req.URL.Host) &&
		(req.Host == "" || plainHost(req.Host)) && plainQuery(req.URL.RawQuery) && validHeader(req.Header)
}

// plainQuery reports whether a query can be put into a request line: url.URL
// escapes only the path.
func plainQuery(q string) bool {
	for _, c := range []byte(q) {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// plainHost reports whether a URL's host can be dialed and sent as it is: a
// name in ASCII or an address, with or without a port. Zones and other scripts
// are left to http.Transport.
func plainHost(host string) bool {
	for _, c := range []byte(host) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("-._:[]", c) < 0 {
			return false
		}
	}
	return host != ""
}

// validHeader reports whether http.Transport would accept a header, and it holds
// no field that frames a message.
func validHeader(h http.Header) bool {
	for name, values := range h {
		switch textproto.CanonicalMIMEHeaderKey(name) {
		case "", "Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Te", "Upgrade", "Expect":
			return false
		}
		for _, c := range []byte(name) {
			// RFC 9110, Section 5.6.2.
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
				return false
			}
		}
		for _, v := range values {
			for _, c := range []byte(v) {
				if c < ' ' && c != '\t' || c == 0x7f {
					return false
				}
			}
		}
	}
	return true
}

// CloseIdleConnections closes the idle connections.
func (t *Transport) CloseIdleConnections() { t.pool.close(time.Time{}) }

// Renew makes every request from now on go to a connection that is made from
// now on. Those that are under way keep theirs.
func (t *Transport) Renew() {
	t.era.Add(1)
	t.CloseIdleConnections()
}

// RoundTrip sends a request that Fits. As http.RoundTripper demands, it always
// closes the request's body, and the context can end the exchange until the
// answer's body was read to its end or closed.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	for {
		c, err := t.conn(req)
		if err != nil {
			closeBody(req)
			return nil, err
		}
		resp, err := c.roundTrip(req)
		if err == nil {
			return resp, nil
		}
		c.Close()
		if cause := context.Cause(req.Context()); cause != nil {
			return nil, cause
		}
		if req, err = t.again(c, req, err); err != nil {
			return nil, err
		}
	}
}

// again returns the request to send on another connection, or the error if it
// must not be repeated. A peer may close an idle connection at the very moment
// when we use it again. A request is repeated only if nothing of it was
// written, or if it is idempotent (RFC 9110, Section 9.2.2).
func (t *Transport) again(c *conn, req *http.Request, err error) (*http.Request, error) {
	if !c.reused || c.got {
		return nil, err
	}
	body := req.Body != nil && req.Body != http.NoBody
	safe := req.Method == http.MethodGet || req.Method == http.MethodHead
	if c.wrote && (!safe || body) || body && req.GetBody == nil {
		return nil, err
	}
	if !body {
		return req, nil
	}
	next := *req
	b, bodyErr := req.GetBody()
	if bodyErr != nil {
		return nil, err
	}
	next.Body = b
	return &next, nil
}

// conn returns a connection for a request.
func (t *Transport) conn(req *http.Request) (*conn, error) {
	ctx := req.Context()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	for {
		c := t.pool.get(req.URL.Host)
		if c == nil {
			break
		}
		if c.probe.quiet() {
			c.reused, c.wrote, c.torn, c.got = true, false, false, false
			return c, nil
		}
		c.Close()
	}
	era := t.era.Load()
	nc, err := t.DialContext(ctx, "tcp", dialAddr(req.URL))
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, probe: newProbe(nc), t: t, host: req.URL.Host, era: era}
	c.in = bufio.NewReaderSize(c, 2<<10)
	return c, nil
}

func dialAddr(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// ErrHeader reports an answer whose header is longer than MaxHeader.
var ErrHeader = errors.New("the header of the answer is too long")

// writers are pooled and used only while a request is written: an event stream
// that stays open for hours needs none.
var writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 4<<10) }}

// roundTrip sends a request over c and returns its answer, whose body returns c
// to the pool.
func (c *conn) roundTrip(req *http.Request) (*http.Response, error) {
	uncancel := context.AfterFunc(req.Context(), c.cancel)
	sent := c.send(req)
	if sent != nil && !c.torn {
		uncancel()
		return nil, sent
	}
	resp, err := c.receive(req)
	if err != nil {
		uncancel()
		return nil, cmp.Or(sent, err)
	}
	c.keep = Keep(resp.Header, c.t.IdleTimeout)
	a := &answerBody{body: resp.Body, ctx: req.Context(), uncancel: uncancel, c: c}
	a.last = sent != nil || resp.Close || resp.StatusCode == http.StatusSwitchingProtocols
	if resp.Body == http.NoBody || resp.ContentLength == 0 || req.Method == http.MethodHead {
		a.end(true)
		resp.Body = http.NoBody
		return resp, nil
	}
	resp.Body = a
	return resp, nil
}

func (c *conn) send(req *http.Request) error {
	w := writers.Get().(*bufio.Writer)
	w.Reset(sink{c})
	err := writeRequest(w, req)
	w.Reset(nil)
	writers.Put(w)
	return err
}

// receive reads the header of the answer.
func (c *conn) receive(req *http.Request) (*http.Response, error) {
	c.limited, c.left = true, c.t.MaxHeader
	defer func() { c.limited = false }()
	for { // skip interim answers (1xx), which count toward MaxHeader too
		resp, err := http.ReadResponse(c.in, req)
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) && !c.got {
				err = io.EOF
			}
			return nil, err
		}
		if resp.StatusCode/100 != 1 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
	}
}

// An answerBody is the body of an answer. It returns its connection to the pool
// when it was read to its end, and closes the connection if it is closed before.
type answerBody struct {
	body     io.ReadCloser
	ctx      context.Context
	uncancel func() bool
	last     bool // the connection must not be used again

	mu    sync.Mutex // Close may come during a Read
	c     *conn      // nil at the end
	whole bool       // it was read to its end
}

func (a *answerBody) Read(p []byte) (int, error) {
	a.mu.Lock()
	over, whole := a.c == nil, a.whole
	a.mu.Unlock()
	switch {
	case whole:
		return 0, io.EOF
	case over:
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := a.body.Read(p)
	if err == nil {
		return n, nil
	}
	if err != io.EOF {
		if cause := context.Cause(a.ctx); cause != nil {
			err = cause
		}
	}
	a.end(err == io.EOF)
	return n, err
}

func (a *answerBody) Close() error {
	a.end(false)
	return nil
}

// end ends the exchange. The connection is kept if the answer was read to its
// end, nothing came after it, and the request was not canceled.
func (a *answerBody) end(whole bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.c
	if c == nil {
		return
	}
	a.c, a.whole = nil, whole
	if calm := a.uncancel(); whole && calm && !a.last && c.in.Buffered() == 0 && c.probe != nil {
		c.t.pool.put(c)
		return
	}
	c.Close()
}
