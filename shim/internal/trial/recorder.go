package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/sse"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// maxAnswer bounds one answer. Lists of tools are long.
	maxAnswer = 8 << 20
	// maxExcerpt is how much of an answer is kept, to quote it to people.
	maxExcerpt = 4 << 10
)

var (
	errCut     = fmt.Errorf("the upstream broke off in the middle of its answer: %w", io.ErrUnexpectedEOF)
	errOver    = fmt.Errorf("the trial is over: %w", context.Canceled)
	errTooLong = errors.New("the answer is too long")
)

// A recorder is the RoundTripper under the SDK's client in one trial. It records
// every request and its answer, because the client's errors name neither status
// nor body.
type recorder struct {
	client  *upstream.Client
	target  *upstream.Target
	closing time.Duration // for ending the session
	legacy  bool          // connected by the transport of 2024-11-05

	mu      sync.Mutex
	records []*record
	giveUp  context.CancelFunc // ends the current step
	over    bool
}

// A record is one request and its answer.
type record struct {
	method  string // of HTTP
	rpc     string // of JSON-RPC
	status  int
	media   string
	excerpt []byte
	err     error // instead of an answer
}

// connect tries each way to connect: both eras over Streamable HTTP, then the
// transport of 2024-11-05.
func (rec *recorder) connect(ctx context.Context, limit time.Duration) (*mcp.ClientSession, error) {
	// Some upstreams of the older era never answer an unknown method, so
	// server/discover gets only part of the time.
	first, cancel := context.WithTimeout(ctx, limit*2/5)
	s, err := rec.connectBy(first, rec.streamable(), upstream.Modern)
	cancel()
	if err == nil {
		return s, nil
	}
	if last := rec.last(); ctx.Err() == nil && !rec.asked("initialize") && (last.err == nil || errors.Is(last.err, context.DeadlineExceeded)) {
		if s, err = rec.connectBy(ctx, rec.streamable(), upstream.Legacy); err == nil {
			return s, nil
		}
	}
	if last := rec.last(); ctx.Err() == nil && last.err == nil && hasAny(last.status, 400, 404, 405) {
		if is, sseErr := rec.isLegacy(ctx); sseErr != nil {
			return nil, sseErr
		} else if is {
			rec.legacy = true
			return rec.connectBy(ctx, &mcp.SSEClientTransport{
				Endpoint: rec.endpoint(), HTTPClient: rec.httpClient(), MaxEventSize: maxAnswer,
			}, upstream.Legacy)
		}
	}
	return nil, err
}

func (rec *recorder) connectBy(ctx context.Context, tr mcp.Transport, version string) (*mcp.ClientSession, error) {
	c := mcp.NewClient(&mcp.Implementation{Name: "key2oauth", Version: "1"},
		&mcp.ClientOptions{Capabilities: &mcp.ClientCapabilities{}})
	return c.Connect(rec.step(ctx), tr, &mcp.ClientSessionOptions{ProtocolVersion: version})
}

// step returns the context of the next step. giveUp cancels it when the upstream
// has sent everything and the client still waits. A session may outlive its
// step; it ends with ctx.
func (rec *recorder) step(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	rec.note(func() { rec.giveUp = cancel })
	return ctx
}

func (rec *recorder) streamable() mcp.Transport {
	return &mcp.StreamableClientTransport{
		Endpoint: rec.endpoint(), HTTPClient: rec.httpClient(), MaxRetries: -1,
		DisableStandaloneSSE: true, MaxEventSize: maxAnswer,
	}
}

// endpoint is the target's URL without its query, which may hold a key and
// would be repeated in errors of net/http. Send adds it.
func (rec *recorder) endpoint() string {
	u := *rec.target.URL
	u.RawQuery, u.ForceQuery = "", false
	return u.String()
}

