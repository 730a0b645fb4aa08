// Package selfcheck is a server of our own for one examination. An examination
// signs in and calls it as an app would, so it finds out what stands between,
// without a key and without a server of the owner's. It is on one issuer, in no
// list and in no file, and takes only the tokens of grants that it made itself.
package selfcheck

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/proxy"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// Header is the request header that takes a Server's Nonce.
const Header = "Key2oauth-Check"

// What the answers of a Server say.
const (
	Answer   = "key2oauth check"
	Streamed = "the first event came before the second was sent"
	held     = "the first event was held back"
)

const (
	// life bounds how long a Server is open, in case its examination never ends
	// it.
	life = 2 * time.Minute
	// patience is how long a stream waits to hear that its first event arrived.
	patience = 5 * time.Second
)

// A Server is the built-in server of one examination, on one issuer.
type Server struct {
	Origin string // of the issuer
	Slug   string
	// Nonce marks the requests of this examination, in Header. Only they know it,
	// so only they stay out of the timeline.
	Nonce string

	all    *Servers
	as     *oauth.Server
	target upstream.Target
	proxy  *proxy.Proxy
	ctx    context.Context
	end    context.CancelFunc
	seen   chan struct{}
	once   sync.Once
}

// Begin opens a Server on an issuer. Its End closes it.
func (a *Servers) Begin(as *oauth.Server, log *slog.Logger) *Server {
	c := &Server{Origin: as.Issuer, Slug: endpoint.NewSlug(), Nonce: rand.Text(), all: a, as: as, seen: make(chan struct{})}
	c.target = upstream.Target{URL: &url.URL{Scheme: "http", Host: "check.invalid", Path: "/mcp"}, Header: endpoint.DefaultHeader}
	c.proxy = &proxy.Proxy{Client: c, Log: log}
	c.ctx, c.end = context.WithTimeout(context.Background(), life)
	a.add(c)
	context.AfterFunc(c.ctx, func() { a.remove(c) })
	return c
}

// End closes a Server and ends its grants.
func (c *Server) End() {
	c.end()
	c.all.remove(c)
	c.as.Tokens.EndEndpoint(c.Slug)
}

// On reports whether a Server is on this issuer.
func (c *Server) On(as *oauth.Server) bool { return c.as == as }

// Code makes a grant for a registered client, as an approval does, and returns
// the code for it.
func (c *Server) Code(clientID, redirect, challenge string) (code string, err error) {
	client, ok := c.as.Clients.Lookup(clientID)
	if !ok {
		return "", errors.New("the client is not registered")
	}
	req := &oauth.Request{Issuer: c.Origin, Client: client, RedirectURI: redirect, Challenge: challenge, Scope: "mcp", Slug: c.Slug}
	location, err := c.as.Approve(req, c.Slug, "", oauth.NewGrantID(), "")
	if err != nil {
		return "", err
	}
	u, err := url.Parse(location)
	if err != nil {
		return "", err
	}
	return u.Query().Get("code"), nil
}

// Seen says that the first event of a stream has arrived. The second event says
// whether it was told so: if it was, nothing in between holds streams back.
func (c *Server) Seen() { c.once.Do(func() { close(c.seen) }) }

// Send implements proxy.Client. It answers as an upstream would.
func (c *Server) Send(r *http.Request) (*http.Response, error) {
	res := &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}},
	}
	var msg struct {
		ID     json.RawMessage `json:"id"`
		Params struct {
			Name string `json:"name"`
		} `json:"params"`
	}
	if r.Body != nil {
		defer r.Body.Close()
		if err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(&msg); err != nil {
			return nil, err
		}
	}
	result := func(text string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":%q}]}}`, msg.ID, text)
	}
	if msg.Params.Name != "stream" {
		body := result(Answer)
		res.Body, res.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		return res, nil
	}
	res.Header.Set("Content-Type", "text/event-stream")
	res.ContentLength = -1
	pr, pw := io.Pipe()
	res.Body = pr
	go func() {
		if _, err := io.WriteString(pw, "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progress\":1,\"progressToken\":0}}\n\n"); err != nil {
			return
		}
		text := Streamed
		select {
		case <-c.seen:
		case <-c.ctx.Done():
		case <-time.After(patience):
			text = held
		}
		io.WriteString(pw, "data: "+result(text)+"\n\n")
		pw.Close()
	}()
	return res, nil
}

// Tells implements proxy.Client.
func (c *Server) Tells(context.Context, upstream.Target) bool { return false }

// Probe implements proxy.Client.
func (c *Server) Probe(context.Context, upstream.Target) (rejected bool, err error) {
	return false, nil
}

// Serve serves a call. The caller has checked that the Server is on the issuer
// that was called.
func (c *Server) Serve(w http.ResponseWriter, r *http.Request, sub string) {
	access, ok := c.as.Authenticate(w, r, c.Slug)
	if !ok {
		return
	}
	defer access.Release()
	c.proxy.ServeHTTP(w, r, &proxy.Call{
		Slug: c.Slug, Name: Answer, Grant: access.Grant.ID, Upstream: &c.target, Subpath: sub,
		Done: access.Done(), Paused: c.ctx.Done(), Expires: access.Expires,
	})
}
