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
	// maxAnswer bounds one answer to a trial. Lists of tools are long.
	maxAnswer = 8 << 20
	// maxExcerpt is how much of an answer is kept to tell people about it.
	maxExcerpt = 4 << 10
)

var (
	errCut     = fmt.Errorf("the upstream broke off in the middle of its answer: %w", io.ErrUnexpectedEOF)
	errOver    = fmt.Errorf("the trial is over: %w", context.Canceled)
	errTooLong = errors.New("the answer is too long")
)

// An attempt is one use of an upstream by the official client. It is the
// client's RoundTripper and remembers what was answered, because the client's
// errors name neither status nor body.
type attempt struct {
	client  *upstream.Client
	target  *upstream.Target
	closing time.Duration // for ending the session
	legacy  bool          // connected by the transport of 2024-11-05

	mu     sync.Mutex
	log    []*exchange
	giveUp context.CancelFunc // ends the present step
	over   bool
}

// An exchange is one request of an attempt and what came back.
type exchange struct {
	method  string // of HTTP
	rpc     string // of JSON-RPC
	status  int
	media   string
	excerpt []byte
	err     error // instead of an answer
}

// connect tries every way in which a client may connect: both eras over
// Streamable HTTP, then the transport of 2024-11-05.
func (a *attempt) connect(ctx context.Context, limit time.Duration) (*mcp.ClientSession, error) {
	// Some upstreams of the older era never answer a method that they do not
	// know, so server/discover may use up only a part of the time.
	first, cancel := context.WithTimeout(ctx, limit*2/5)
	s, err := a.connectBy(first, a.streamable(), upstream.Modern)
	cancel()
	if err == nil {
		return s, nil
	}
	if last := a.last(); ctx.Err() == nil && !a.asked("initialize") && (last.err == nil || errors.Is(last.err, context.DeadlineExceeded)) {
		if s, err = a.connectBy(ctx, a.streamable(), upstream.Legacy); err == nil {
			return s, nil
		}
	}
	if last := a.last(); ctx.Err() == nil && last.err == nil && hasAny(last.status, 400, 404, 405) {
		if is, sseErr := a.isLegacy(ctx); sseErr != nil {
			return nil, sseErr
		} else if is {
			a.legacy = true
			return a.connectBy(ctx, &mcp.SSEClientTransport{
				Endpoint: a.endpoint(), HTTPClient: a.httpClient(), MaxEventSize: maxAnswer,
			}, upstream.Legacy)
		}
	}
	return nil, err
}

func (a *attempt) connectBy(ctx context.Context, tr mcp.Transport, version string) (*mcp.ClientSession, error) {
	c := mcp.NewClient(&mcp.Implementation{Name: "key2oauth", Version: "1"},
		&mcp.ClientOptions{Capabilities: &mcp.ClientCapabilities{}})
	return c.Connect(a.step(ctx), tr, &mcp.ClientSessionOptions{ProtocolVersion: version})
}

// step returns a context that ends when the upstream has said all it will and
// the client still waits. What is connected may live on in it: it ends with
// its parent.
func (a *attempt) step(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	a.note(func() { a.giveUp = cancel })
	return ctx
}

func (a *attempt) streamable() mcp.Transport {
	return &mcp.StreamableClientTransport{
		Endpoint: a.endpoint(), HTTPClient: a.httpClient(), MaxRetries: -1,
		DisableStandaloneSSE: true, MaxEventSize: maxAnswer,
	}
}

// endpoint is the target's URL without its query, which is put back on by
// Send: errors of net/http repeat the URL, and the query may be a key.
func (a *attempt) endpoint() string {
	u := *a.target.URL
	u.RawQuery, u.ForceQuery = "", false
	return u.String()
}

