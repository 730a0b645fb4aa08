package proxy

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/coding"
	"github.com/key2oauth/key2oauth/shim/internal/guard"
	"github.com/key2oauth/key2oauth/shim/internal/refusal"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// statusLeft is nginx's status for a client that left before the answer.
const statusLeft = 499

// watchAfter is when a goroutine starts to watch a call for events that end it.
// Most calls are over by then and never need one.
const watchAfter = 250 * time.Millisecond

// An activeCall is a call in progress. It is also the request's context and
// body, which saves allocations.
type activeCall struct {
	context.Context
	proxy  *Proxy
	call   *Call
	in     *http.Request
	w      http.ResponseWriter
	cancel context.CancelFunc
	start  time.Time

	// The request's body. The transport may still read it when the answer has
	// begun, so what is found in it needs a lock.
	bodyMu sync.Mutex  // held while the client's body is read
	taken  bool        // under bodyMu: the transport gets no more of it
	size   int64       // under bodyMu
	from   io.Reader   // under bodyMu: the client's body
	body   []byte      // all of it, if gather read it
	spool  *spool      // what gather read of one that is not whole; else nil
	sent   int         // of body, to a client that does not know BodyKey
	left   atomic.Bool // the handler has returned; the body must not be read
	eof    atomic.Bool // it was read to its end
	broken atomic.Bool // it ended early
	scanMu sync.Mutex
	scan   scan

	// The answer.
	status    int
	success   bool
	asked     bool   // the upstream is
	media     string // of its answer
	confirmed bool
	dead      bool // the key is rejected
	retry     bool // the key was rejected before, and this call tries it again
	answered  int  // the upstream's status
	small     bool // the answer needs only a small buffer
	res       *http.Response
	heard     refusal.Listener
	guard     guard.Stream // of its body
	struck    int          // secrets in its header, and in our own words
	whole     bool         // its body was read to the end
	begun     atomic.Bool  // its status line was sent, and it is not one of our refusals
	duplex    bool         // it was sent while the request was still being read

	watcher  *time.Timer
	watchers sync.WaitGroup
	wasCut   atomic.Bool
	over     atomic.Bool

	stream  *stream     // of an event stream, else nil
	message *messageURL // where a legacy stream's message goes, else nil
}

func (p *Proxy) begin(w http.ResponseWriter, r *http.Request, c *Call) *activeCall {
	a := &activeCall{proxy: p, call: c, in: r, w: w, start: time.Now()}
	a.from = r.Body
	a.guard.Guard = c.Upstream.Guard()
	a.Context, a.cancel = context.WithCancel(r.Context())
	a.watchers.Add(1)
	a.watcher = time.AfterFunc(watchAfter, a.watch)
	return a
}

// watch ends the call when the client has left or the call must be cut.
func (a *activeCall) watch() {
	defer a.watchers.Done()
	select {
	case <-a.call.Done:
		a.cut()
	case <-a.call.Paused:
		a.cut()
	case <-a.Context.Done():
		if !a.over.Load() {
			a.unblock()
		}
	}
}

// cut ends the call from our side.
func (a *activeCall) cut() {
	a.wasCut.Store(true)
	a.cancel()
	a.unblock()
}

// unblock ends pending reads from and writes to the client. Canceling the
// context alone would not.
func (a *activeCall) unblock() {
	rc := http.NewResponseController(a.w)
	past := time.Unix(1, 0)
	if !a.eof.Load() && a.in.ContentLength != 0 {
		rc.SetReadDeadline(past)
	}
	if a.begun.Load() {
		rc.SetWriteDeadline(past)
	}
}

// finish ends everything that belongs to the call and reports its outcome.
func (a *activeCall) finish() {
	a.endSpool()
	if a.duplex && !a.eof.Load() {
		// The HTTP server reads the rest of the request; bound that.
		http.NewResponseController(a.w).SetReadDeadline(time.Now().Add(5 * time.Second))
	}
	if a.stream != nil {
		a.stream.end() // before the watcher stops, so it can still unblock a stuck write
	}
	a.over.Store(true)
	a.cancel()
	if !a.watcher.Stop() {
		a.watchers.Wait()
	}
	doubted := a.doubt()
	a.success = a.success && !doubted
	m := a.outcome()
	if a.success && m.Status < 400 {
		a.proxy.keys.clear(a.call.CredentialID, m.Method)
	}
	if a.call.Report != nil {
		a.call.Report(m)
	}
	if doubted && !a.retry && a.call.Judged != nil {
		a.proxy.keys.doubt(a.call.CredentialID, a.call.Upstream, a.call.Judged)
	}
}