func (rec *recorder) httpClient() *http.Client {
	return &http.Client{
		Transport:     rec,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// countTools counts the upstream's tools, on up to 20 pages.
func countTools(ctx context.Context, s *mcp.ClientSession) (n int, err error) {
	if r := s.InitializeResult(); r == nil || r.Capabilities == nil || r.Capabilities.Tools == nil {
		return 0, nil
	}
	params := &mcp.ListToolsParams{}
	for range 20 {
		list, err := s.ListTools(ctx, params)
		if err != nil {
			return n, err
		}
		n += len(list.Tools)
		if list.NextCursor == "" {
			break
		}
		params.Cursor = list.NextCursor
	}
	return n, nil
}

// RoundTrip sends a request of the client's with the key, and records it.
func (rec *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	x := &record{method: req.Method, rpc: rpcMethod(req)}
	rec.mu.Lock()
	// To an upstream that does not answer, the client would send a cancellation
	// in a context of its own and wait for that to be accepted.
	if rec.over || x.rpc == "notifications/cancelled" {
		rec.mu.Unlock()
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, errOver
	}
	rec.records = append(rec.records, x)
	rec.mu.Unlock()

	ctx, cancel := req.Context(), context.CancelFunc(func() {})
	if req.Method == http.MethodDelete {
		ctx, cancel = context.WithTimeout(ctx, rec.closing)
	}
	r := req.Clone(upstream.WithTarget(ctx, rec.target))
	r.Header.Set("User-Agent", upstream.UserAgent)
	resp, err := rec.client.Send(r)
	if err != nil {
		cancel()
		rec.note(func() { x.err = err })
		return nil, err
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // garbage is no known type
	rec.note(func() { x.status, x.media = resp.StatusCode, media })
	body := &recordedBody{rec: rec, x: x, src: resp.Body, cancel: cancel, gaveUp: req.Context().Err, left: maxAnswer}
	resp.Body = body
	// The client closes an answer that it cannot use without reading it.
	if resp.StatusCode/100 != 2 || media != "application/json" && media != "text/event-stream" {
		head, _ := io.ReadAll(io.LimitReader(body, maxExcerpt)) // what came before an error is enough
		resp.Body = &readCloser{io.MultiReader(bytes.NewReader(head), body), body}
	}
	return resp, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

// rpcMethod returns the method of the JSON-RPC message in req's body.
func rpcMethod(req *http.Request) string {
	if req.GetBody == nil {
		return ""
	}
	body, err := req.GetBody()
	if err != nil {
		return ""
	}
	defer body.Close()
	var msg struct{ Method string }
	_ = json.NewDecoder(body).Decode(&msg) // a response of the client has no method
	return msg.Method
}

func (rec *recorder) note(f func()) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	f()
}

// end makes later requests of the client, such as a cancellation, fail at once.
func (rec *recorder) end() { rec.note(func() { rec.over = true }) }

// asked reports whether a JSON-RPC method was sent and got an answer.
func (rec *recorder) asked(rpc string) bool {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for _, x := range rec.records {
		if x.rpc == rpc && x.err == nil {
			return true
		}
	}
	return false
}

// last returns the newest record that tells about the upstream.
func (rec *recorder) last() record {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for i := len(rec.records) - 1; i >= 0; i-- {
		x := rec.records[i]
		// Cancellations are our own.
		if x.method != http.MethodDelete && !strings.HasPrefix(x.rpc, "notifications/") && !errors.Is(x.err, context.Canceled) {
			return *x
		}
	}
	return record{err: errOver}
}

// A recordedBody is the body of an answer. It keeps the beginning, ends a body
// that is too long, and notices when an event stream breaks off.
type recordedBody struct {
	rec    *recorder
	x      *record
	src    io.ReadCloser
	cancel context.CancelFunc
	gaveUp func() error // why the client no longer waits, or nil
	left   int
}

func (n *recordedBody) Read(p []byte) (int, error) {
	if n.left <= 0 {
		n.rec.note(func() { n.x.err = errTooLong })
		return 0, errTooLong
	}
	got, err := n.src.Read(p[:min(len(p), n.left)])
	n.left -= got
	n.rec.note(func() {
		if room := maxExcerpt - len(n.x.excerpt); room > 0 {
			n.x.excerpt = append(n.x.excerpt, p[:min(got, room)]...)
		}
		switch why := n.gaveUp(); {
		case err == nil || err == io.EOF:
		case why != nil && n.x.err == nil:
			n.x.err = why // more telling than the closed body that follows from it
		case why == nil:
			n.x.err = err
		}
	})
	if err != nil && n.x.method == http.MethodPost {
		time.AfterFunc(min(time.Second, n.rec.closing), n.ended)
	}
	return got, err
}

func (n *recordedBody) Close() error {
	defer n.cancel()
	return n.src.Close()
}

// ended cancels the step if the client still waits for an answer that cannot
// come: the stream is over, or it carried another answer.
func (n *recordedBody) ended() {
	n.rec.mu.Lock()
	defer n.rec.mu.Unlock()
	if n.rec.over || len(n.rec.records) == 0 || n.rec.records[len(n.rec.records)-1] != n.x {
		return
	}
	if n.x.err == nil && n.x.media == "text/event-stream" {
		n.x.err = errCut
	}
	n.rec.giveUp()
}

// isLegacy reports whether the upstream speaks revision 2024-11-05: it asks for
// a stream and looks for the endpoint event that begins it.
func (rec *recorder) isLegacy(ctx context.Context) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rec.endpoint(), nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Accept", "text/event-stream")
	var before int
	rec.note(func() { before = len(rec.records) })
	resp, err := rec.RoundTrip(req)
	if err != nil {
		return false, nil // the answer to POST says more
	}
	defer resp.Body.Close()
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // garbage is no event stream
	if resp.StatusCode != http.StatusOK || media != "text/event-stream" {
		// Only 401 and 403 say something about the key.
		if !hasAny(resp.StatusCode, 401, 403) {
			rec.note(func() { rec.records = rec.records[:before] })
		}
		return false, nil
	}
	name, data := sse.ReadFirst(resp.Body)
	if name != "endpoint" {
		return false, nil
	}
	_, err = rec.target.MessageURL(resp.Request.URL, data)
	return err == nil, err
}
