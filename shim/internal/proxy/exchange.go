package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// statusLeft is nginx's number for a client that left before the answer.
const statusLeft = 499

// watchAfter is how long a call may take before a goroutine waits for its end
// from outside. Most calls are over by then and never need one.
const watchAfter = 250 * time.Millisecond

// An exchange is one call under way. It is the request's context and its body
// in one, so that a call costs one allocation for both.
type exchange struct {
	context.Context
	proxy  *Proxy
	call   *Call
	in     *http.Request
	w      http.ResponseWriter
	cancel context.CancelFunc
	start  time.Time

	// The request's body. The transport may still read it when the answer has
	// begun, so what is found in it has a lock.
	reading sync.Mutex  // held while the client's body is read
	taken   bool        // under reading: the transport gets no more of it
	size    int64       // under reading
	from    io.Reader   // under reading: where it comes from
	body    []byte      // all of it, if that was at hand from the beginning
	sent    int         // of body, to a client that does not know BodyKey
	left    atomic.Bool // the handler has returned, so it must not be read
	eof     atomic.Bool // nothing more comes of it
	broken  atomic.Bool // it ended early
	found   sync.Mutex
	scan    scan

	// The answer.
	status    int
	success   bool
	confirmed bool
	dead      bool // the key is rejected
	small     bool // the answer needs no large buffer
	res       *http.Response
	whole     bool        // all of its body was read
	begun     atomic.Bool // the status line went out
	duplex    bool        // it went out while the request was still being read

	watcher  *time.Timer
	watching sync.WaitGroup
	wasCut   atomic.Bool
	over     atomic.Bool

	stream  *stream     // of an event stream, else nil
	message *messageURL // where a legacy stream's message goes, else nil
}

func (p *Proxy) begin(w http.ResponseWriter, r *http.Request, c *Call) *exchange {
	e := &exchange{proxy: p, call: c, in: r, w: w, start: time.Now()}
	e.from = r.Body
	e.Context, e.cancel = context.WithCancel(r.Context())
	e.watching.Add(1)
	e.watcher = time.AfterFunc(watchAfter, e.watch)
	return e
}

// watch ends the exchange when the client is gone or the call is to be cut.
func (e *exchange) watch() {
	defer e.watching.Done()
	select {
	case <-e.call.Done:
		e.cut()
	case <-e.call.Paused:
		e.cut()
	case <-e.Context.Done():
		if !e.over.Load() {
			e.unblock()
		}
	}
}

// cut ends the exchange from our side.
func (e *exchange) cut() {
	e.wasCut.Store(true)
	e.cancel()
	e.unblock()
}

// unblock ends reads from and writes to a client that does nothing: the
// context alone would not.
func (e *exchange) unblock() {
	rc := http.NewResponseController(e.w)
	past := time.Unix(1, 0)
	if !e.eof.Load() && e.in.ContentLength != 0 {
		rc.SetReadDeadline(past)
	}
	if e.begun.Load() {
		rc.SetWriteDeadline(past)
	}
}

// finish ends everything that belongs to the exchange and reports it.
func (e *exchange) finish() {
	if e.duplex && !e.eof.Load() {
		// The HTTP server reads what the client still sends, for a while.
		http.NewResponseController(e.w).SetReadDeadline(time.Now().Add(5 * time.Second))
	}
	if e.stream != nil {
		e.stream.end() // while the watcher can still end a write of its
	}
	e.over.Store(true)
	e.cancel()
	if !e.watcher.Stop() {
		e.watching.Wait()
	}
	m := e.outcome()
	if e.success && m.Status < 400 {
		e.proxy.keys.worked(e.call.CredentialID, m.Method)
	}
	if e.call.Report != nil {
		e.call.Report(m)
	}
}

// names returns what is called: the JSON-RPC method, of HTTP where there is
// none, and the tool. Where headers repeat them, those are believed.
func (e *exchange) names() (method, tool string) {
	e.found.Lock()
	m := e.scan.message()
	e.found.Unlock()
	method = m.method
	if name := mirrored(e.in.Header["Mcp-Method"]); name != "" {
		method = name
	}
	if method == methodCall {
		tool = m.tool
		if name := mirrored(e.in.Header["Mcp-Name"]); name != "" {
			tool = name
		}
	}
	if method == "" {
		method = e.in.Method
	}
	return bounded(method), bounded(tool)
}

func (e *exchange) outcome() Outcome {
	o := Outcome{
		Status: e.status, Start: e.start, Duration: time.Since(e.start),
		Success: e.success, Confirmed401: e.confirmed,
	}
	o.Method, o.Tool = e.names()
	switch {
	case e.dead:
		o.Status = http.StatusUnauthorized
	case o.Status == 0:
		o.Status = statusLeft
	}
	return o
}

// A requestBody is the client's body on its way to the upstream.
type requestBody exchange

