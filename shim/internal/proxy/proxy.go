// Package proxy passes authorized requests to upstreams, and the answers back.
// It drops what belongs to one hop, keeps silent event streams alive, and tells
// a client in its own protocol when the key was rejected; package upstream adds
// the key. Bodies, statuses, session ids and events pass unchanged, except for
// the event in which an HTTP+SSE upstream of protocol revision 2024-11-05 says
// where it takes messages, and for the key itself: all that an upstream sends
// to a client passes package guard last. Trailers, interim answers and the
// reason in a status line do not pass at all.
package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// A Call is one authorized request.
type Call struct {
	Slug         string
	Name         string // display name of the endpoint, for people
	Grant        string
	CredentialID string
	Upstream     *upstream.Target
	// Subpath is what follows /{slug}/mcp in the request's escaped path.
	Subpath string
	// Done is closed when the grant or the token ends, Paused when calls are
	// paused. Either cuts streams and waiting calls. nil means never.
	Done, Paused <-chan struct{}
	// Expires is when the access token expires, which cuts streams that no call
	// waits for. Zero means never.
	Expires time.Time
	// Rejected reports whether the key is known to be rejected and is not due
	// for another try, or is due and this call tries it. nil means neither.
	Rejected func() (refuse, retry bool)
	// Trouble is why the key cannot be used, where the upstream has not rejected
	// it; then Rejected refuses every call.
	Trouble endpoint.Trouble
	// Cut says why Done or Paused was closed, or the call ended otherwise before
	// it was answered. It may be nil.
	Cut func() endpoint.Trouble
	// Report is called once, when the call is over. It must not block. It may
	// be nil.
	Report func(Outcome)
	// Judged is called after an answer that may be about the key, when the
	// upstream was asked. That may be after the call, in any goroutine. It may
	// be nil.
	Judged func(rejected bool)
}

// cutWords says to an app why its call was ended.
func (c *Call) cutWords() string {
	why := endpoint.TroubleCut
	if c.Cut != nil {
		why = c.Cut()
	}
	return why.ToApp()
}

// An Outcome is the result of a call.
type Outcome struct {
	// Method is the JSON-RPC method, the first one of a batch; the HTTP method
	// if there is none.
	Method string
	Tool   string // of tools/call
	// Note says what is strange about them; "" if nothing is.
	Note string
	// Rest names the other messages of a batch. Untold counts those that are
	// left out, and UntoldCalls those of them that call a tool: such are named
	// first, so there are none unless more call one than can be listed.
	Rest                []MessageName
	Untold, UntoldCalls int
	// Status is what the client got, except: 401 if the key is rejected, where
	// the client got 200, 202 or 503; 502 if its stream was ended because the
	// upstream wanted messages sent to another origin; 499 if the client left
	// before the answer, or the request's context was canceled without a cause.
	Status   int
	Start    time.Time
	Duration time.Duration
	// Success means that the upstream accepted the request, and so the key.
	Success bool
	// Asked means that the upstream was, and Good that an MCP server answered: HTTP
	// 2xx, of a type that MCP has. An error of a tool, or of JSON-RPC, is one too.
	Asked, Good bool
	// Struck is how often the answer held the key, or something else that the
	// client must not see.
	Struck int
	// Confirmed401 means that the upstream certainly rejected the key. It is not
	// set again for a key that was already known to be rejected.
	Confirmed401 bool
}

// A MessageName is what an Outcome says of a message.
type MessageName struct{ Method, Tool string }

// Notes of an Outcome.
const (
	NoteDiffers = "differs" // the request's headers name something else
	NoteHeaders = "headers" // only the headers say so, and the upstream need not look at them
	NoteOdd     = "odd"     // the body can be read in two ways
	// The body is no JSON-RPC message and no batch of them. What a server makes
	// of it is not known.
	NoteMalformed = "malformed"
)

