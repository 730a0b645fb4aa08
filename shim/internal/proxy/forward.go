package proxy

import (
	"context"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"sync"

	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// What httputil.ReverseProxy does is done here for what MCP needs of it. It
// knows nothing of what arrived when, so it would hand every body to another
// goroutine; and half of its work is for upgrades, trailers and answers of the
// 1xx kind, none of which pass.

// forward sends the client's request on and the answer back.
func (e *exchange) forward() {
	if err := e.gather(); err != nil {
		e.failed(err)
		return
	}
	res, err := e.proxy.Client.Send(e.outgoing())
	// The transport may go on reading the request's body; the HTTP server does
	// not allow that after the handler has returned.
	defer e.left.Store(true)
	if err != nil {
		e.failed(err)
		return
	}
	if err := e.answered(res); err != nil {
		res.Body.Close()
		e.failed(err)
		return
	}
	defer res.Body.Close()
	e.writeHeader(res.StatusCode)
	flush := e.stream != nil || res.ContentLength < 0
	if flush {
		e.flush() // an error shows at the next write, at the latest
	}
	if err := e.copy(res.Body, flush); err != nil {
		// The answer has begun, so only a broken connection can tell.
		panic(http.ErrAbortHandler)
	}
}

// outgoing is the client's request as the upstream gets it, but for what the
// upstream's client does to every request: key, Host, configured query.
func (e *exchange) outgoing() *http.Request {
	in := e.in
	header := cleanRequest(in.Header, e.call.Upstream.Header)
	out := &http.Request{
		Method: in.Method, URL: e.target(), Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if in.ContentLength != 0 {
		out.Body, out.ContentLength = (*requestBody)(e), in.ContentLength
	}
	return out.WithContext(e)
}

// gatherLimit is the longest body that is read whole before it is sent on.
const gatherLimit = 32 << 10

// gather reads a short body to its end. The goroutine that serves the call can
// then send it in one write; a body that is still arriving needs another one,
// since the answer may begin first.
func (e *exchange) gather() error {
	n := e.in.ContentLength
	if n <= 0 || n > gatherLimit {
		return nil
	}
	e.reading.Lock()
	defer e.reading.Unlock()
	body := make([]byte, n)
	for got := 0; got < len(body); {
		m, err := e.read(body[got:])
		if got += m; err != nil && got < len(body) {
			return err
		}
	}
	e.eof.Store(true)
	e.body = body
	return nil
}

// target is where the request goes.
func (e *exchange) target() *url.URL {
	if e.message != nil {
		// Of the query only the upstream's: a second session id that a client
		// adds to it might count for more.
		u := *e.message.url
		return &u
	}
	u := *e.call.Upstream.URL
	u.RawQuery = cleanQuery(e.in.URL.RawQuery)
	if sub := e.call.Subpath; sub != "" && sub != "/" {
		escaped := strings.TrimSuffix(u.EscapedPath(), "/") + sub
		if path, err := url.PathUnescape(escaped); err == nil {
			u.Path, u.RawPath = path, escaped
		}
	}
	return &u
}

// cleanQuery drops the parameters that not every server reads in the same way.
func cleanQuery(query string) string {
	if strings.ContainsAny(query, ";%") {
		if known, err := url.ParseQuery(query); err != nil {
			return known.Encode()
		}
	}
	return query
}

// dropNamed deletes the headers that Connection names: they are for one hop
// (RFC 9110, Section 7.6.1).
func dropNamed(h http.Header, connection []string) {
	for _, v := range connection {
		for name := range strings.SplitSeq(v, ",") {
			if name = textproto.TrimString(name); name != "" {
				h.Del(name)
			}
		}
	}
}

// Answers are copied through pooled buffers: a small one if the answer is, or
// if it is an event stream, which may stay open and idle for hours.
const (
	smallBuffer = 4 << 10
	largeBuffer = 32 << 10
)

var smallBuffers, largeBuffers sync.Pool

// copy passes the answer's body on, each part at once if flush is set.
func (e *exchange) copy(body io.Reader, flush bool) error {
	if e.small {
		buf, ok := smallBuffers.Get().(*[smallBuffer]byte)
		if !ok {
			buf = new([smallBuffer]byte)
		}
		defer smallBuffers.Put(buf)
		return e.copyThrough(buf[:], body, flush)
	}
	buf, ok := largeBuffers.Get().(*[largeBuffer]byte)
	if !ok {
		buf = new([largeBuffer]byte)
	}
	defer largeBuffers.Put(buf)
	return e.copyThrough(buf[:], body, flush)
}

func (e *exchange) copyThrough(buf []byte, body io.Reader, flush bool) error {
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if _, err := e.write(buf[:n]); err != nil {
				return err
			}
			if flush {
				if err := e.flush(); err != nil {
					return err
				}
			}
		}
		switch err {
		case nil:
		case io.EOF:
			e.whole = true
			return nil
		default:
			return err
		}
	}
}

// Value gives the upstream's client what it looks for in a request's context.
func (e *exchange) Value(key any) any {
	switch key {
	case upstream.TargetKey{}:
		return e.call.Upstream
	case upstream.BodyKey{}:
		if e.body == nil {
			return nil
		}
		return e.body
	}
	return e.Context.Value(key)
}

var _ context.Context = (*exchange)(nil)
