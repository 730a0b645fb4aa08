// Package upstream talks to MCP servers that know only API keys. Its Client is
// the only thing that puts keys on requests: the proxy, the trial of a pasted
// key and the doctor all go through Client.RoundTrip.
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

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
	"github.com/key2oauth/key2oauth/shim/internal/wire"
)

// A Target is where a request goes and what authorizes it there. It must not
// be changed once a request has been made with it.
type Target struct {
	URL    *url.URL // with its own query, which may hold a key too
	Header endpoint.Header
	Key    endpoint.Secret // the zero Secret sends no key

	value []string // header value with the key; see Ready
}

// Ready prepares t for many requests, so that none of them has to build the
// header value again. It returns t. A Target works without it too.
func (t *Target) Ready() *Target {
	if !t.Key.IsZero() {
		t.value = []string{t.Header.Prefix + t.Key.Reveal()}
	}
	return t
}

// Keys of contexts: of the *Target that a request goes to, and of its whole
// body, a []byte, if that is at hand.
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

	quick         *wire.Transport // what fits it of what plain would do
	plain, secure *http.Transport
	start         time.Time
	drift         atomic.Int64 // of the clock from start, in nanoseconds
	paths         pathMemory   // paths as asked for -> paths that answered
	eras          pathMemory   // endpoints that speak the newer era -> revision
}

// New returns a Client that connects through g; nil is a Guard without
// listeners of our own. Proxies named in the environment are not used: the key
// goes to the upstream and nowhere else.
func New(g *safedial.Guard) *Client {
	plain := &http.Transport{
		DialContext:            g.DialContext("http"),
		DisableCompression:     true,
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 256 << 10,
	}
	secure := plain.Clone()
	secure.DialContext = g.DialContext("https")
	secure.ForceAttemptHTTP2 = true
	secure.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	// A laptop that wakes up holds connections that nobody answers on; HTTP/2
	// would put every call of minutes onto such a one.
	secure.HTTP2 = &http.HTTP2Config{SendPingTimeout: 20 * time.Second, PingTimeout: 10 * time.Second}
	quick := &wire.Transport{
		DialContext: plain.DialContext, MaxHeader: plain.MaxResponseHeaderBytes,
		MaxIdlePerHost: plain.MaxIdleConnsPerHost, IdleTimeout: plain.IdleConnTimeout,
	}
	return &Client{quick: quick, plain: plain, secure: secure, start: time.Now()}
}

// TrustRoots makes https upstreams prove themselves against pool in place of
// the system's certificates. It must be called before the first request.
func (c *Client) TrustRoots(pool *x509.CertPool) { c.secure.TLSClientConfig.RootCAs = pool }

// CloseIdleConnections drops connections that carry no request.
func (c *Client) CloseIdleConnections() {
	c.quick.CloseIdleConnections()
	c.plain.CloseIdleConnections()
	c.secure.CloseIdleConnections()
}

// asleep is how far the clock runs ahead while the machine sleeps before
// connections from before are given up.
const asleep = 10 * time.Second

// noticeSleep drops idle connections after the machine slept: their other ends
// may be gone without our having been told, and a request on such a one would
// hang for many minutes. Timers stand still during sleep; the clock does not.
func (c *Client) noticeSleep() {
	now := time.Now()
	drift := now.UnixNano() - c.start.UnixNano() - int64(now.Sub(c.start))
	if was := c.drift.Load(); drift-was > int64(asleep) || was-drift > int64(asleep) {
		c.drift.Store(drift)
		c.CloseIdleConnections()
	}
}

// maxHops is how many redirects one request may take.
const maxHops = 3

var errNoTarget = errors.New("the request has no upstream")

// RoundTrip sends a copy of req to the upstream that its context names. See
// Send for what happens to it; req itself is not changed.
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
// The key goes only to the scheme, host and port of the target's URL. A copy
// of the key header that the client sent is replaced, its Authorization is
// always removed. Redirects are followed if they keep method, body and origin
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
	c.noticeSleep()
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
	decode(resp)
	return resp, nil
}

// bodyOf sees to it that req's body can be sent again.
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

// follow sends req and what it is redirected to.
func (c *Client) follow(req *http.Request, t *Target, body repeater, asked pathKey) (*http.Response, error) {
	for hop := 0; ; hop++ {
		resp, err := c.transport(req).RoundTrip(req)
		if err != nil {
			return nil, err
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
			// The body is gone, but the next request need not be lost as well.
			c.paths.learn(asked, next.EscapedPath())
			return nil, fmt.Errorf("repeating the request at %s: %w", shown(next, t).Path, err)
		}
		req = &r
	}
}

// transport returns what sends req.
func (c *Client) transport(req *http.Request) http.RoundTripper {
	switch {
	case req.URL.Scheme == "https":
		return c.secure
	case wire.Fits(req) && (req.Body == nil || req.Context().Value(BodyKey{}) != nil):
		return c.quick
	}
	return c.plain
}

// setKey leaves exactly one copy of the key header in h, ours, and no other
// credential of the client's. Servers behind CGI or WSGI cannot tell '_' from
// '-' in a name, so neither may a client's spelling.
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

// mergeQuery joins the client's query to the configured one. Where both have
// a parameter the configured one wins; the client's access_token is dropped,
// since RFC 6750, Section 2.3 would have it be a credential. The rest passes
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
// or a parameter of own. Some servers split at ';' too and some ignore case.
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

// sameOrigin compares scheme, host and port; a port that is the scheme's own
// may be left out.
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

// drop closes a redirect's response. What little body it has is read first, so
// that its connection can be used again.
func drop(resp *http.Response) {
	io.CopyN(io.Discard, resp.Body, 4<<10)
	resp.Body.Close()
}

var _ http.RoundTripper = (*Client)(nil)