// A Client sends requests to upstreams: *upstream.Client.
type Client interface {
	// Send sends a request to the target in its context. It owns the request.
	Send(*http.Request) (*http.Response, error)
	// Probe asks the upstream once whether it still accepts the key.
	Probe(context.Context, upstream.Target) (rejected bool, err error)
	// Tells reports whether Probe would notice a wrong key there.
	Tells(context.Context, upstream.Target) bool
}

// A Proxy serves calls. Its fields must not be changed after the first call.
type Proxy struct {
	Client    Client
	Log       *slog.Logger  // nil means slog.Default
	KeepAlive time.Duration // silence after which an event stream gets a comment; 0 means 20 s
	MaxBody   int64         // of requests; 0 means 16 MB

	once     sync.Once
	sessions sessions
	messages messages
	keys     keys
}

func (p *Proxy) init() {
	if p.Log == nil {
		p.Log = slog.Default()
	}
	if p.KeepAlive == 0 {
		p.KeepAlive = 20 * time.Second
	}
	if p.MaxBody == 0 {
		p.MaxBody = 16 << 20
	}
	p.keys.client = p.Client
}

// ServeHTTP serves one call. The caller has checked r's credentials, split its
// path, and answered OPTIONS requests.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request, c *Call) {
	p.once.Do(p.init)
	e := p.begin(w, r, c)
	// Deferred because an aborted stream panics with http.ErrAbortHandler, which
	// must reach the HTTP server.
	defer e.finish()

	switch r.Method {
	case http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodHead:
	default:
		w.Header()["Allow"] = valueAllowed
		e.refuse(http.StatusMethodNotAllowed, "MCP does not use this method")
		return
	}
	id, isMessage := messageID(r.URL.RawQuery)
	if isMessage {
		e.message = p.messages.find(id, c)
	}
	switch {
	case upgrades(r.Header):
		e.refuse(http.StatusUpgradeRequired, "MCP needs no upgrade of the connection, and none is offered")
	case r.ContentLength > p.MaxBody:
		e.refuseLong()
	case !cleanSubpath(c.Subpath):
		e.refuse(http.StatusNotFound, "there is nothing at this path")
	case ended(c.Done), ended(c.Paused):
		e.refuseFor(1, c.cutWords())
	case isMessage && r.Method != http.MethodPost:
		w.Header()["Allow"] = valuePost
		e.refuse(http.StatusMethodNotAllowed, "messages are posted here")
	case isMessage && e.message == nil:
		// What upstreams answer too: the client opens a new stream.
		e.refuse(http.StatusNotFound, "session not found")
	case !p.sessions.allowed(r.Header, c.Slug, c.Grant):
		// As for an ended session: the client starts a new one.
		e.refuse(http.StatusNotFound, "session not found")
	case e.refusedKey():
		e.rejected()
	default:
		e.forward()
	}
}

// upgrades reports whether a client asks for another protocol. An offer of
// HTTP/2 is ignored: Java's HttpClient sends it with every first request.
func upgrades(h http.Header) bool {
	for _, v := range h["Upgrade"] {
		if !strings.EqualFold(strings.TrimSpace(v), "h2c") {
			return true
		}
	}
	return false
}

func ended(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// cleanSubpath reports whether sub, which is escaped, stays below the endpoint's
// path for every server, no matter how often it decodes the path.
func cleanSubpath(sub string) bool {
	if sub == "" || sub == "/" {
		return true
	}
	if sub[0] != '/' || strings.ContainsAny(sub, "\\\x00?#") {
		return false
	}
	low := strings.ToLower(sub)
	for _, esc := range []string{"%2f", "%5c", "%2e", "%00", "%25", "%3b"} {
		if strings.Contains(low, esc) {
			return false
		}
	}
	for segment := range strings.SplitSeq(strings.TrimSuffix(sub[1:], "/"), "/") {
		// Some servers drop what follows a semicolon before they resolve dots.
		segment, _, _ = strings.Cut(segment, ";")
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	_, err := url.PathUnescape(sub)
	return err == nil
}

var (
	errUpgrade = errors.New("the upstream switched to another protocol")
	errTaken   = errors.New("the rest of the request is not sent on")
	errLeft    = errors.New("the call is over")
)
