package oauth

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

const (
	codeTTL        = 5 * time.Minute
	refreshTTL     = 90 * 24 * time.Hour
	refreshOverlap = time.Hour
	ownOverlap     = 24 * time.Hour // both uses from our own OS user
	maxBody        = 64 << 10
	retryAfter     = "10" // seconds
)

// DefaultAccessTTL is the lifetime of an access token, unless the owner
// changes it.
const DefaultAccessTTL = 24 * time.Hour

// A Server is the authorization server of one origin. Its fields must not be
// changed after its first use.
type Server struct {
	Issuer   string // the origin, without a trailing slash
	Tokens   *Tokens
	Clients  *Clients
	Requests *Requests

	// Endpoint returns the display name of an endpoint.
	Endpoint func(slug string) (name string, ok bool)
	// SoleEndpoint returns the endpoint that the bare origin stands for in
	// protected resource metadata. nil means none.
	SoleEndpoint func() (slug string, ok bool)
	// Own reports whether a host and a port lead to ourselves, at any of our
	// origins. nil means never.
	Own func(host, port string) bool
	// Known reports whether the owner ever approved exactly this redirect URI,
	// which allows redirecting errors there. nil means never.
	Known func(redirectURI string) bool
	// ResourceOrigins are other origins of the same listener, for example
	// http://localhost:7450 for http://127.0.0.1:7450. Only loopback origins
	// have any.
	ResourceOrigins []string
	// CIMD finds clients whose id is the URL of their metadata document. nil
	// means that such ids are unknown and not advertised.
	CIMD Documents

	// From returns the sender of a request from the internet, so one sender
	// cannot use up the room of all. nil, and "", mean this computer.
	From func(*http.Request) string

	// Trusted is called when a request has shown a valid access token, before
	// anything else of it is read. It may be nil.
	Trusted func(http.ResponseWriter, *http.Request)

	// OwnUser reports whether the kernel shows that a request comes from a
	// process of our own OS user. nil, and false, mean that it is not known.
	OwnUser func(*http.Request) bool

	// Observe is called for each step of each client. It must not block. It
	// may be nil.
	Observe func(*http.Request, Observation)

	// AccessTTL is called for each access token, so a change applies from the
	// next one. nil, and 0, mean DefaultAccessTTL.
	AccessTTL  func() time.Duration
	RefreshTTL time.Duration    // 0 means 90 days
	Log        *slog.Logger     // nil means no log
	Now        func() time.Time // nil means time.Now
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *Server) log() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.New(slog.DiscardHandler)
}

// oauthError is an error answer of RFC 6749, Section 5.2.
func oauthError(status int, code, msg string) *httpx.Error {
	return &httpx.Error{Status: status, Code: code, Msg: msg}
}

func invalidRequest(msg string) *httpx.Error {
	return oauthError(http.StatusBadRequest, "invalid_request", msg)
}

// unavailable is the answer when the store fails. It must not be invalid_grant
// or invalid_client, which make clients throw away valid tokens.
func (s *Server) unavailable(err error) *httpx.Error {
	s.log().Warn("the store failed", "err", err)
	return &httpx.Error{
		Status: http.StatusServiceUnavailable,
		Code:   "temporarily_unavailable",
		Msg:    "Key2OAuth cannot read or save its state at the moment; try again",
		Header: http.Header{"Retry-After": {retryAfter}},
		Err:    err,
	}
}

// WriteError writes e as RFC 6749, Section 5.2 wants it, for httpx.Handle
// around a Server's handlers.
func WriteError(w http.ResponseWriter, r *http.Request, e *httpx.Error) {
	code := e.Code
	switch {
	case code != "":
	case e.Status == http.StatusNotFound:
		code = "not_found"
	case e.Status >= 500:
		code = "server_error"
	default:
		code = "invalid_request"
	}
	noStore(w)
	httpx.WriteJSON(w, e.Status, errorBody{code, e.Msg}) // fails only if the peer is gone
}

type errorBody struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

// noStore sets the headers of RFC 6749, Section 5.1.
func noStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}

// errNotFound is the answer for unknown well-known documents. It must be 404:
// most other errors make TypeScript clients end discovery.
var errNotFound = &httpx.Error{Status: http.StatusNotFound, Code: "not_found", Msg: "there is nothing here"}

func methodNotAllowed(allow string) *httpx.Error {
	return &httpx.Error{
		Status: http.StatusMethodNotAllowed,
		Code:   "invalid_request",
		Msg:    "this method is not allowed here; use " + allow,
		Header: http.Header{"Allow": {allow + ", OPTIONS"}},
	}
}

// asError returns the *httpx.Error that a transaction failed with, or makes
// one for a failure of the store.
func (s *Server) asError(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*httpx.Error](err); ok {
		return e
	}
	return s.unavailable(err)
}
