// Package shimtest is the kit for tests of the shim: small real servers
// instead of mocks. An Upstream is an MCP server that takes only API keys,
// built from the official Go SDK behind a check of the key, and can fail in
// all the ways that upstreams do.
package shimtest

import (
	"bytes"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// DefaultKey is the key of an upstream whose Options have none.
const DefaultKey = "sk-shimtest-4f9a1c77e0b2"

// Options describe an upstream. The zero value is a stateful server that wants
// "Authorization: Bearer KEY".
type Options struct {
	Header string // name of the key header; "" means Authorization with "Bearer "
	Prefix string // in front of the key; used only if Header is set
	Query  string // name of a query parameter that carries the key instead
	Key    string // "" means DefaultKey

	Addr      string   // to listen on; "" means a free port of 127.0.0.1
	Path      string   // "" means /mcp
	Stateless bool     // no sessions, speaks 2026-07-28 too; GET and DELETE are answered with 405
	JSON      bool     // answers are application/json, not event streams
	LegacySSE bool     // the transport of revision 2024-11-05 only
	Versions  []string // supported protocol revisions; nil means all
	TLS       bool     // https with a certificate that Pool trusts
}

// A Request is what an Upstream received.
type Request struct {
	Method string
	Path   string
	Query  string
	Host   string
	SNI    string
	Header http.Header
	Body   []byte // empty where a Fault answered without reading it
	RPC    string // method of a JSON-RPC request in Body
}

// An Upstream is a running MCP server.
type Upstream struct {
	URL    string // URL of the MCP endpoint
	Origin string
	Pool   *x509.CertPool // trusts the server; nil without TLS

	// Canceled counts calls of the tool "slow" that ended because the caller
	// went away.
	Canceled atomic.Int64

	opts Options
	srv  *httptest.Server
	mcp  http.Handler

	mu       sync.Mutex
	key      string
	fault    Fault
	open     []string
	extra    http.Header
	requests []*Request
}

// NewUpstream starts an upstream that ends with the test.
func NewUpstream(t testing.TB, o Options) *Upstream {
	t.Helper()
	if o.Header == "" {
		o.Header, o.Prefix = "Authorization", "Bearer "
	}
	if o.Key == "" {
		o.Key = DefaultKey
	}
	if o.Path == "" {
		o.Path = "/mcp"
	}
	u := &Upstream{opts: o, key: o.Key}
	u.mcp = u.handler()
	u.srv = httptest.NewUnstartedServer(u)
	if o.Addr != "" {
		ln, err := net.Listen("tcp", o.Addr)
		if err != nil {
			t.Fatal(err)
		}
		u.srv.Listener.Close()
		u.srv.Listener = ln
	}
	u.srv.Config.ErrorLog = log.New(io.Discard, "", 0) // faults are intended
	if o.TLS {
		u.srv.EnableHTTP2 = true
		u.srv.StartTLS()
		u.Pool = x509.NewCertPool()
		u.Pool.AddCert(u.srv.Certificate())
	} else {
		u.srv.Start()
	}
	u.Origin = u.srv.URL
	u.URL = u.Origin + o.Path
	t.Cleanup(u.Close)
	return u
}

// Close stops the upstream, which then refuses connections.
func (u *Upstream) Close() {
	u.srv.CloseClientConnections()
	u.srv.Close()
}

// Key returns the current key.
func (u *Upstream) Key() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.key
}

// SetKey changes the key.
func (u *Upstream) SetKey(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.key = key
}

// OpenTo lets requests of the named JSON-RPC methods pass without a key. "*"
// means every request.
func (u *Upstream) OpenTo(methods ...string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.open = methods
}

// AddHeader adds a header to every answer from now on.
func (u *Upstream) AddHeader(name, value string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.extra == nil {
		u.extra = http.Header{}
	}
	u.extra.Add(name, value)
}

// Break makes f answer from now on, before the key is checked. A nil f repairs
// the upstream.
func (u *Upstream) Break(f Fault) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.fault = f
}

// Requests returns what arrived since the last Reset, oldest first.
func (u *Upstream) Requests() []Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := make([]Request, len(u.requests))
	for i, r := range u.requests {
		all[i] = *r
	}
	return all
}

// Last returns the newest request; the zero Request if there was none.
func (u *Upstream) Last() Request {
	all := u.Requests()
	if len(all) == 0 {
		return Request{}
	}
	return all[len(all)-1]
}

// Reset forgets the requests.
func (u *Upstream) Reset() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.requests = nil
}

// Saw reports whether s arrived anywhere in any request since the last Reset.
func (u *Upstream) Saw(s string) bool {
	for _, r := range u.Requests() {
		if strings.Contains(r.Path+"\x00"+r.Query+"\x00"+r.Host, s) || bytes.Contains(r.Body, []byte(s)) {
			return true
		}
		for name, values := range r.Header {
			if strings.Contains(name+"\x00"+strings.Join(values, "\x00"), s) {
				return true
			}
		}
	}
	return false
}

// maxBody is more than the shim lets through.
const maxBody = 20 << 20

func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := &Request{
		Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery,
		Host: r.Host, SNI: sni(r.TLS), Header: r.Header.Clone(),
	}
	u.mu.Lock()
	u.requests = append(u.requests, rec)
	fault := u.fault
	for k, v := range u.extra {
		w.Header()[k] = slices.Clone(v)
	}
	u.mu.Unlock()

	if fault != nil && fault(w, r) {
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return // the client went away
	}
	var rpc struct {
		Method string `json:"method"`
	}
	_ = json.Unmarshal(body, &rpc) // a batch or garbage has no single method
	u.mu.Lock()
	rec.Body, rec.RPC = body, rpc.Method
	u.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))

	if !u.allowed(r, rpc.Method) {
		// The challenge names another authorization server: passing it on
		// would send clients there.
		w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="https://auth.example/.well-known/oauth-protected-resource"`)
		Status(http.StatusUnauthorized, `{"error":"invalid_api_key","message":"This API key is not valid."}`)(w, r)
		return
	}
	if p := strings.TrimSuffix(r.URL.Path, "/"); p != strings.TrimSuffix(u.opts.Path, "/") {
		http.NotFound(w, r)
		return
	}
	u.mcp.ServeHTTP(w, r)
}

func (u *Upstream) allowed(r *http.Request, rpc string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if slices.Contains(u.open, "*") || rpc != "" && slices.Contains(u.open, rpc) {
		return true
	}
	got := r.Header.Values(u.opts.Header)
	want := u.opts.Prefix + u.key
	if u.opts.Query != "" {
		q, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return false
		}
		got, want = q[u.opts.Query], u.key
	}
	return len(got) == 1 && subtle.ConstantTimeCompare([]byte(got[0]), []byte(want)) == 1
}

func sni(s *tls.ConnectionState) string {
	if s == nil {
		return ""
	}
	return s.ServerName
}

// handler is the MCP server itself, without the check of the key.
func (u *Upstream) handler() http.Handler {
	s := u.server()
	get := func(*http.Request) *mcp.Server { return s }
	if u.opts.LegacySSE {
		return mcp.NewSSEHandler(get, nil)
	}
	return mcp.NewStreamableHTTPHandler(get, &mcp.StreamableHTTPOptions{
		Stateless:                    u.opts.Stateless,
		JSONResponse:                 u.opts.JSON,
		PropagateRequestCancellation: true,
	})
}