func (a *attempt) httpClient() *http.Client {
	return &http.Client{
		Transport:     a,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// countTools returns how many tools the upstream offers, up to a few pages.
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

// RoundTrip sends what the client sends, with the key, and takes notes.
func (a *attempt) RoundTrip(req *http.Request) (*http.Response, error) {
	x := &exchange{method: req.Method, rpc: rpcMethod(req)}
	a.mu.Lock()
	// The client waits for its cancellation to be taken, with a context of
	// its own, from an upstream that does not answer.
	if a.over || x.rpc == "notifications/cancelled" {
		a.mu.Unlock()
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, errOver
	}
	a.log = append(a.log, x)
	a.mu.Unlock()

	ctx, cancel := req.Context(), context.CancelFunc(func() {})
	if req.Method == http.MethodDelete {
		ctx, cancel = context.WithTimeout(ctx, a.closing)
	}
	r := req.Clone(upstream.WithTarget(ctx, a.target))
	r.Header.Set("User-Agent", upstream.UserAgent)
	resp, err := a.client.Send(r)
	if err != nil {
		cancel()
		a.note(func() { x.err = err })
		return nil, err
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // garbage is no known type
	a.note(func() { x.status, x.media = resp.StatusCode, media })
	body := &noted{a: a, x: x, src: resp.Body, cancel: cancel, gaveUp: req.Context().Err, left: maxAnswer}
	resp.Body = body
	// The client closes what it cannot use without reading it.
	if resp.StatusCode/100 != 2 || media != "application/json" && media != "text/event-stream" {
		head, _ := io.ReadAll(io.LimitReader(body, maxExcerpt)) // what came before an error will do
		resp.Body = &joined{io.MultiReader(bytes.NewReader(head), body), body}
	}
	return resp, nil
}

type joined struct {
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
	_ = json.NewDecoder(body).Decode(&msg) // an answer has no method
	return msg.Method
}

func (a *attempt) note(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// end makes the client's late requests, such as a cancellation, fail at once.
func (a *attempt) end() { a.note(func() { a.over = true }) }

// asked reports whether a JSON-RPC method was sent and answered.
func (a *attempt) asked(rpc string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, x := range a.log {
		if x.rpc == rpc && x.err == nil {
			return true
		}
	}
	return false
}

// last returns the newest exchange that was a question.
func (a *attempt) last() exchange {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := len(a.log) - 1; i >= 0; i-- {
		x := a.log[i]
		// What was canceled was our own doing.
		if x.method != http.MethodDelete && !strings.HasPrefix(x.rpc, "notifications/") && !errors.Is(x.err, context.Canceled) {
			return *x
		}
	}
	return exchange{err: errOver}
}

// A noted is the body of an answer: it keeps the beginning, ends what is too
// long, and notices when an event stream breaks off.
type noted struct {
	a      *attempt
	x      *exchange
	src    io.ReadCloser
	cancel context.CancelFunc
	gaveUp func() error // why nobody waits for the rest, or nil
	left   int
}

func (n *noted) Read(p []byte) (int, error) {
	if n.left <= 0 {
		n.a.note(func() { n.x.err = errTooLong })
		return 0, errTooLong
	}
	got, err := n.src.Read(p[:min(len(p), n.left)])
	n.left -= got
	n.a.note(func() {
		if room := maxExcerpt - len(n.x.excerpt); room > 0 {
			n.x.excerpt = append(n.x.excerpt, p[:min(got, room)]...)
		}
		switch why := n.gaveUp(); {
		case err == nil || err == io.EOF:
		case why != nil && n.x.err == nil:
			n.x.err = why // and not that the body was closed, which follows from it
		case why == nil:
			n.x.err = err
		}
	})
	if err != nil && n.x.method == http.MethodPost {
		time.AfterFunc(min(time.Second, n.a.closing), n.ended)
	}
	return got, err
}

func (n *noted) Close() error {
	defer n.cancel()
	return n.src.Close()
}

// ended gives the step up if the client still waits for an answer that cannot
// come any more: a stream that is over, or an answer to another question.
func (n *noted) ended() {
	n.a.mu.Lock()
	defer n.a.mu.Unlock()
	if n.a.over || len(n.a.log) == 0 || n.a.log[len(n.a.log)-1] != n.x {
		return
	}
	if n.x.err == nil && n.x.media == "text/event-stream" {
		n.x.err = errCut
	}
	n.a.giveUp()
}

// isLegacy asks for the stream that an upstream of revision 2024-11-05 opens
// with an endpoint event.
func (a *attempt) isLegacy(ctx context.Context) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.endpoint(), nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Accept", "text/event-stream")
	var before int
	a.note(func() { before = len(a.log) })
	resp, err := a.RoundTrip(req)
	if err != nil {
		return false, nil // what POST was answered says more
	}
	defer resp.Body.Close()
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // garbage is no event stream
	if resp.StatusCode != http.StatusOK || media != "text/event-stream" {
		// 401 and 403 tell about the key, anything else nothing.
		if !hasAny(resp.StatusCode, 401, 403) {
			a.note(func() { a.log = a.log[:before] })
		}
		return false, nil
	}
	name, data := sse.ReadFirst(resp.Body)
	if name != "endpoint" {
		return false, nil
	}
	_, err = a.target.MessageURL(resp.Request.URL, data)
	return err == nil, err
}
