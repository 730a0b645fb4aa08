package shim

import (
	"fmt"
	"net/http"
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
		m.Handle(pattern, httpx.Handle(s.log, showAPIError, s.admin(h)))
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
	return httpx.Handle(s.log, show, func(w http.ResponseWriter, r *http.Request) error {
		if !httpx.CleanPath(r.URL) {
			return httpx.New(http.StatusNotFound, web.TextNoPage)
		}
		if err := s.requireOwnHost(r); err != nil {
			return err
		}
		if err := requireSameUser(r); err != nil {
			return err
		}
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit(r.URL.Path))
		m.ServeHTTP(w, r)
		return nil
	})
}

// A route registers a handler.
type route func(pattern string, h httpx.HandlerFunc)

// ownerPages are consent and the dashboard.
func (s *Shim) ownerPages(page route) {
	page("GET /{$}", s.owned(s.showHome))
	page("GET /live", s.showLive)
	page("POST /steps/local", s.form(s.stepsLocalFromForm))
	page("POST /steps/login", s.form(s.stepsLoginFromForm))
	page("POST /steps/hide", s.form(s.stepsHideFromForm))
	page("GET /activity", s.owned(s.showActivity))
	page("GET /open", s.showOpen)
	page("POST /open", s.redeemTicket)
	page("POST /sign-out", s.form(s.signOut))
	page("POST /endpoints", s.form(s.createFromForm))
	page("GET /endpoints/{slug}", s.owned(s.showEdit))
	page("POST /endpoints/{slug}", s.form(s.editFromForm))
	page("GET /endpoints/{slug}/key", s.owned(s.showKey))
	page("POST /endpoints/{slug}/key", s.form(s.keyFromForm))
	page("GET /endpoints/{slug}/delete", s.owned(s.showDelete))
	page("POST /endpoints/{slug}/delete", s.form(s.deleteFromForm))
	page("GET /endpoints/{slug}/keys/{id}", s.owned(s.showLabel))
	page("POST /endpoints/{slug}/keys/{id}", s.form(s.labelFromForm))
	page("GET /endpoints/{slug}/keys/{id}/delete", s.owned(s.showDeleteKey))
	page("POST /endpoints/{slug}/keys/{id}/delete", s.form(s.deleteKeyFromForm))
	page("GET /grants/{id}/revoke", s.owned(s.showRevoke))
	page("POST /grants/{id}/revoke", s.form(s.revokeFromForm))
	page("POST /pause", s.form(s.pauseFromForm(true)))
	page("POST /resume", s.form(s.pauseFromForm(false)))
	page("POST /keychain/unlock", s.form(s.unlockFromForm))
	page("POST /keychain/keep", s.form(s.keepFromForm))
	page("GET /tunnel", s.owned(s.showTunnel))
	page("POST /tunnel/ngrok", s.tunnelForm(api.TunnelNgrok, ngrokFromForm))
	page("POST /tunnel/external", s.tunnelForm(api.TunnelExternal, externalFromForm))
	page("POST /tunnel/on", s.tunnelForm("", s.onFromForm))
	page("POST /tunnel/off", s.tunnelForm("", offFromForm))
	page("POST /tunnel/test", s.form(s.testFromForm))
	page("GET /check", s.owned(s.showCheck))
	page("POST /check", s.form(s.checkFromForm))
	page("GET /settings", s.owned(s.showSettings))
	page("POST /settings/login", s.form(s.loginFromForm))
	page("POST /settings/lifetime", s.form(s.lifetimeFromForm))
	page("POST /settings/log-level", s.form(s.logLevelFromForm))
	page("GET /settings/export", s.owned(s.downloadExport))
	page("POST /settings/import", s.form(s.importFromForm))
	page("GET /settings/delete", s.owned(s.showDeleteEverything))
	page("POST /settings/delete", s.form(s.deleteEverythingFromForm))
	page("GET /consent/{id}", s.showConsent)
	page("POST /consent/{id}", s.answerConsent)
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
	api("POST /api/open", s.apiOpen)
	api("GET /api/export", s.apiExport)
	api("POST /api/import", s.apiImport)
	api("DELETE /api/everything", s.apiDeleteEverything)
	api("GET /api/settings", s.apiSettings)
	api("PATCH /api/settings", s.apiPatchSettings)
	api("PUT /api/tunnel", s.apiPutTunnel)
	api("POST /api/tunnel/test", s.apiTestTunnel)
}

