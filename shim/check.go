package shim

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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

// A Check is a server that is built in and there for one examination alone: it
// is on one origin, in no list and in no file, and it takes only the tokens of
// the grants that Code makes.
type Check struct {
	Origin string // of the issuer
	Slug   string
	// Nonce marks the requests of this examination, in CheckHeader: nobody else
	// knows it, so nobody else stays out of the timeline.
	Nonce string

	s      *Shim
	as     *oauth.Server
	target upstream.Target
	proxy  *proxy.Proxy
	ctx    context.Context
	end    context.CancelFunc
	seen   chan struct{}
	once   sync.Once
}

// CheckHeader is the request header that takes a Check's Nonce.
const CheckHeader = "Key2oauth-Check"

// checkLife bounds how long a Check is there, whatever becomes of whoever began
// it.
const checkLife = 2 * time.Minute

// BeginCheck opens a Check on the public origin, or on the local one. End
// closes it.
func (s *Shim) BeginCheck(public bool) (*Check, error) {
	o := s.local.Load()
	if public {
		o = s.public.Load()
	}
	if o == nil {
		return nil, errors.New("nothing is served there")
	}
	c := &Check{Origin: o.as.Issuer, Slug: endpoint.NewSlug(), Nonce: rand.Text(), s: s, as: o.as, seen: make(chan struct{})}
	c.target = upstream.Target{URL: &url.URL{Scheme: "http", Host: "check.invalid", Path: "/mcp"}, Header: endpoint.DefaultHeader}
	c.proxy = &proxy.Proxy{Client: c, Log: s.log}
	c.ctx, c.end = context.WithTimeout(context.Background(), checkLife)
	s.checks.add(c)
	context.AfterFunc(c.ctx, func() { s.checks.remove(c) })
	return c, nil
}

// End closes a Check and ends its grants.
func (c *Check) End() {
	c.end()
	c.s.checks.remove(c)
	c.s.tokens.EndEndpoint(c.Slug)
}

// Code makes a grant for a client that is registered, as an approval does, and
// returns the code for it.
func (c *Check) Code(clientID, redirect, challenge string) (code string, err error) {
	client, ok := c.as.Clients.Lookup(clientID)
	if !ok {
		return "", errors.New("the client is not registered")
	}
	req := &oauth.Request{Issuer: c.Origin, Client: client, RedirectURI: redirect, Challenge: challenge, Scope: "mcp", Slug: c.Slug}
	location, err := c.as.Approve(req, c.Slug, "", oauth.NewGrantID())
	if err != nil {
		return "", err
	}
	u, err := url.Parse(location)
	if err != nil {
		return "", err
	}
	return u.Query().Get("code"), nil
}

// Seen tells the built-in server that the first event of its stream has
// arrived. The second one says whether it was told: what stands between holds
// back no stream then.
func (c *Check) Seen() { c.once.Do(func() { close(c.seen) }) }

// What the answers of the built-in server say.
const (
	CheckAnswer   = "key2oauth check"
	CheckStreamed = "the first event came before the second was sent"
	checkHeld     = "the first event was held back"
)

const checkPatience = 5 * time.Second

// Send answers as an upstream would. It implements proxy.Client.
func (c *Check) Send(r *http.Request) (*http.Response, error) {
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
		body := result(CheckAnswer)
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
		text := CheckStreamed
		select {
		case <-c.seen:
		case <-c.ctx.Done():
		case <-time.After(checkPatience):
			text = checkHeld
		}
		io.WriteString(pw, "data: "+result(text)+"\n\n")
		pw.Close()
	}()
	return res, nil
}

// Probe implements proxy.Client.
func (c *Check) Probe(context.Context, upstream.Target) (rejected bool, err error) { return false, nil }

// serve serves a call of the built-in server. The caller has checked that it is
// on this origin.
func (c *Check) serve(w http.ResponseWriter, r *http.Request, sub string) {
	access, ok := c.as.Authenticate(w, r, c.Slug)
	if !ok {
		return
	}
	defer access.Release()
	c.proxy.ServeHTTP(w, r, &proxy.Call{
		Slug: c.Slug, Name: CheckAnswer, Grant: access.Grant.ID, Upstream: &c.target, Subpath: sub,
		Done: access.Done(), Paused: c.ctx.Done(), Expires: access.Expires,
	})
}

