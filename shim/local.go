package shim

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// Local serves the loopback side: what the owner alone may reach, consent, and
// for clients on this machine all that a public origin has. It must be served
// by ServeLocal, which knows the peer of each connection, and from loopback
// only.
func (s *Shim) Local() http.Handler {
	own := s.ownerRoutes()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isOwnerPath(r.URL.Path) {
			own.ServeHTTP(w, r)
			return
		}
		s.local.Load().ServeHTTP(w, r)
	})
}

// isOwnerPath reports whether a path belongs to consent, dashboard or admin.
func isOwnerPath(p string) bool {
	if p == "/" {
		return true
	}
	first, _, _ := strings.Cut(p[min(1, len(p)):], "/")
	switch first {
	case "activity", "api", "check", "open", "consent", "endpoints", "grants", "pause", "resume", "keychain", "sign-out",
		"tunnel", "settings", "steps", "live":
		return true
	}
	return false
}

// ownerRoutes are wrapped as a whole: what is registered here is checked to
// come from the owner's OS user and to name our own address, without each
// handler having to remember it.
func (s *Shim) ownerRoutes() http.Handler {
	m := http.NewServeMux()
	page := func(pattern string, h httpx.HandlerFunc) { m.Handle(pattern, httpx.Handle(s.log, showPageError, h)) }
	api := func(pattern string, h httpx.HandlerFunc) {
		m.Handle(pattern, httpx.Handle(s.log, showAPIError, s.owner.Admin(h)))
	}

	s.ownerPages(page)
	s.ownerAPI(api)
	m.Handle("/api/", httpx.Handle(s.log, showAPIError, func(http.ResponseWriter, *http.Request) error {
		return httpx.New(http.StatusNotFound, "there is no such call")
	}))

	show := func(w http.ResponseWriter, r *http.Request, e *httpx.Error) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			showAPIError(w, r, e)
			return
		}
		showPageError(w, r, e)
	}
	return httpx.Handle(s.log, show, s.owner.Door(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit(r.URL.Path))
		m.ServeHTTP(w, r)
	})))
}

// signOut ends the session of this browser.
func (s *Shim) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := s.owner.SignOut(w, r); err != nil {
		return err
	}
	web.Render(w, http.StatusOK, web.SignedOut{})
	return nil
}

// A route registers a handler.
type route func(pattern string, h httpx.HandlerFunc)

// ownerPages are consent and the dashboard.
func (s *Shim) ownerPages(page route) {
	page("GET /{$}", s.owner.Page(s.showHome))
	page("GET /live", s.showLive)
	page("POST /steps/local", s.owner.Form(s.stepsLocalFromForm))
	page("POST /steps/login", s.owner.Form(s.stepsLoginFromForm))
	page("POST /steps/hide", s.owner.Form(s.stepsHideFromForm))
	page("GET /activity", s.owner.Page(s.showActivity))
	page("GET /open", s.owner.ShowLink)
	page("POST /open", s.owner.Redeem)
	page("POST /sign-out", s.owner.Form(s.signOut))
	page("POST /endpoints", s.owner.Form(s.createFromForm))
	page("GET /endpoints/{slug}", s.owner.Page(s.showEdit))
	page("POST /endpoints/{slug}", s.owner.Form(s.editFromForm))
	page("GET /endpoints/{slug}/key", s.owner.Page(s.showKey))
	page("POST /endpoints/{slug}/key", s.owner.Form(s.keyFromForm))
	page("GET /endpoints/{slug}/delete", s.owner.Page(s.showDelete))
	page("POST /endpoints/{slug}/delete", s.owner.Form(s.deleteFromForm))
	page("GET /endpoints/{slug}/keys/{id}", s.owner.Page(s.showLabel))
	page("POST /endpoints/{slug}/keys/{id}", s.owner.Form(s.labelFromForm))
	page("GET /endpoints/{slug}/keys/{id}/delete", s.owner.Page(s.showDeleteKey))
	page("POST /endpoints/{slug}/keys/{id}/delete", s.owner.Form(s.deleteKeyFromForm))
	page("GET /grants/{id}/revoke", s.owner.Page(s.showRevoke))
	page("POST /grants/{id}/revoke", s.owner.Form(s.revokeFromForm))
	page("POST /pause", s.owner.Form(s.pauseFromForm(true)))
	page("POST /resume", s.owner.Form(s.pauseFromForm(false)))
	page("POST /keychain/unlock", s.owner.Form(s.unlockFromForm))
	page("POST /keychain/keep", s.owner.Form(s.keepFromForm))
	page("GET /tunnel", s.owner.Page(s.showTunnel))
	page("POST /tunnel/ngrok", s.tunnelForm(api.TunnelNgrok, ngrokFromForm))
	page("POST /tunnel/external", s.tunnelForm(api.TunnelExternal, externalFromForm))
	page("POST /tunnel/on", s.tunnelForm("", s.onFromForm))
	page("POST /tunnel/off", s.tunnelForm("", offFromForm))
	page("POST /tunnel/test", s.owner.Form(s.testFromForm))
	page("GET /check", s.owner.Page(s.showCheck))
	page("POST /check", s.owner.Form(s.checkFromForm))
	page("GET /settings", s.owner.Page(s.showSettings))
	page("POST /settings/login", s.owner.Form(s.loginFromForm))
	page("POST /settings/lifetime", s.owner.Form(s.lifetimeFromForm))
	page("POST /settings/log-level", s.owner.Form(s.logLevelFromForm))
	page("GET /settings/export", s.owner.Page(s.downloadExport))
	page("POST /settings/import", s.owner.Form(s.importFromForm))
	page("GET /settings/delete", s.owner.Page(s.showDeleteEverything))
	page("POST /settings/delete", s.owner.Form(s.deleteEverythingFromForm))
	page("GET /consent/{id}", s.signIns.ShowConsent)
	page("POST /consent/{id}", s.signIns.AnswerConsent)
	page("/", func(http.ResponseWriter, *http.Request) error { return httpx.New(http.StatusNotFound, web.TextNoPage) })
}

