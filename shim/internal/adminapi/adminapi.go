// Package adminapi is the admin API: what the owner can do, as JSON, and the
// status as a stream of events. Its bodies are the types of package api, and it
// does what it does by control and reach.
package adminapi

import (
	"log/slog"
	"net/http"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/activity"
	"github.com/key2oauth/key2oauth/shim/internal/changes"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/doctor"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/reach"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// Config is what the API shows and acts on. All of it must be set.
type Config struct {
	Owner        *owner.Owner
	Control      *control.Control
	Reach        *reach.Reach
	Examinations *doctor.Examinations
	Timeline     *timeline.Recorder
	Activity     *activity.Log
	Changes      *changes.Feed
	Status       func() api.Status
	Log          *slog.Logger
}

// An API serves the admin API.
type API struct{ cfg Config }

// New returns an API.
func New(cfg Config) *API { return &API{cfg: cfg} }

// Routes registers all calls of the API, for requests that carry the admin
// token or come from the owner's own pages.
func (a *API) Routes(m *http.ServeMux) {
	route := func(pattern string, h httpx.HandlerFunc) {
		m.Handle(pattern, httpx.Handle(a.cfg.Log, a.ShowError, a.cfg.Owner.Admin(h)))
	}
	route("POST /api/slugs", a.create)
	route("GET /api/slugs", a.list)
	route("GET /api/slugs/{slug}", a.get)
	route("PATCH /api/slugs/{slug}", a.patch)
	route("DELETE /api/slugs/{slug}", a.remove)
	route("PUT /api/slugs/{slug}/key", a.putKey)
	route("PATCH /api/slugs/{slug}/credentials/{id}", a.patchKey)
	route("DELETE /api/slugs/{slug}/credentials/{id}", a.deleteKey)
	route("GET /api/grants", a.grants)
	route("DELETE /api/grants/{id}", a.revoke)
	route("DELETE /api/damaged/{kind}/{id}", a.removeDamaged)
	route("GET /api/activity", a.activity)
	route("POST /api/doctor", a.examine)
	route("GET /api/doctor", a.report)
	route("GET /api/timeline", a.timeline)
	route("GET /api/status", a.status)
	route("GET /api/events", a.events)
	route("POST /api/pause", a.pause(true))
	route("POST /api/resume", a.pause(false))
	route("POST /api/quit", a.quit)
	route("POST /api/open", a.cfg.Owner.Token(a.open))
	route("GET /api/export", a.export)
	route("POST /api/backup", a.cfg.Owner.Token(a.backup))
	route("POST /api/import", a.importFile)
	route("DELETE /api/everything", a.cfg.Owner.Token(a.deleteEverything))
	route("GET /api/settings", a.settings)
	route("PATCH /api/settings", a.patchSettings)
	route("PUT /api/tunnel", a.putTunnel)
	route("POST /api/tunnel/test", a.testTunnel)
	m.Handle("/api/", httpx.Handle(a.cfg.Log, a.ShowError, func(http.ResponseWriter, *http.Request) error {
		return httpx.New(http.StatusNotFound, "the admin API has nothing at this path")
	}))
}

// ShowError answers a program, or a person who has come to its path.
func (a *API) ShowError(w http.ResponseWriter, r *http.Request, e *httpx.Error) {
	if httpx.ForPerson(r) {
		_, signedIn := a.cfg.Owner.Session(r)
		web.ShowNowhere(w, web.Side{Owner: signedIn}, e.Status)
		return
	}
	httpx.WriteJSON(w, e.Status, api.Error{Error: e.Msg})
}
