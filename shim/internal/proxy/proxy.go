// Package proxy passes authorized requests on to upstreams, and their answers
// back. It terminates what belongs to one hop, puts the key in through the
// upstream package, keeps silent event streams alive, and says in a client's
// own protocol when a key has died. Bodies, statuses, session ids and events
// pass as they are, but for the event in which an HTTP+SSE upstream of protocol
// revision 2024-11-05 says where it takes messages.
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

	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// A Call is one authorized request.
type Call struct {
	Slug         string
	Name         string // display name of the endpoint, for words to people
	Grant        string
	CredentialID string
	Upstream     *upstream.Target
	// Subpath is what follows /{slug}/mcp in the request's escaped path.
	Subpath string
	// Done is closed when the grant or the token has ended, Paused when calls
	// are paused: streams and waiting calls are cut. nil means never.
	Done, Paused <-chan struct{}
	// Expires is when the access token does; streams are cut then. Zero means
	// never.
	Expires time.Time
	// Rejected reports whether the credential is known to be rejected and not
	// due for another try. nil means that it is not.
	Rejected func() bool
	// Report is called once, when the call is over. It must not block. It may
	// be nil.
	Report func(Outcome)
}

// An Outcome is what became of a call.
type Outcome struct {
	// Method is the JSON-RPC method; that of HTTP if there is none. Of a batch
	// it is the first one.
	Method string
	Tool   string // of tools/call
	// Status is what the client got; 401 if the key is rejected, although the
	// client got 200, 202 or 503; 502 if its stream was ended because messages
	// were to go to another origin than the upstream's; 499 if the client left
	// before the answer, or the request's context ended without a cause of its
	// own.
	Status   int
	Start    time.Time
	Duration time.Duration
	// Success says that the upstream took the request, and so the key.
	Success bool
	// Confirmed401 says that the upstream rejected the key for certain. Answers
	// for a key that had been rejected before do not say it again.
	Confirmed401 bool
}

// A Client sends requests to upstreams: *upstream.Client.
type Client interface {
	// Send sends a request to the target in its context. It owns the request.
	Send(*http.Request) (*http.Response, error)
	// Probe asks the upstream once whether it still takes the key.
	Probe(context.Context, upstream.Target) (rejected bool, err error)
}

// A Proxy serves calls. Its fields must not be changed after the first one.
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
	p.keys.probe = p.Client.Probe
}

// ServeHTTP serves one call. r's credentials have been checked, its path has
// been taken apart, and OPTIONS requests are not calls.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request, c *Call) {
	p.once.Do(p.init)
	e := p.begin(w, r, c)
	// Deferred, since an aborted stream ends in a panic with
	// http.ErrAbortHandler, which has to reach the HTTP server.
	defer e.finish()

	switch r.Method {
	case http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodHead:
	default:
		w.Header()["Allow"] = valueAllowed
		e.refuse(http.StatusMethodNotAllowed, "this method is not used by MCP")
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
		e.refuseFor(1, "the connection was paused or revoked")
	case isMessage && r.Method != http.MethodPost:
		w.Header()["Allow"] = valuePost
		e.refuse(http.StatusMethodNotAllowed, "messages are posted here")
	case isMessage && e.message == nil:
		// As upstreams say it: the client opens a new stream.
		e.refuse(http.StatusNotFound, "session not found")
	case !p.sessions.allowed(r.Header, c.Slug, c.Grant):
		// As for a session that has ended: the client starts a new one.
		e.refuse(http.StatusNotFound, "session not found")
	case c.Rejected != nil && c.Rejected():
		e.rejected()
	default:
		e.forward()
	}
}

// upgrades reports whether a client asks for another protocol. An offer of
// HTTP/2 is one to ignore: Java's HttpClient makes it in every first request.
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

// cleanSubpath reports whether nobody, however often he decodes it, reads sub
// as leading out of the endpoint's path. sub is escaped.
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
		// Some servers cut off what follows a semicolon before they resolve dots.
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
