// Package connect is the pages on which an owner connects an app to a server:
// one tile for each app, then its steps, and how far the app has come since the
// page was opened. What the steps are is package apps's, what an app did is
// package timeline's, and how it looks package web's.
package connect

import (
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/apps"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// Config is what the pages show. All of it must be set.
type Config struct {
	Owner    *owner.Owner
	Control  *control.Control
	Timeline *timeline.Recorder
	Status   func() api.Status
	// Render draws a page below the header of the owner's pages.
	Render func(w http.ResponseWriter, r *http.Request, status int, p web.Page)
}

// Pages serves the pages.
type Pages struct {
	cfg Config

	mu   sync.Mutex
	plan *plan
}

// New returns the pages.
func New(cfg Config) *Pages { return &Pages{cfg: cfg} }

// Routes registers the pages.
func (p *Pages) Routes(page func(pattern string, h httpx.HandlerFunc)) {
	page("GET /servers/{slug}/connect", p.cfg.Owner.Page(p.showTiles))
	page("GET /servers/{slug}/connect/{app}", p.cfg.Owner.Page(p.showApp))
	page("GET /live/servers/{slug}/connect/{app}", p.cfg.Owner.Script(p.showApp))
}

// sinceFor is how long a page keeps the moment since when it waits. One that is
// opened later, as from a bookmark, begins again.
const sinceFor = time.Hour

func (p *Pages) showTiles(w http.ResponseWriter, r *http.Request) error {
	e, ok := p.cfg.Control.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	p.cfg.Render(w, r, http.StatusOK, web.ConnectApps{Slug: e.Slug, Server: e.Name, Online: online(p.cfg.Status())})
	return nil
}

// online reports whether the internet is turned on, whether or not it works.
func online(st api.Status) bool {
	return st.Tunnel.Provider != api.TunnelOff && st.Tunnel.Provider != "" && st.PublicOrigin != nil
}

// showApp shows the steps of an app. Since when the page waits stands in its
// address, so a reload without JavaScript keeps it.
func (p *Pages) showApp(w http.ResponseWriter, r *http.Request) error {
	e, ok := p.cfg.Control.Endpoint(r.PathValue("slug"))
	app, known := apps.Find(r.PathValue("app"))
	if !ok || !known {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	now, in := time.Now(), r.URL.Query()
	at := placeOf(app, in.Get("at"))
	since := time.Time{}
	if n, err := strconv.ParseInt(in.Get("since"), 10, 64); err == nil {
		since = time.Unix(n, 0)
	}
	if since.After(now) || now.Sub(since) > sinceFor {
		http.Redirect(w, r, web.ConnectPath(e.Slug, app.ID)+"?"+query(at, now), http.StatusSeeOther)
		return nil
	}
	st := p.cfg.Status()
	page := web.ConnectApp{Slug: e.Slug, Server: e.Name, App: app, At: at, Query: query(at, since)}
	t := p.target(e, st)
	if page.Guide, ok = app.Guide(t, at); !ok {
		p.remember(e.Slug, app.ID, now)
	}
	page.Ready = ok
	if at == apps.Internet && ok {
		page.Trouble = trouble(st.Tunnel)
	}
	if ok && at != apps.Nowhere {
		attempts, err := p.attempts(e.Slug, since)
		if err != nil {
			return err
		}
		waiting := watch{app, at, e.Slug, since}.progress(attempts, st.Pending, now)
		page.Waiting = &waiting
	}
	p.cfg.Render(w, r, http.StatusOK, page)
	return nil
}

func query(at apps.Place, since time.Time) string {
	return url.Values{"at": {string(at)}, "since": {strconv.FormatInt(since.Unix(), 10)}}.Encode()
}

// target is the server as guides name it.
func (p *Pages) target(e endpoint.Endpoint, st api.Status) apps.Target {
	t := apps.Target{Title: e.Name, Local: endpoint.MCPURL(st.LocalOrigin, e.Slug)}
	if online(st) {
		t.Public = endpoint.MCPURL(*st.PublicOrigin, e.Slug)
	}
	all := p.cfg.Control.Endpoints()
	titles := make([]string, len(all))
	for i, o := range all {
		titles[i] = o.Name
	}
	for i, name := range safeNames(titles) {
		if all[i].Slug == e.Slug {
			t.Name = name
		}
	}
	return t
}

// trouble is why apps on the internet cannot connect, or empty.
func trouble(st api.TunnelStatus) string {
	switch st.State {
	case api.TunnelOnline, api.TunnelConnecting:
		return st.Test
	}
	return st.Words
}

// attempts lists what apps did at a server since a moment: those that have not
// used a tool yet, and those that have.
func (p *Pages) attempts(slug string, since time.Time) ([]api.Attempt, error) {
	all := p.cfg.Timeline.Reports()
	newest, err := p.cfg.Control.AppsSince(slug, since)
	if err != nil {
		return nil, err
	}
	for _, g := range newest {
		a, ok, err := p.cfg.Timeline.OfGrant(g.ID)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, a)
		}
	}
	return all, nil
}

// A plan is the app that an owner wanted to connect when the internet was off.
type plan struct {
	slug, app string
	at        time.Time
}

// remember keeps which app to return to once the internet is on.
func (p *Pages) remember(slug, app string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan = &plan{slug, app, now}
}

// Next is the app to return to once the internet is on; ok is false if there is
// none.
func (p *Pages) Next() (n web.ConnectNext, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.plan == nil || time.Since(p.plan.at) > sinceFor {
		return n, false
	}
	e, here := p.cfg.Control.Endpoint(p.plan.slug)
	app, known := apps.Find(p.plan.app)
	if !here || !known {
		return n, false
	}
	return web.ConnectNext{Path: web.ConnectPath(e.Slug, app.ID), App: app.Called(), Server: e.Name}, true
}
