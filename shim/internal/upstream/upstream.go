// Package upstream sends requests to MCP servers that take an API key. Its
// Client is the only code that puts a key on a request: calls, trials of a
// pasted key and the doctor all go through Client.Send. It sends a key to one
// origin only, follows the few redirects that stay there, and explains failed
// connections in sentences for people.
package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/coding"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/guard"
	"github.com/key2oauth/key2oauth/shim/internal/idle"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
	"github.com/key2oauth/key2oauth/shim/internal/wire"
)

// A Target is where a request goes and the key that authorizes it there. It
// must not be changed after the first request.
type Target struct {
	URL    *url.URL // its query may hold a key too
	Header endpoint.Header
	Key    endpoint.Secret // the zero Secret sends no key
	// Twins are further headers that carry the key, while a trial looks for
	// the right one.
	Twins []endpoint.Header

	// Made by Ready.
	ready bool
	value []string // of the key header
	guard *guard.Guard
}

// Ready builds once what all requests of a Target need: the header value with
// the key, and the guard. It returns t. A Target works without it too.
func (t *Target) Ready() *Target {
	t.ready, t.guard = true, guard.New(t.secrets()...)
	if !t.Key.IsZero() {
		t.value = []string{t.Header.Prefix + t.Key.Reveal()}
	}
	return t
}

// Context keys: TargetKey holds the *Target that a request goes to, BodyKey the
// request's whole body as a []byte, if the caller has it.
type (
	TargetKey struct{}
	BodyKey   struct{}
)

// WithTarget returns a context whose requests go to t.
func WithTarget(ctx context.Context, t *Target) context.Context {
	return context.WithValue(ctx, TargetKey{}, t)
}

// A Client sends requests to upstreams. It is safe for concurrent use.
type Client struct {
	// ProbeTime bounds Probe; 0 means 10 seconds.
	ProbeTime time.Duration
	// Look is called before a request if the last one was more than a second
	// ago. It may call Renew. nil means that nothing looks.
	Look func()
	// FindProxy finds the proxy for a request, for UseProxy; nil means what the
	// environment says.
	FindProxy func(*http.Request) (*url.URL, error)

	quick         *wire.Transport // used in place of plain where the request fits
	plain, secure atomic.Pointer[http.Transport]
	start         time.Time
	proxied       atomic.Bool          // see UseProxy
	drift         atomic.Int64         // of the wall clock against start's, in nanoseconds
	looked        atomic.Int64         // when Look was called, in nanoseconds since start
	paths         pathMemory[string]   // requested path -> path that answered
	eras          pathMemory[string]   // endpoint of the newer era -> its revision
	streams       pathMemory[struct{}] // hosts that speak HTTP/2
	checks        pathMemory[check]    // endpoint -> what it does without a key
}

// idleTimeout is how long a connection may be idle, even if its peer allows more.
const idleTimeout = 90 * time.Second

// New returns a Client that connects through g; nil means a Guard that knows
// no listeners of our own. Proxies named in the environment are used only after
// UseProxy.
func New(g *safedial.Guard) *Client {
	plain := &http.Transport{
		DialContext:            idle.Dial(g.DialContext("http"), idleTimeout),
		DisableCompression:     true,
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        idleTimeout,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 256 << 10,
	}
	secure := plain.Clone()
	secure.DialContext = idle.Dial(g.DialContext("https"), idleTimeout)
	secure.ForceAttemptHTTP2 = true
	secure.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	// A laptop that wakes up holds connections that are dead. Without pings,
	// HTTP/2 would use such a connection for all calls for minutes.
	secure.HTTP2 = &http.HTTP2Config{SendPingTimeout: 20 * time.Second, PingTimeout: 10 * time.Second}
	quick := &wire.Transport{
		DialContext: g.DialContext("http"), MaxHeader: plain.MaxResponseHeaderBytes,
		MaxIdlePerHost: plain.MaxIdleConnsPerHost, IdleTimeout: plain.IdleConnTimeout,
	}
	c := &Client{quick: quick, start: time.Now()}
	secure.Proxy = c.proxyFor(g)
	c.plain.Store(plain)
	c.secure.Store(secure)
	return c
}

// TrustRoots verifies https upstreams against pool instead of the system's
// certificates. It must be called before the first request.
func (c *Client) TrustRoots(pool *x509.CertPool) { c.secure.Load().TLSClientConfig.RootCAs = pool }

// CloseIdleConnections drops connections that carry no request.
func (c *Client) CloseIdleConnections() {
	c.quick.CloseIdleConnections()
	c.plain.Load().CloseIdleConnections()
	c.secure.Load().CloseIdleConnections()
}

