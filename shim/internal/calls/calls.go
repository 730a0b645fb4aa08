// Package calls takes one call of an app from its token to the upstream: it
// checks the token, finds the key, respects the pause switch, hands the call to
// the proxy, and records how it ended. While a call waits, nothing here reads
// the disk, asks the keychain or decrypts; see route.
package calls

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/key2oauth/key2oauth/shim/internal/activity"
	"github.com/key2oauth/key2oauth/shim/internal/changes"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/proxy"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
)

// Config is what calls need.
type Config struct {
	Vault    *vault.Vault
	Proxy    *proxy.Proxy
	Activity *activity.Log
	Timeline *timeline.Recorder
	Changes  *changes.Feed
	// AppName names an app, for people; see cimd.App.
	AppName func(name, documentID string) string
	Paused  bool // at the start
	// Heard is told of good answers of a server, and Doubted of calls that failed.
	// Neither may block.
	Heard, Doubted func(slug string)
	Log            *slog.Logger
	// Builtin serves the server of an examination that is under way, and
	// reports whether there is one at this slug of this issuer.
	Builtin func(w http.ResponseWriter, r *http.Request, as *oauth.Server, slug, sub string) bool
}

// Calls serves the endpoints. It is safe for concurrent use.
type Calls struct {
	Pause Pause

	cfg      Config
	routes   sync.Map // credential id -> *route
	troubles sync.Map // credential id -> the trouble that was logged last
	tries    sync.Map // credential id -> *tries
}

// New returns Calls that remember nothing yet.
func New(cfg Config) *Calls {
	c := &Calls{cfg: cfg}
	c.Pause.init(cfg.Paused)
	return c
}

// Forget drops what is remembered of the state. Call it after every change.
func (c *Calls) Forget() { c.routes.Clear() }

// Exists reports whether there is an endpoint at a slug, and rest is a path of
// it.
func (c *Calls) Exists(slug, rest string) bool {
	_, ok := c.cfg.Vault.Endpoint(slug)
	_, isMCP := splitRest(rest)
	return ok && isMCP
}

// Serve serves /{slug}/mcp and what belongs to it, for the issuer that as is.
// Authorization is decided before anything else of the request is looked at, so
// that a client that sends nonsense still learns where to get a token.
func (c *Calls) Serve(w http.ResponseWriter, r *http.Request, as *oauth.Server, slug, rest string) {
	sub, isMCP := splitRest(rest)
	if _, ok := c.cfg.Vault.Endpoint(slug); !ok || !isMCP {
		if !isMCP || !c.cfg.Builtin(w, r, as, slug, sub) {
			oauth.WriteError(w, r, errNoEndpoint)
		}
		return
	}
	access, ok := as.Authenticate(w, r, slug)
	if !ok {
		return
	}
	defer access.Release()
	paused, ok := c.Pause.running(r.Method)
	if !ok {
		c.noteBlocked(access.Grant.ID, "paused")
		unavailable(w, endpoint.TroublePaused.ToApp())
		return
	}
	way, err := c.route(slug, access.Grant.Credential)
	switch {
	case errors.Is(err, vault.ErrLocked):
		c.noteBlocked(access.Grant.ID, "locked")
		unavailable(w, c.cfg.Vault.Keychain().Words)
		return
	case errors.Is(err, vault.ErrKeyNeeded), errors.Is(err, vault.ErrNotFound):
		e, _ := c.cfg.Vault.Endpoint(slug)
		way = deadEnd(access.Grant.Credential, e.Name, cmp.Or(c.cfg.Vault.KeyTrouble(slug, access.Grant.Credential), endpoint.TroubleKeychain))
		c.sayTrouble(way)
	case err != nil:
		c.cfg.Log.Error("cannot open a credential", "slug", slug, "err", err)
		unavailable(w, textInternal)
		return
	}
	c.cfg.Proxy.ServeHTTP(w, r, &proxy.Call{
		Slug: slug, Name: way.name, Grant: access.Grant.ID, CredentialID: way.credential,
		Upstream: &way.target, Subpath: sub,
		Done: access.Done(), Paused: paused, Expires: access.Expires,
		Rejected: way.refuses, Trouble: way.trouble,
		Cut: func() endpoint.Trouble { return c.whyCut(access) },
		Report: func(out proxy.Outcome) {
			c.judge(way, out)
			c.record(&access.Grant, out)
			c.hear(slug, out)
			if way.trouble != endpoint.NoTrouble {
				c.noteBlocked(access.Grant.ID, string(way.trouble))
				return
			}
			c.noteCall(access.Grant.ID, out)
		},
		Judged: func(rejected bool) { c.judge(way, proxy.Outcome{Confirmed401: rejected, Success: !rejected}) },
	})
}

// sayTrouble logs once why the key of a credential cannot be used.
func (c *Calls) sayTrouble(way *route) {
	if last, _ := c.troubles.Swap(way.credential, way.trouble); last != way.trouble {
		c.cfg.Log.Warn("a saved key cannot be used", "endpoint", way.name, "credential", way.credential, "why", way.trouble.Words())
	}
}

// whyCut says why a call with this access was ended before it was answered.
func (c *Calls) whyCut(access *oauth.Access) endpoint.Trouble {
	select {
	case <-access.Done():
		return endpoint.TroubleDisconnected
	default:
	}
	return c.Pause.why()
}

// splitRest splits what follows the slug. An endpoint answers at /{slug} and
// /{slug}/mcp, with and without a slash at the end, and never with a redirect:
// some clients turn a redirected POST into a GET.
func splitRest(rest string) (sub string, ok bool) {
	switch rest {
	case "", "/", "/mcp", "/mcp/":
		return "", true
	}
	sub, ok = strings.CutPrefix(rest, "/mcp")
	return sub, ok && sub[0] == '/'
}

// judge keeps a credential's state true to the last word of its upstream.
func (c *Calls) judge(way *route, out proxy.Outcome) {
	switch {
	case out.Confirmed401 && way.rejected.CompareAndSwap(false, true):
		way.tries.begin()
		go c.setState(way, endpoint.Rejected)
	case out.Success && way.rejected.CompareAndSwap(true, false):
		go c.setState(way, endpoint.Working)
	}
}

func (c *Calls) setState(way *route, state endpoint.CredentialState) {
	if err := c.cfg.Vault.SetCredentialState(way.credential, state); err != nil {
		c.cfg.Log.Warn("the state of a credential was not saved", "credential", way.credential, "err", err)
	}
	if state == endpoint.Rejected {
		c.cfg.Log.Info("an upstream rejected its API key", "endpoint", way.name, "credential", way.credential)
	}
	c.cfg.Changes.Notify()
}

// unavailable answers when the trouble is ours. It is never 404 or 401, which
// clients take for a dead session or a dead token.
func unavailable(w http.ResponseWriter, words string) {
	w.Header().Set("Retry-After", "30")
	httpx.WriteJSON(w, http.StatusServiceUnavailable, map[string]any{
		"jsonrpc": "2.0", "id": nil,
		"error": map[string]any{"code": -32000, "message": words},
	})
}