// ownerAPI is the admin API.
func (s *Shim) ownerAPI(api route) {
	api("POST /api/slugs", s.apiCreate)
	api("GET /api/slugs", s.apiList)
	api("GET /api/slugs/{slug}", s.apiGet)
	api("PATCH /api/slugs/{slug}", s.apiPatch)
	api("DELETE /api/slugs/{slug}", s.apiDelete)
	api("PUT /api/slugs/{slug}/key", s.apiPutKey)
	api("PATCH /api/slugs/{slug}/credentials/{id}", s.apiPatchKey)
	api("DELETE /api/slugs/{slug}/credentials/{id}", s.apiDeleteKey)
	api("GET /api/grants", s.apiGrants)
	api("DELETE /api/grants/{id}", s.apiRevoke)
	api("GET /api/activity", s.apiActivity)
	api("POST /api/doctor", s.apiExamine)
	api("GET /api/doctor", s.apiReport)
	api("GET /api/timeline", s.apiTimeline)
	api("GET /api/status", s.apiStatus)
	api("GET /api/events", s.apiEvents)
	api("POST /api/pause", s.apiPause(true))
	api("POST /api/resume", s.apiPause(false))
	api("POST /api/quit", s.apiQuit)
	api("POST /api/open", s.owner.Token(s.apiOpen))
	api("GET /api/export", s.apiExport)
	api("POST /api/import", s.apiImport)
	api("DELETE /api/everything", s.owner.Token(s.apiDeleteEverything))
	api("GET /api/settings", s.apiSettings)
	api("PATCH /api/settings", s.apiPatchSettings)
	api("PUT /api/tunnel", s.apiPutTunnel)
	api("POST /api/tunnel/test", s.apiTestTunnel)
}

// nextPath decodes where an owner's link leads, which is a page of ours, or the
// home page. It may say what was done, and name a place on the page.
func nextPath(encoded string) string {
	b, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || len(b) == 0 {
		return "/"
	}
	u, err := url.Parse(string(b))
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(string(b), "//") || !httpx.CleanPath(u) || !isOwnerPath(u.Path) {
		return "/"
	}
	next := u.EscapedPath()
	done := u.Query().Get("done")
	if _, ok := web.DoneNotices[done]; ok {
		next += "?done=" + done
	}
	if anchor.MatchString(u.Fragment) {
		next += "#" + u.Fragment
	}
	return next
}

var anchor = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