// method is the JSON-RPC method of the request, the first one of a batch.
func (a *activeCall) method() string {
	a.scanMu.Lock()
	first, found := a.scan.firstName(), a.scan.messages().found
	a.scanMu.Unlock()
	first, _ = checked(first, found, a.in.Header)
	return bounded(cmp.Or(first.method, a.in.Method))
}

// names sets what an outcome says of the request's messages.
func (a *activeCall) names(o *Outcome) {
	if a.in.Method != http.MethodPost {
		o.Method = a.in.Method
		return
	}
	a.scanMu.Lock()
	list, first := a.scan.messages(), a.scan.firstName()
	a.scanMu.Unlock()
	first, o.Note = checked(first, list.found, a.in.Header)
	for _, m := range list.all[min(1, len(list.all)):] {
		if m.odd && o.Note == "" {
			o.Note = NoteOdd
		}
		o.Rest = append(o.Rest, MessageName{bounded(cmp.Or(m.method, a.in.Method)), bounded(m.tool)})
	}
	if list.malformed && o.Note != NoteHeaders {
		o.Note = NoteMalformed
	}
	o.Method, o.Tool = bounded(cmp.Or(first.method, a.in.Method)), bounded(first.tool)
	o.Untold, o.UntoldCalls = list.more, list.moreCalls
}

// checked compares what a body says with the headers that repeat it (MCP
// 2026-07-28, Standard Request Headers). The body decides, because that is what
// the upstream acts on; the headers count where the body says nothing.
func checked(m messageName, found bool, h http.Header) (_ messageName, note string) {
	method, tool := mirrored(h["Mcp-Method"]), mirrored(h["Mcp-Name"])
	switch {
	case !found && method != "":
		m.method, note = method, NoteHeaders
		if method == methodCall {
			m.tool = tool
		}
	case len(h["Mcp-Method"]) > 0 && method != m.method,
		m.method == methodCall && m.tool != "" && len(h["Mcp-Name"]) > 0 && tool != m.tool:
		note = NoteDiffers
	case m.method == methodCall && m.tool == "" && tool != "":
		m.tool, note = tool, NoteHeaders
	case m.odd:
		note = NoteOdd
	}
	return m, note
}

// isMCP reports whether a successful answer is one that an MCP server gives. What
// needs no answer gets none.
func isMCP(status int, kind string) bool {
	kind, _, _ = strings.Cut(kind, ";")
	switch kind = strings.ToLower(strings.TrimSpace(kind)); {
	case kind == "application/json", kind == "text/event-stream":
		return true
	}
	return status == http.StatusAccepted || status == http.StatusNoContent
}

func (a *activeCall) outcome() Outcome {
	o := Outcome{
		Status: a.status, Start: a.start, Duration: time.Since(a.start),
		Success: a.success, Confirmed401: a.confirmed, Asked: a.asked, Good: a.success && isMCP(a.answered, a.media),
	}
	o.Struck = a.struck + a.guard.Struck
	a.names(&o)
	switch {
	case a.dead:
		o.Status = http.StatusUnauthorized
	case o.Status == 0:
		o.Status = statusLeft
	}
	return o
}

// A requestBody is the client's body as the transport reads it.
type requestBody activeCall

func (b *requestBody) Read(p []byte) (int, error) {
	a := (*activeCall)(b)
	if a.spool != nil {
		return a.spool.Read(p)
	}
	a.bodyMu.Lock()
	defer a.bodyMu.Unlock()
	switch {
	case a.left.Load():
		return 0, errLeft
	case a.taken:
		return 0, errTaken
	case a.body != nil:
		n := copy(p, a.body[a.sent:])
		if a.sent += n; n == 0 {
			return 0, io.EOF
		}
		return n, nil
	case a.eof.Load() && !a.broken.Load():
		// The transport reads again after the end. By then the HTTP server may
		// have closed the body, which would look like a failed request.
		return 0, io.EOF
	}
	return a.read(p)
}

// Close does nothing: the HTTP server closes the client's body.
func (b *requestBody) Close() error { return nil }

// read reads the client's body and scans it.
func (a *activeCall) read(p []byte) (int, error) {
	n, err := a.from.Read(p)
	if a.size += int64(n); a.size > a.proxy.MaxBody {
		return 0, &http.MaxBytesError{Limit: a.proxy.MaxBody}
	}
	if err != nil {
		a.broken.Store(err != io.EOF)
		a.eof.Store(true)
	}
	a.scanMu.Lock()
	a.scan.write(p[:n])
	a.scanMu.Unlock()
	return n, err
}