// checks are the Checks that are open, with their grants: a store in front of
// the vault, so that everything else treats them like any other grant.
type checks struct {
	oauth.Store

	mu     sync.RWMutex
	open   map[string]*Check // by slug
	grants map[string]*checkGrant
}

type checkGrant struct {
	grant   oauth.Grant
	tokens  map[oauth.Digest]oauth.Token
	deleted bool
}

func (k *checks) add(c *Check) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open == nil {
		k.open, k.grants = make(map[string]*Check), make(map[string]*checkGrant)
	}
	k.open[c.Slug] = c
}

func (k *checks) remove(c *Check) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.open, c.Slug)
	maps.DeleteFunc(k.grants, func(_ string, g *checkGrant) bool { return g.grant.Slug == c.Slug })
}

// find returns the Check with this slug, or nil.
func (k *checks) find(slug string) *Check {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.open[slug]
}

// owns reports whether a request is an examination's own.
func (k *checks) owns(r *http.Request) bool {
	nonce := r.Header.Get(CheckHeader)
	if nonce == "" {
		return false
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, c := range k.open {
		if subtle.ConstantTimeCompare([]byte(c.Nonce), []byte(nonce)) == 1 {
			return true
		}
	}
	return false
}

// CreateGrant implements oauth.Store.
func (k *checks) CreateGrant(g oauth.Grant, code oauth.Digest, t oauth.Token) error {
	k.mu.Lock()
	if k.open[g.Slug] == nil {
		k.mu.Unlock()
		return k.Store.CreateGrant(g, code, t)
	}
	defer k.mu.Unlock()
	k.grants[g.ID] = &checkGrant{grant: g, tokens: map[oauth.Digest]oauth.Token{code: t}}
	return nil
}

// Grant implements oauth.Store.
func (k *checks) Grant(id string) (oauth.Grant, error) {
	k.mu.RLock()
	g := k.grants[id]
	k.mu.RUnlock()
	if g != nil {
		return g.grant, nil
	}
	return k.Store.Grant(id)
}

// Token implements oauth.Store.
func (k *checks) Token(grant string, d oauth.Digest) (t oauth.Token, ok bool, err error) {
	k.mu.RLock()
	g := k.grants[grant]
	if g != nil {
		t, ok = g.tokens[d]
	}
	k.mu.RUnlock()
	if g != nil {
		return t, ok, nil
	}
	return k.Store.Token(grant, d)
}

// UpdateGrant implements oauth.Store.
func (k *checks) UpdateGrant(id string, f func(oauth.Tx) error) error {
	k.mu.Lock()
	g := k.grants[id]
	if g == nil {
		k.mu.Unlock()
		return k.Store.UpdateGrant(id, f)
	}
	defer k.mu.Unlock()
	tx := &checkGrant{grant: g.grant, tokens: maps.Clone(g.tokens)}
	if err := f((*checkTx)(tx)); err != nil {
		return err
	}
	if tx.deleted {
		delete(k.grants, id)
	} else {
		k.grants[id] = tx
	}
	return nil
}

// DeleteGrant implements oauth.Store.
func (k *checks) DeleteGrant(id string) error {
	k.mu.Lock()
	_, ok := k.grants[id]
	delete(k.grants, id)
	k.mu.Unlock()
	if ok {
		return nil
	}
	return k.Store.DeleteGrant(id)
}

type checkTx checkGrant

func (x *checkTx) Grant() oauth.Grant                            { return x.grant }
func (x *checkTx) SetGrant(g oauth.Grant)                        { x.grant = g }
func (x *checkTx) Token(d oauth.Digest) (t oauth.Token, ok bool) { t, ok = x.tokens[d]; return t, ok }
func (x *checkTx) SetToken(d oauth.Digest, t oauth.Token)        { x.tokens[d] = t }
func (x *checkTx) DeleteToken(d oauth.Digest)                    { delete(x.tokens, d) }
func (x *checkTx) Delete()                                       { x.deleted = true }
