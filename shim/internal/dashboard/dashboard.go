// Package dashboard is the owner's pages: their routes, what they show and what
// their forms do. The forms call control and reach, and nothing is decided
// here. How a page looks, and its words, are package web's.
package dashboard

import (
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/activity"
	"github.com/key2oauth/key2oauth/shim/internal/changes"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/doctor"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/reach"
	"github.com/key2oauth/key2oauth/shim/internal/samples"
	"github.com/key2oauth/key2oauth/shim/internal/shell"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// Config is what the pages show and act on. All of it must be set.
type Config struct {
	Shell        *shell.Shell
	Owner        *owner.Owner
	Control      *control.Control
	Reach        *reach.Reach
	Next         func() (web.ConnectNext, bool) // the app that waits for the internet
	Sample       *samples.Sample
	Examinations *doctor.Examinations
	Timeline     *timeline.Recorder
	Activity     *activity.Log
	Changes      *changes.Feed
	Status       func() api.Status
	Version      string
	LogFile      string                  // where the log is; "" where there is none
	Licenses     func(w io.Writer) error // nil where there is no text of them
	Log          *slog.Logger
}

// A Dashboard serves the owner's pages.
type Dashboard struct{ cfg Config }

// New returns a Dashboard.
func New(cfg Config) *Dashboard { return &Dashboard{cfg: cfg} }

// IsPath reports whether a path of the loopback side is for the owner: a page,
// the consent page, or the admin API.
func IsPath(p string) bool {
	if p == "/" {
		return true
	}
	first, _, _ := strings.Cut(p[min(1, len(p)):], "/")
	switch first {
	case "activity", "api", "check", "open", "consent", "grants", "pause", "resume", "sample", "keychain", "servers", "sign-out", "damaged",
		"tunnel", "settings", "steps", "live":
		return true
	}
	return false
}

// signOut ends the session of this browser.
func (d *Dashboard) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := d.cfg.Owner.SignOut(w, r); err != nil {
		return err
	}
	web.Render(w, http.StatusOK, web.SignedOutPage{})
	return nil
}

// Routes registers the pages.
func (d *Dashboard) Routes(page func(pattern string, h httpx.HandlerFunc)) {
	page("GET /{$}", d.cfg.Owner.Page(d.showHome))
	page("GET /live", d.cfg.Owner.Script(d.showLive))
	page("GET /live/bar", d.cfg.Owner.Script(d.cfg.Shell.LiveBar))
	page("POST /steps/login", d.cfg.Owner.Form(d.stepsLoginFromForm))
	page("POST /steps/hide", d.cfg.Owner.Form(d.stepsHideFromForm))
	page("GET /activity", d.cfg.Owner.Page(d.showActivity))
	page("GET /open", d.cfg.Owner.ShowLink)
	page("POST /open", d.cfg.Owner.Redeem)
	page("POST /sign-out", d.cfg.Owner.Form(d.signOut))
	page("POST /pause", d.cfg.Owner.Form(d.pauseFromForm(true)))
	page("POST /resume", d.cfg.Owner.Form(d.pauseFromForm(false)))
	page("POST /damaged", d.cfg.Owner.Form(d.removeDamagedFromForm))
	page("POST /keychain/unlock", d.cfg.Owner.Form(d.unlockFromForm))
	page("POST /keychain/keep", d.cfg.Owner.Form(d.keepFromForm))
	page("POST /keychain/file", d.cfg.Owner.Form(d.keepInFileFromForm))
	page("GET /tunnel", d.cfg.Owner.Page(d.showTunnel))
	page("POST /tunnel/ngrok", d.tunnelForm(api.TunnelNgrok, ngrokFromForm))
	page("POST /tunnel/external", d.tunnelForm(api.TunnelExternal, externalFromForm))
	page("POST /tunnel/on", d.tunnelForm("", d.onFromForm))
	page("POST /tunnel/off", d.tunnelForm("", offFromForm))
	page("POST /tunnel/test", d.cfg.Owner.Form(d.testFromForm))
	page("GET /check", d.cfg.Owner.Page(d.showCheck))
	page("POST /check", d.cfg.Owner.Form(d.checkFromForm))
	page("GET /settings", d.cfg.Owner.Page(d.showSettings))
	page("POST /settings/login", d.cfg.Owner.Form(d.loginFromForm))
	page("POST /settings/proxy", d.cfg.Owner.Form(d.proxyFromForm))
	page("POST /settings/lifetime", d.cfg.Owner.Form(d.lifetimeFromForm))
	page("POST /settings/log-level", d.cfg.Owner.Form(d.logLevelFromForm))
	page("GET /settings/export", d.cfg.Owner.Page(d.downloadExport))
	page("POST /settings/import", d.cfg.Owner.Form(d.importFromForm))
	page("POST /settings/quit", d.cfg.Owner.Form(d.quitFromForm))
	page("GET /settings/licenses", d.cfg.Owner.Page(d.showLicenses))
	page("GET /settings/delete", d.cfg.Owner.Page(d.showDeleteEverything))
	page("POST /settings/delete", d.cfg.Owner.Form(d.deleteEverythingFromForm))
	page("/", func(http.ResponseWriter, *http.Request) error { return httpx.New(http.StatusNotFound, web.TextNoPage) })
}

// Next decodes where an owner's link leads: a page of ours, or else the home
// page. The link may say what was done, and name a place on the page.
func Next(encoded string) string {
	b, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || len(b) == 0 {
		return "/"
	}
	u, err := url.Parse(string(b))
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(string(b), "//") || !httpx.CleanPath(u) || !IsPath(u.Path) {
		return "/"
	}
	next := u.EscapedPath()
	done := u.Query().Get("done")
	if _, ok := web.DoneNotices[done]; ok {
		next += "?done=" + done
	}
	if shell.Anchor.MatchString(u.Fragment) {
		next += "#" + u.Fragment
	}
	return next
}

// render shows one of the owner's pages below the header.
func (d *Dashboard) render(w http.ResponseWriter, r *http.Request, status int, p web.Page) {
	d.cfg.Shell.Render(w, r, status, p)
}
