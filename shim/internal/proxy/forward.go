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

// This file does what MCP needs of httputil.ReverseProxy. ReverseProxy would
// hand every body to another goroutine, and half of its work is for upgrades,
// trailers and interim answers, none of which pass here.

// forward sends the client's request to the upstream, and the answer back.
func (a *activeCall) forward() {
	a.asked = true
	if err := a.gather(); err != nil {
		a.fail(err)
		return
	}
	res, err := a.proxy.Client.Send(a.outgoing())
	// The transport may keep reading the request's body, which the HTTP server
	// does not allow after the handler has returned.
	defer a.left.Store(true)
	if err != nil {
		a.fail(err)
		return
	}
	if err := a.receive(res); err != nil {
		res.Body.Close()
		a.fail(err)
		return
	}
	defer res.Body.Close()
	if a.stream != nil || a.in.Method == http.MethodHead {
		a.writeHeader(res.StatusCode)
		a.flush() // the next write reports an error too
	}
	switch err := a.copy(res); {
	case err != nil && a.status == 0:
		a.torn(res, err)
	case err != nil:
		// The answer has begun, so only breaking the connection reports it.
		panic(http.ErrAbortHandler)
	case a.status == 0:
		a.writeHeader(res.StatusCode)
	}
}

// torn answers for an upstream that broke off before anything of its answer was
// sent.
func (a *activeCall) torn(res *http.Response, err error) {
	h := a.w.Header()
	for name := range res.Header {
		if passesAnswer(name) {
			delete(h, name)
		}
	}
	a.res = nil
	a.fail(err)
}

// outgoing returns the request for the upstream. The upstream's client adds the
// key, Host and the configured query.
func (a *activeCall) outgoing() *http.Request {
	in := a.in
	header := cleanRequest(in.Header, a.call.Upstream.Header)
	out := &http.Request{
		Method: in.Method, URL: a.target(), Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	switch {
	case a.body != nil:
		out.Body, out.ContentLength = (*requestBody)(a), int64(len(a.body))
	case a.spool != nil || in.ContentLength > 0:
		out.Body, out.ContentLength = (*requestBody)(a), in.ContentLength
	}
	return out.WithContext(a)
}

// gatherLimit is the longest body that is read whole before it is sent on.
const gatherLimit = 32 << 10

// gather reads a short body to its end. The goroutine that serves the call can
// then send it in one write; a body that is still arriving needs another one,
// since the answer may begin first.
func (a *activeCall) gather() error {
	n := a.in.ContentLength
	switch {
	case n < 0:
		return a.gatherUnknown()
	case n == 0 || n > gatherLimit:
		return nil
	}
	a.bodyMu.Lock()
	defer a.bodyMu.Unlock()
	body := make([]byte, n)
	for got := 0; got < len(body); {
		m, err := a.read(body[got:])
		if got += m; err != nil && got < len(body) {
			return err
		}
	}
	a.eof.Store(true)
	a.body = body
	return nil
}

// target is the URL that the request goes to.
func (a *activeCall) target() *url.URL {
	if a.message != nil {
		// The client's query is dropped: the upstream might prefer a second
		// session id in it to its own.
		u := *a.message.url
		return &u
	}
	u := *a.call.Upstream.URL
	u.RawQuery = cleanQuery(a.in.URL.RawQuery)
	if sub := a.call.Subpath; sub != "" && sub != "/" {
		escaped := strings.TrimSuffix(u.EscapedPath(), "/") + sub
		if path, err := url.PathUnescape(escaped); err == nil {
			u.Path, u.RawPath = path, escaped
		}
	}
	return &u
}

// cleanQuery drops parameters that servers read in different ways.
func cleanQuery(query string) string {
	if strings.ContainsAny(query, ";%") {
		if known, err := url.ParseQuery(query); err != nil {
			return known.Encode()
		}
	}
	return query
}

// dropNamed deletes the headers that Connection names. They are for one hop
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

// Answers are copied through pooled buffers. Short answers use a small one, and
// so do event streams, which may stay open and idle for hours. In a large one
// there is room for what the guard holds.
const (
	smallBuffer = 4 << 10
	largeBuffer = 32<<10 + holdRoom
	holdRoom    = 4 << 10
)

var smallBuffers, largeBuffers sync.Pool

// copy passes the answer to the client, each part at once if it is a stream or
// of unknown length.
func (a *activeCall) copy(res *http.Response) error {
	if a.small {
		buf, ok := smallBuffers.Get().(*[smallBuffer]byte)
		if !ok {
			buf = new([smallBuffer]byte)
		}
		defer smallBuffers.Put(buf)
		return a.copyThrough(buf[:], res)
	}
	if hold := a.guard.Guard.Hold(); hold > largeBuffer/2 {
		return a.copyThrough(make([]byte, hold+largeBuffer), res) // no real key is so long
	}
	buf, ok := largeBuffers.Get().(*[largeBuffer]byte)
	if !ok {
		buf = new([largeBuffer]byte)
	}
	defer largeBuffers.Put(buf)
	return a.copyThrough(buf[:], res)
}

// copyThrough copies a body through a buffer. What the guard holds stays at the
// buffer's beginning, and is less than the buffer: a small one is only for
// streams, which hold by themselves, and for bodies that fit into it.
//
// The header of an answer goes out with the first part of the body. Of a body
// whose length is known, that is as much as fits into the buffer: if the
// upstream breaks off in it, there is still an answer to give.
func (a *activeCall) copyThrough(buf []byte, res *http.Response) error {
	left := res.ContentLength
	flush := a.stream != nil || left < 0
	held := 0
	for {
		n, err := res.Body.Read(buf[held:])
		for left > int64(n) && a.status == 0 && err == nil && held+n < len(buf) {
			var more int
			more, err = res.Body.Read(buf[held+n:])
			n += more
		}
		if err != nil && err != io.EOF && a.status == 0 {
			return err
		}
		if left > 0 {
			left -= int64(n)
		}
		part := buf[:held+n]
		a.heard.Hear(part[held:])
		ready := len(part)
		if a.stream == nil {
			ready = a.guard.Next(part, held, err == io.EOF || left == 0)
		}
		if ready > 0 {
			if a.status == 0 {
				a.writeHeader(res.StatusCode)
			}
			if _, err := a.write(part[:ready]); err != nil {
				return err
			}
			if flush {
				if err := a.flush(); err != nil {
					return err
				}
			}
		}
		held = copy(buf, part[ready:])
		switch err {
		case nil:
		case io.EOF:
			a.whole = true
			return nil
		default:
			return err
		}
	}
}

// Value returns what the upstream's client looks up in a request's context.
func (a *activeCall) Value(key any) any {
	switch key {
	case upstream.TargetKey{}:
		return a.call.Upstream
	case upstream.BodyKey{}:
		if a.body == nil {
			return nil
		}
		return a.body
	}
	return a.Context.Value(key)
}

var _ context.Context = (*activeCall)(nil)
