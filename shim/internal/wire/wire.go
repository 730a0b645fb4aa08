// Package wire sends the small requests that most calls are over plain
// HTTP/1.1. It does on the caller's own goroutine what http.Transport does on
// three: there, a call is handed to one that writes and to one that reads,
// which costs more than all the rest of it.
//
// It parses nothing itself: answers come in through http.ReadResponse, so a
// peer that sends something odd meets the same code as with http.Transport.
// What is ours is how a request is written, which connection it goes to, and
// when a connection may be used again: after an answer that was read to its
// end, with nothing after it.
//
// Fits says which requests it takes; the rest is http.Transport's. It speaks
// no TLS.
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
	"time"
)

// maxBody is the longest body that is sent before the answer is looked at. It
// fits into what a peer's kernel takes without its program, so that the two
// cannot wait for each other.
const maxBody = 32 << 10

// A Transport sends requests and keeps connections. It is safe for concurrent
// use. Its fields must not be changed after the first request.
type Transport struct {
	// DialContext makes a connection.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// MaxHeader bounds the head of an answer, in bytes.
	MaxHeader int64
	// MaxIdlePerHost bounds the connections of one host that wait for a request,
	// IdleTimeout how long one does.
	MaxIdlePerHost int
	IdleTimeout    time.Duration

	pool pool
}

// Fits reports whether RoundTrip takes a request: a method that MCP uses, no
// trailers, a body that is short and of known length, and a plain host name.
// It does so only where the system can tell whether a connection that waited
// was closed meanwhile.
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
// escapes the path, and leaves the query to who set it.
func plainQuery(q string) bool {
	for _, c := range []byte(q) {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// plainHost reports whether a URL's host can be dialed and sent as it is: a
// name in ASCII or an address, with or without a port. http.Transport knows
// what to do with zones and with other scripts.
func plainHost(host string) bool {
	for _, c := range []byte(host) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("-._:[]", c) < 0 {
			return false
		}
	}
	return host != ""
}

// validHeader holds a header to what http.Transport accepts, and refuses what
// frames a message.
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

// CloseIdleConnections closes the connections that wait for a request.
func (t *Transport) CloseIdleConnections() { t.pool.close(time.Time{}) }

// RoundTrip sends a request that Fits. It follows http.RoundTripper: the
// request's body is closed in any case, and the context ends the exchange
// until the answer's body was read to its end or closed.
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

// again returns the request that is to be sent on another connection, or why
// there is none. A connection that was used before may have been closed by the
// peer at the very moment when we used it again. A request is only repeated if
// nothing of it was written, or if RFC 9110, Section 9.2.2 says that doing it
// twice is as good as once.
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
		if c.now.quiet() {
			c.reused, c.wrote, c.torn, c.got = true, false, false, false
			return c, nil
		}
		c.Close()
	}
	nc, err := t.DialContext(ctx, "tcp", dialAddr(req.URL))
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, now: nowOf(nc), t: t, host: req.URL.Host}
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

var errNothing = errors.New("nothing has arrived")

var errHeader = errors.New("the head of the answer is too long")

// writers are used while a request is written: an event stream that stays open
// for hours needs none.
var writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 4<<10) }}

// roundTrip sends a request over c and returns its answer, the body of which
// gives c back.
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
	a := &answer{body: resp.Body, ctx: req.Context(), uncancel: uncancel, c: c}
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

// receive reads the head of the answer.
func (c *conn) receive(req *http.Request) (*http.Response, error) {
	c.limited, c.left = true, c.t.MaxHeader
	defer func() { c.limited = false }()
	for { // over answers of the 1xx kind, all of which MaxHeader bounds together
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

// An answer is the body of an answer. It gives its connection back when it was
// read to its end, and closes it if it is closed before.
type answer struct {
	body     io.ReadCloser
	ctx      context.Context
	uncancel func() bool
	last     bool // the connection carries no exchange after this one

	mu    sync.Mutex // Close may come while somebody reads
	c     *conn      // nil once it is over
	whole bool       // it was read to its end
}

func (a *answer) Read(p []byte) (int, error) {
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

func (a *answer) Close() error {
	a.end(false)
	return nil
}

// end ends the exchange. The connection waits for the next one if the answer
// was read to its end, nothing came after it, and nobody has canceled.
func (a *answer) end(whole bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.c
	if c == nil {
		return
	}
	a.c, a.whole = nil, whole
	if calm := a.uncancel(); whole && calm && !a.last && c.in.Buffered() == 0 && c.now != nil {
		c.t.pool.put(c)
		return
	}
	c.Close()
}
