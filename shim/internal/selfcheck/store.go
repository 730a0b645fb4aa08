package selfcheck

import (
	"crypto/subtle"
	"maps"
	"net/http"
	"sync"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

// Servers are the Servers that are open. They stand in front of the store of all
// grants and hold those of the Servers in memory, so the rest of the program
// treats them like any other grant.
type Servers struct {
	oauth.Store // of all other grants

	mu     sync.RWMutex
	open   map[string]*Server // by slug
	grants map[string]*heldGrant
}

type heldGrant struct {
	grant   oauth.Grant
	tokens  map[oauth.Digest]oauth.Token
	deleted bool
}

func (a *Servers) add(c *Server) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		a.open, a.grants = make(map[string]*Server), make(map[string]*heldGrant)
	}
	a.open[c.Slug] = c
}

func (a *Servers) remove(c *Server) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, c.Slug)
	maps.DeleteFunc(a.grants, func(_ string, g *heldGrant) bool { return g.grant.Slug == c.Slug })
}

// Find returns the open Server with this slug, or nil.
func (a *Servers) Find(slug string) *Server {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.open[slug]
}

// Owns reports whether a request comes from an examination.
func (a *Servers) Owns(r *http.Request) bool {
	nonce := r.Header.Get(Header)
	if nonce == "" {
		return false
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, c := range a.open {
		if subtle.ConstantTimeCompare([]byte(c.Nonce), []byte(nonce)) == 1 {
			return true
		}
	}
	return false
}

// CreateGrant implements oauth.Store.
func (a *Servers) CreateGrant(g oauth.Grant, code oauth.Digest, t oauth.Token) error {
	a.mu.Lock()
	if a.open[g.Slug] == nil {
		a.mu.Unlock()
		return a.Store.CreateGrant(g, code, t)
	}
	defer a.mu.Unlock()
	a.grants[g.ID] = &heldGrant{grant: g, tokens: map[oauth.Digest]oauth.Token{code: t}}
	return nil
}

// Grant implements oauth.Store.
func (a *Servers) Grant(id string) (oauth.Grant, error) {
	a.mu.RLock()
	g := a.grants[id]
	a.mu.RUnlock()
	if g != nil {
		return g.grant, nil
	}
	return a.Store.Grant(id)
}

// Token implements oauth.Store.
func (a *Servers) Token(grant string, d oauth.Digest) (t oauth.Token, ok bool, err error) {
	a.mu.RLock()
	g := a.grants[grant]
	if g != nil {
		t, ok = g.tokens[d]
	}
	a.mu.RUnlock()
	if g != nil {
		return t, ok, nil
	}
	return a.Store.Token(grant, d)
}

// UpdateGrant implements oauth.Store.
func (a *Servers) UpdateGrant(id string, f func(oauth.Tx) error) error {
	a.mu.Lock()
	g := a.grants[id]
	if g == nil {
		a.mu.Unlock()
		return a.Store.UpdateGrant(id, f)
	}
	defer a.mu.Unlock()
	x := &heldGrant{grant: g.grant, tokens: maps.Clone(g.tokens)}
	if err := f((*transaction)(x)); err != nil {
		return err
	}
	if x.deleted {
		delete(a.grants, id)
	} else {
		a.grants[id] = x
	}
	return nil
}

// DeleteGrant implements oauth.Store.
func (a *Servers) DeleteGrant(id string) error {
	a.mu.Lock()
	_, ok := a.grants[id]
	delete(a.grants, id)
	a.mu.Unlock()
	if ok {
		return nil
	}
	return a.Store.DeleteGrant(id)
}

type transaction heldGrant

func (x *transaction) Grant() oauth.Grant     { return x.grant }
func (x *transaction) SetGrant(g oauth.Grant) { x.grant = g }
func (x *transaction) Token(d oauth.Digest) (t oauth.Token, ok bool) {
	t, ok = x.tokens[d]
	return t, ok
}
func (x *transaction) SetToken(d oauth.Digest, t oauth.Token) { x.tokens[d] = t }
func (x *transaction) DeleteToken(d oauth.Digest)             { delete(x.tokens, d) }
func (x *transaction) Delete()                                { x.deleted = true }