// Renew makes every request from now on go to a connection that is made from
// now on, for when the computer's networks changed: those that were made before
// may lead nowhere, and nothing says so. A request that is under way keeps its
// connection, and if it is dead the kernel says so; see package safedial.
func (c *Client) Renew() {
	c.quick.Renew()
	for _, t := range []*atomic.Pointer[http.Transport]{&c.plain, &c.secure} {
		old := t.Load()
		if t.CompareAndSwap(old, old.Clone()) { // a clone has no connections
			old.CloseIdleConnections()
		}
	}
}

// sleepDrift is how far the wall clock must move against the monotonic one to
// count as the machine having slept.
const sleepDrift = 10 * time.Second

// notice begins with new connections after the machine slept: the peer may have
// closed the old ones unnoticed, and a request on one would hang for minutes.
// The monotonic clock stands still during sleep; the wall clock does not. It
// does the same if Look sees other networks, which it asks at most once a
// second.
func (c *Client) notice() {
	now := time.Now()
	since := now.Sub(c.start)
	drift := now.UnixNano() - c.start.UnixNano() - int64(since)
	if was := c.drift.Load(); drift-was > int64(sleepDrift) || was-drift > int64(sleepDrift) {
		c.drift.Store(drift)
		c.Renew()
	}
	if last := c.looked.Load(); c.Look != nil && since-time.Duration(last) > time.Second && c.looked.CompareAndSwap(last, int64(since)) {
		c.Look()
	}
}

// maxHops is how many redirects one request may take.
const maxHops = 3

var errNoTarget = errors.New("the request has no upstream")

// RoundTrip sends a copy of req to the upstream that its context names, as Send
// does. req itself is not changed.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) {
	r, u := *req, *req.URL
	r.URL, r.Header = &u, req.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	return c.Send(&r)
}

// Send is RoundTrip for a caller that owns req, as a reverse proxy does: it
// changes req's URL, Host, Body and header map in place instead of copying.
//
// The key goes only to the scheme, host and port of the target's URL. If the
// client sent the key header, it is replaced; the client's Authorization is
// always removed. Redirects that keep method, body and origin are followed
// (307 and 308, RFC 9110, Section 15.4); any other is a *RedirectError.
func (c *Client) Send(req *http.Request) (*http.Response, error) {
	t, _ := req.Context().Value(TargetKey{}).(*Target)
	if t == nil || t.URL == nil {
		closeBody(req)
		return nil, errNoTarget
	}
	if !sameOrigin(req.URL, t.URL) || req.URL.Opaque != "" {
		closeBody(req)
		return nil, fmt.Errorf("refusing to send a key to %s://%s: it belongs to %s://%s",
			req.URL.Scheme, req.URL.Host, t.URL.Scheme, t.URL.Host)
	}
	c.notice()
	req.URL.Scheme, req.URL.Host, req.URL.User, req.URL.Fragment = t.URL.Scheme, t.URL.Host, nil, ""
	req.Host = t.URL.Host
	req.URL.RawQuery = mergeQuery(t.URL.RawQuery, req.URL.RawQuery)
	setKey(req.Header, t)

	asked := pathKey{t.URL.Scheme, t.URL.Host, req.URL.EscapedPath()}
	learned, known := c.paths.get(asked)
	if known {
		setPath(req.URL, learned)
	}
	body := bodyOf(req)
	resp, err := c.follow(req, t, body, asked)
	body.release()
	if err != nil {
		return nil, err
	}
	if known && resp.StatusCode == http.StatusNotFound {
		c.paths.forget(asked)
	}
	coding.Undo(resp)
	return resp, nil
}

// bodyOf makes req's body repeatable.
func bodyOf(req *http.Request) repeater {
	whole, ok := req.Context().Value(BodyKey{}).([]byte)
	if !ok {
		return record(req)
	}
	body := memory(whole)
	// The type of this reader tells net/http to send it together with the head.
	req.Body, _ = body.again()
	req.GetBody = body.again
	return body
}