// take reads as much of the body as is scanned, if the upstream has not: it
// answered early, or was not asked.
func (a *activeCall) take() {
	if a.in.ContentLength == 0 {
		return
	}
	if a.spool != nil {
		a.spool.stop()
	}
	a.bodyMu.Lock()
	defer a.bodyMu.Unlock()
	a.taken = true
	var buf []byte
	for !a.eof.Load() && !a.scan.over() {
		if buf == nil {
			buf = make([]byte, 4<<10)
		}
		if _, err := a.read(buf); err != nil {
			return
		}
	}
}

// writeHeader begins the answer.
func (a *activeCall) writeHeader(status int) {
	a.status = status
	// A refusal is short, and must not meet the deadline that ended the request.
	a.begun.Store(a.res != nil)
	if a.res != nil && a.in.ContentLength != 0 && !a.eof.Load() {
		// The upstream answers before it has read the whole request. Without
		// full duplex the HTTP server would discard the rest, which breaks the
		// upstream's connection with the answer on it. The client's connection is
		// closed afterwards: when the end of a full-duplex request comes late, the
		// HTTP server waits for the next one in two places, and panics.
		a.duplex = http.NewResponseController(a.w).EnableFullDuplex() == nil
		a.w.Header().Set("Connection", "close")
	}
	a.w.WriteHeader(status)
	if a.stream != nil {
		a.stream.begin()
	}
}

func (a *activeCall) write(p []byte) (int, error) {
	if a.stream != nil {
		return a.stream.write(p)
	}
	return a.w.Write(p)
}

func (a *activeCall) flush() error {
	if a.stream != nil {
		return a.stream.flush()
	}
	return http.NewResponseController(a.w).Flush()
}

// receive turns the upstream's answer into the client's.
func (a *activeCall) receive(res *http.Response) error {
	if res.StatusCode < 200 {
		return errUpgrade
	}
	dropNamed(res.Header, res.Header["Connection"])
	a.success = res.StatusCode/100 == 2
	a.answered, a.media = res.StatusCode, res.Header.Get("Content-Type")
	a.heard = refusal.Listener{Status: res.StatusCode, Type: res.Header.Get("Content-Type")}
	a.proxy.sessions.learn(a.call, a.in, res)
	if res.StatusCode == http.StatusUnauthorized {
		switch {
		case a.confirm():
			a.deadAnswer(res)
			a.small = res.ContentLength <= smallBuffer
			return nil
		case a.inSession():
			// The upstream has forgotten the session, as after a restart. The
			// client begins a new one at 404 (MCP 2025-11-25, Transports, Session
			// Management).
			a.goneAnswer(res)
			a.small = res.ContentLength <= smallBuffer
			return nil
		}
		// A 401 would make the client discard a good token.
		res.StatusCode = http.StatusForbidden
	}
	if err := coding.Undecoded(res); err != nil {
		return err
	}
	stream, dropped := copyAnswer(a.w.Header(), res.Header, res.ContentLength)
	if dropped > 0 && a.proxy.Log.Enabled(a, slog.LevelDebug) {
		a.proxy.Log.Debug("headers of an answer were dropped", "slug", a.call.Slug, "headers", dropped)
	}
	if stream {
		res.ContentLength = -1
		a.guard.Events = true
		if a.in.Method != http.MethodHead && res.StatusCode == http.StatusOK {
			a.openStream(res)
		}
	}
	a.struck += a.guard.Guard.Header(a.w.Header())
	a.small = a.stream != nil || 0 <= res.ContentLength && res.ContentLength <= smallBuffer
	a.res = res
	return nil
}

// fail answers a request that got no answer from the upstream. It never answers
// 401 or 404, which would end the client's login or session.
func (a *activeCall) fail(err error) {
	a.success = false
	_, tooLong := errors.AsType[*http.MaxBytesError](err)
	switch {
	case a.wasCut.Load():
		a.refuseFor(1, a.call.cutWords())
	case a.in.Context().Err() != nil:
		// The client left, or the call was ended through the request's context.
		// In the second case the client reads this.
		a.refuseFor(1, a.call.cutWords())
		if context.Cause(a.in.Context()) == context.Canceled {
			a.status = statusLeft
		}
	case tooLong:
		a.refuseLong()
	case a.broken.Load():
		a.refuse(http.StatusBadRequest, "the request ended early")
	default:
		words := "the server did not answer like an MCP server"
		if !errors.Is(err, errUpgrade) {
			words = upstream.Explain(err)
		}
		if n := a.in.ContentLength; 0 < n && n <= scanWindow {
			a.take() // the outcome should name the method and tool
		}
		words = a.words(words)
		// err itself may hold the upstream's URL.
		a.proxy.Log.Debug("upstream failed", "slug", a.call.Slug, "words", words)
		a.refuseID(http.StatusBadGateway, a.id(err), words)
	}
}