func (b *requestBody) Read(p []byte) (int, error) {
	e := (*exchange)(b)
	e.reading.Lock()
	defer e.reading.Unlock()
	switch {
	case e.left.Load():
		return 0, errLeft
	case e.taken:
		return 0, errTaken
	case e.body != nil:
		n := copy(p, e.body[e.sent:])
		if e.sent += n; n == 0 {
			return 0, io.EOF
		}
		return n, nil
	case e.eof.Load() && !e.broken.Load():
		// The transport asks again after the end. By then the HTTP server may
		// have closed the body, which would count as a failed request.
		return 0, io.EOF
	}
	return e.read(p)
}

// Close leaves the client's body open: it is the HTTP server's.
func (b *requestBody) Close() error { return nil }

// read reads the client's body and looks at what it read.
func (e *exchange) read(p []byte) (int, error) {
	n, err := e.from.Read(p)
	if e.size += int64(n); e.size > e.proxy.MaxBody {
		return 0, &http.MaxBytesError{Limit: e.proxy.MaxBody}
	}
	if err != nil {
		e.broken.Store(err != io.EOF)
		e.eof.Store(true)
	}
	e.found.Lock()
	e.scan.write(p[:n])
	e.found.Unlock()
	return n, err
}

// take reads the rest of the part of the body that is looked at, where the
// upstream did not: it answered early, or was not asked.
func (e *exchange) take() {
	if e.in.ContentLength == 0 {
		return
	}
	e.reading.Lock()
	defer e.reading.Unlock()
	e.taken = true
	var buf []byte
	for !e.eof.Load() && !e.scan.over() {
		if buf == nil {
			buf = make([]byte, 4<<10)
		}
		if _, err := e.read(buf); err != nil {
			return
		}
	}
}

// writeHeader begins the answer.
func (e *exchange) writeHeader(status int) {
	e.status = status
	e.begun.Store(true)
	if e.res != nil && e.in.ContentLength != 0 && !e.eof.Load() {
		// The upstream answers before it has read the whole request. Without
		// this the HTTP server would throw the rest of it away, and the
		// upstream's connection would break with the answer on it. The client's
		// connection is not used again: after a request whose end comes late in
		// full duplex, the HTTP server waits for the next one in two places at
		// once, and panics.
		e.duplex = http.NewResponseController(e.w).EnableFullDuplex() == nil
		e.w.Header().Set("Connection", "close")
	}
	e.w.WriteHeader(status)
	if e.stream != nil {
		e.stream.begin()
	}
}

func (e *exchange) write(p []byte) (int, error) {
	if e.stream != nil {
		return e.stream.write(p)
	}
	return e.w.Write(p)
}

func (e *exchange) flush() error {
	if e.stream != nil {
		return e.stream.flush()
	}
	return http.NewResponseController(e.w).Flush()
}

// answered turns the upstream's answer into the client's.
func (e *exchange) answered(res *http.Response) error {
	if res.StatusCode < 200 {
		return errUpgrade
	}
	dropNamed(res.Header, res.Header["Connection"])
	e.success = res.StatusCode/100 == 2
	e.proxy.sessions.answered(e.call, e.in, res)
	if res.StatusCode == http.StatusUnauthorized {
		if e.confirm() {
			e.deadAnswer(res)
			e.small = true
			return nil
		}
		// A 401 would make the client throw away a token that is good.
		res.StatusCode = http.StatusForbidden
	}
	if copyAnswer(e.w.Header(), res.Header, res.ContentLength) {
		res.ContentLength = -1
		if e.in.Method != http.MethodHead && res.StatusCode == http.StatusOK {
			e.openStream(res)
		}
	}
	e.small = e.stream != nil || 0 <= res.ContentLength && res.ContentLength <= smallBuffer
	e.res = res
	return nil
}

// failed answers a request that got no answer from the upstream. Never with
// 401 or 404: those would end the client's login or session.
func (e *exchange) failed(err error) {
	_, tooLong := errors.AsType[*http.MaxBytesError](err)
	switch {
	case e.wasCut.Load():
		e.refuseFor(1, "the connection was paused or revoked")
	case e.in.Context().Err() != nil:
		// The client left, or whoever made the request's context ended the
		// call: in case somebody is there to read it, this is no 200.
		e.refuseFor(1, "the connection was paused or revoked")
		if context.Cause(e.in.Context()) == context.Canceled {
			e.status = statusLeft
		}
	case tooLong:
		e.refuseLong()
	case e.broken.Load():
		e.refuse(http.StatusBadRequest, "the request ended early")
	default:
		words := "the upstream answered in a way that no MCP server does"
		if !errors.Is(err, errUpgrade) {
			words = upstream.Explain(err)
		}
		if n := e.in.ContentLength; 0 < n && n <= scanWindow {
			e.take() // the upstream has not, and the outcome should name the call
		}
		// Not err itself: it may hold the upstream's URL.
		e.proxy.Log.Debug("upstream failed", "slug", e.call.Slug, "words", words)
		e.refuse(http.StatusBadGateway, named(e.call.Name, words))
	}
}