// follow sends req, and sends it again where a redirect leads.
func (c *Client) follow(req *http.Request, t *Target, body repeater, asked pathKey) (*http.Response, error) {
	for hop := 0; ; hop++ {
		resp, err := c.transport(req).RoundTrip(req)
		if err != nil {
			if req.URL.Scheme == "https" {
				err = c.direct(err)
			}
			return nil, err
		}
		if req.URL.Scheme == "https" {
			c.noteProtocol(req.URL, resp.ProtoMajor)
		}
		if !isRedirect(resp) {
			if hop > 0 && resp.StatusCode < 300 {
				c.paths.learn(asked, req.URL.EscapedPath())
			}
			return resp, nil
		}
		next, err := redirectTarget(req.URL, t, resp)
		drop(resp)
		if err != nil {
			return nil, err
		}
		if hop == maxHops {
			return nil, &RedirectError{To: shown(next, t), Status: resp.StatusCode}
		}
		r := *req
		r.URL = next
		if r.Body, err = body.again(); err != nil {
			// This request is lost, but the next one goes to the right path.
			c.paths.learn(asked, next.EscapedPath())
			return nil, fmt.Errorf("repeating the request at %s: %w", shown(next, t).Path, err)
		}
		req = &r
	}
}

// noteProtocol remembers which hosts speak HTTP/2: their connections need not be
// watched.
func (c *Client) noteProtocol(u *url.URL, major int) {
	k := hostKey(u)
	switch _, known := c.streams.get(k); {
	case major == 2 && !known:
		c.streams.learn(k, struct{}{})
	case major != 2 && known:
		c.streams.forget(k)
	}
}

func hostKey(u *url.URL) pathKey { return pathKey{scheme: u.Scheme, host: u.Host} }

// transport chooses the transport for req.
func (c *Client) transport(req *http.Request) http.RoundTripper {
	switch {
	case req.URL.Scheme == "https":
		if _, ok := c.streams.get(hostKey(req.URL)); ok {
			return c.secure.Load()
		}
		return idle.Transport{Transport: c.secure.Load()}
	case wire.Fits(req) && (req.Body == nil || req.Context().Value(BodyKey{}) != nil):
		return c.quick
	}
	return idle.Transport{Transport: c.plain.Load()}
}

// setKey sets the key header and removes the client's copies of it and its
// Authorization. Servers behind CGI or WSGI cannot tell '_' from '-' in a name,
// so both spellings are removed.
func setKey(h http.Header, t *Target) {
	name := t.Header.Name
	for k := range h {
		if sameName(k, name) || sameName(k, "Authorization") {
			delete(h, k)
		}
	}
	h["Accept-Encoding"] = identity
	if t.Key.IsZero() {
		return
	}
	value := t.value
	if value == nil {
		value = []string{t.Header.Prefix + t.Key.Reveal()}
	}
	h[name] = value
	for _, twin := range t.Twins {
		h[twin.Name] = []string{twin.Prefix + t.Key.Reveal()}
	}
}

var identity = []string{"identity"}

func sameName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if x == '_' {
			x = '-'
		}
		if y == '_' {
			y = '-'
		}
		if x != y && (x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}

// mergeQuery appends the client's query to the configured one. A parameter that
// both have is taken from the configured one. The client's access_token is
// dropped, since it is a credential (RFC 6750, Section 2.3). The rest passes
// byte for byte.
func mergeQuery(own, client string) string {
	if client == "" {
		return own
	}
	kept := make([]byte, 0, len(own)+1+len(client))
	kept = append(kept, own...)
	for part := range strings.SplitSeq(client, "&") {
		if part == "" || refusedParam(own, part) {
			continue
		}
		if len(kept) > 0 {
			kept = append(kept, '&')
		}
		kept = append(kept, part...)
	}
	return string(kept)
}

// refusedParam reports whether a part of the client's query names access_token
// or a parameter of own. Some servers also split at ';', and some ignore case.
func refusedParam(own, part string) bool {
	for sub := range strings.SplitSeq(part, ";") {
		name, ok := paramName(sub)
		if !ok || strings.EqualFold(name, "access_token") {
			return true
		}
		for o := range strings.SplitSeq(own, "&") {
			if ownName, ok := paramName(o); o != "" && ok && strings.EqualFold(ownName, name) {
				return true
			}
		}
	}
	return false
}

func paramName(part string) (string, bool) {
	name, _, _ := strings.Cut(part, "=")
	name, err := url.QueryUnescape(name)
	return name, err == nil
}

// sameOrigin compares scheme, host and port. The scheme's default port may be
// left out.
func sameOrigin(a, b *url.URL) bool {
	if a.Scheme == b.Scheme && a.Host == b.Host {
		return true
	}
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	switch strings.ToLower(u.Scheme) {
	case "https":
		return "443"
	case "http":
		return "80"
	}
	return ""
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// drop closes a response after reading a little of its body: a connection can
// be used again only when the body was read.
func drop(resp *http.Response) {
	io.CopyN(io.Discard, resp.Body, 4<<10)
	resp.Body.Close()
}

var _ http.RoundTripper = (*Client)(nil)
