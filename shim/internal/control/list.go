package control

import (
	"slices"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/display"
	"github.com/key2oauth/key2oauth/shim/internal/cimd"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/guard"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/standing"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// A Grant is one connected app.
type Grant struct {
	api.Grant
	Who display.App
}

// App is who a connected app is.
func (c *Control) App(g *oauth.Grant) display.App { return cimd.App(g.ClientName, g.DocumentID()) }

// Server describes an endpoint.
func (c *Control) Server(e endpoint.Endpoint) api.Endpoint { return c.server(e, c.cfg.Struck()) }

func (c *Control) server(e endpoint.Endpoint, struck map[string]int) api.Endpoint {
	return c.serverWith(e, struck, c.cfg.Vault.Credentials(e.Slug), c.Keychain())
}

func (c *Control) serverWith(e endpoint.Endpoint, struck map[string]int, keys []endpoint.Credential, chain api.Keychain) api.Endpoint {
	o := c.state(e, keys, chain)
	local := endpoint.MCPURL(c.cfg.LocalOrigin(), e.Slug)
	o.UpstreamURL, o.AuthHeaderName, o.AuthHeaderPrefix = e.ShownURL(), e.Header.Name, e.Header.Prefix
	o.MCPEndpoint, o.LocalMCPEndpoint = local, local
	o.Created, o.LastUsed, o.Struck = e.Created.UTC(), whenSet(e.LastUsed), struck[e.Slug]
	if p := c.cfg.PublicOrigin(); p != "" {
		o.MCPEndpoint = endpoint.MCPURL(p, e.Slug)
	}
	for i := range o.Credentials {
		o.Credentials[i].Unwatched = c.unwatched(o.Credentials[i].ID)
	}
	return o
}

// state says how an endpoint stands, with its keys.
func (c *Control) state(e endpoint.Endpoint, keys []endpoint.Credential, chain api.Keychain) api.Endpoint {
	o := api.Endpoint{Slug: e.Slug, DisplayName: e.Name, Credentials: []api.Credential{}}
	var known standing.Server
	known.Last, known.Why = c.cfg.Pulse.Last(e.Slug)
	for _, k := range keys {
		who := api.ForOwner
		if k.Grant != "" {
			who = api.ForGrant
		}
		shown := api.Credential{ID: k.ID, Label: k.Label, State: string(k.State), For: who}
		if k.State == endpoint.KeyNeeded {
			shown.Words = c.keyTrouble(k)
		}
		known.Keys = append(known.Keys, k.State)
		o.Credentials = append(o.Credentials, shown)
	}
	if i := slices.IndexFunc(o.Credentials, func(k api.Credential) bool { return k.Words != "" }); i >= 0 {
		known.Why = o.Credentials[i].Words
	}
	if !chain.Usable() && len(known.Keys) > 0 {
		known.Locked, known.Why = true, chain.Words
	}
	known.Describe(&o, c.cfg.Paused())
	return o
}

// States says how all endpoints stand, oldest first, and leaves out what that does
// not need: a status is asked for at every change.
func (c *Control) States() []api.Endpoint {
	keys, chain := c.cfg.Vault.CredentialsOfAll(), c.Keychain()
	var all []api.Endpoint
	for _, e := range c.cfg.Vault.Endpoints() {
		all = append(all, c.state(e, keys[e.Slug], chain))
	}
	return all
}

// keyTrouble says why a key cannot be used, and what to do.
func (c *Control) keyTrouble(k endpoint.Credential) string {
	t := c.cfg.Vault.KeyTrouble(k.Slug, k.ID)
	return problem.Join(t.Words(), t.Next())
}

// unwatched says why answers are not searched for a key, as api.Credential has
// it.
func (c *Control) unwatched(credential string) string {
	key, err := c.cfg.Vault.Key(credential)
	if err != nil {
		return "" // its state says why
	}
	switch guard.Watch(key.Reveal()) {
	case guard.TooShort:
		return api.UnwatchedShort
	case guard.Guessable:
		return api.UnwatchedGuessable
	}
	return ""
}

func whenSet(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Servers describes all endpoints, oldest first.
func (c *Control) Servers() []api.Endpoint {
	all, struck := []api.Endpoint{}, c.cfg.Struck()
	keys, chain := c.cfg.Vault.CredentialsOfAll(), c.Keychain()
	for _, e := range c.cfg.Vault.Endpoints() {
		all = append(all, c.serverWith(e, struck, keys[e.Slug], chain))
	}
	return all
}

// describe describes a connected app.
func (c *Control) describe(g oauth.Grant) Grant {
	who := c.App(&g)
	return Grant{api.Grant{
		ID: g.ID, Slug: g.Slug, ClientID: g.ClientID, ClientName: g.ClientName, App: who.Full(), RedirectHost: oauth.RedirectHost(g.RedirectURI),
		ReturnsTo: web.ReturnsTo(oauth.RedirectKind(g.RedirectURI), oauth.RedirectHost(g.RedirectURI), c.flow(g)),
		Origin:    g.Origin, Credential: g.Credential, Created: g.Created.UTC(), LastUsed: whenSet(c.cfg.Tokens.LastUsed(g)),
		InTwoPlaces: whenSet(g.InTwoPlaces),
	}, who}
}

// flow is how the sign-in of a grant came. For one of an earlier version only
// the local origin is certain.
func (c *Control) flow(g oauth.Grant) web.Flow {
	if g.Began == "" && g.Origin == c.cfg.LocalOrigin() {
		return web.FlowLocal
	}
	return web.Flow(g.Began)
}

// TwoPlaces lists the apps whose sign-in is used from two places.
func (c *Control) TwoPlaces() []api.TwoPlaces {
	ids, err := c.cfg.Vault.InTwoPlaces()
	if err != nil {
		c.cfg.Log.Warn("which apps are used from two places cannot be read", "err", err)
	}
	var all []api.TwoPlaces
	for _, id := range ids {
		if g, err := c.cfg.Vault.Grant(id); err == nil {
			app := c.App(&g)
			all = append(all, api.TwoPlaces{Grant: g.ID, App: app.String(), Slug: g.Slug, Since: g.InTwoPlaces.UTC()})
		}
	}
	return all
}