// requireOwnHost is the defence against DNS rebinding. Pages are at one
// address only, since cookies are kept by name.
func (s *Shim) requireOwnHost(r *http.Request) error {
	own := s.local.Load().as.Issuer
	if "http://"+r.Host == own {
		return nil
	}
	return &httpx.Error{Status: http.StatusMisdirectedRequest, Msg: fmt.Sprintf(web.TextOpenAt, own)}
}

// owned shows a page to the owner alone.
func (s *Shim) owned(h httpx.HandlerFunc) httpx.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := requireNavigation(r); err != nil {
			return err
		}
		if _, ok := s.owner.session(r); !ok {
			web.Render(w, http.StatusUnauthorized, web.NeedOwner{Words: web.TextNeedOwner, Command: "key2oauth open"})
			return nil
		}
		return h(w, r)
	}
}

// form accepts a form of a page that the owner was shown. The cookie alone is
// not enough: every other program's pages on 127.0.0.1 get it as well.
func (s *Shim) form(h httpx.HandlerFunc) httpx.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := requireSameOrigin(r); err != nil {
			return err
		}
		value, ok := s.owner.session(r)
		if !ok {
			web.Render(w, http.StatusUnauthorized, web.NeedOwner{Words: web.TextNeedOwner, Command: "key2oauth open"})
			return nil
		}
		if err := parseForm(r); err != nil {
			return err
		}
		if err := s.owner.checkForm(r, r.URL.Path, value); err != nil {
			return err
		}
		return h(w, r)
	}
}

func parseForm(r *http.Request) error {
	err := r.ParseForm()
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		err = r.ParseMultipartForm(maxImport) // all in memory: no file is left behind
	}
	if err != nil {
		return &httpx.Error{Status: http.StatusBadRequest, Msg: web.TextFormTorn, Err: err}
	}
	return nil
}

// token returns the function that pages make their form tokens with.
func (s *Shim) token(r *http.Request) func(action string) string {
	value, _ := s.owner.session(r)
	return func(action string) string { return s.owner.formToken(action, value) }
}

func (s *Shim) showOpen(w http.ResponseWriter, r *http.Request) error {
	if err := requireNavigation(r); err != nil {
		return err
	}
	q := r.URL.Query()
	web.Render(w, http.StatusOK, web.OpenLink{Action: "/open", Ticket: q.Get("ticket"), Next: q.Get("next")})
	return nil
}

func (s *Shim) redeemTicket(w http.ResponseWriter, r *http.Request) error {
	if err := requireSameOrigin(r); err != nil {
		return err
	}
	if err := parseForm(r); err != nil {
		return err
	}
	value, err := s.owner.redeem(r.PostFormValue("ticket"))
	switch err {
	case nil:
	case errTicketUsed:
		return httpx.New(http.StatusForbidden, web.TextTicketUsed)
	case errTicketOld:
		return httpx.New(http.StatusForbidden, web.TextTicketOld)
	default:
		return err
	}
	s.owner.setCookie(w, value)
	http.Redirect(w, r, nextPath(r.PostFormValue("next")), http.StatusSeeOther)
	return nil
}

func (s *Shim) signOut(w http.ResponseWriter, r *http.Request) error {
	value, _ := s.owner.session(r)
	if err := s.owner.end(w, value); err != nil {
		return err
	}
	web.Render(w, http.StatusOK, web.SignedOut{})
	return nil
}
