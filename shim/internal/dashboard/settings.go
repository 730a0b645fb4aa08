package dashboard

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/shell"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

func (d *Dashboard) showSettings(w http.ResponseWriter, r *http.Request) error {
	return d.renderSettings(w, r, http.StatusOK, shell.DoneNotices(r))
}

func (d *Dashboard) renderSettings(w http.ResponseWriter, r *http.Request, status int, notices []web.Notice) error {
	p := web.Settings{
		Version: d.cfg.Version, Lifetime: int64(d.cfg.Control.AccessTTL() / time.Second), LogLevel: d.cfg.Control.LogLevelName(),
		DataDir: d.cfg.Control.Settings().DataDir, Keychain: web.ShownKeychain(d.cfg.Control.Keychain()),
		LogFile: d.cfg.LogFile, HasLicenses: d.cfg.Licenses != nil,
		Notices: notices, Token: d.cfg.Owner.FormTokens(r),
	}
	if on := d.cfg.Control.Settings().Login; on != nil {
		p.HasLogin, p.Login = true, *on
	}
	if on := d.cfg.Control.Settings().UseProxy; on != nil {
		p.HasProxy, p.Proxy = true, *on
	}
	d.render(w, r, status, p)
	return nil
}

const settingsSaved = "/settings?done=saved"

// settingsForm changes settings and redirects to then, or shows the settings
// page with what is wrong.
func (d *Dashboard) settingsForm(w http.ResponseWriter, r *http.Request, c api.SettingsChange, then string) error {
	err := d.cfg.Control.ChangeSettings(c)
	if err == nil {
		http.Redirect(w, r, then, http.StatusSeeOther)
		return nil
	}
	e, status, ok := problem.FieldOf(err)
	if !ok {
		return err
	}
	if e.Err.Err != nil {
		d.cfg.Log.Warn("a setting was not changed", "err", e.Err.Err)
	}
	return d.renderSettings(w, r, status, []web.Notice{{Kind: web.NoticeError, Text: e.Err.Msg}})
}

// quitFromForm ends the program, once this page has been answered.
func (d *Dashboard) quitFromForm(w http.ResponseWriter, _ *http.Request) error {
	d.cfg.Control.Quit()
	web.Render(w, http.StatusOK, web.DonePage{Title: web.TextQuitTitle, Words: web.TextQuit})
	return nil
}

func (d *Dashboard) showLicenses(w http.ResponseWriter, r *http.Request) error {
	if d.cfg.Licenses == nil {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	var b strings.Builder
	if err := d.cfg.Licenses(&b); err != nil {
		return err
	}
	d.render(w, r, http.StatusOK, web.Licenses{Version: d.cfg.Version, Text: b.String()})
	return nil
}

func (d *Dashboard) loginFromForm(w http.ResponseWriter, r *http.Request) error {
	on := r.PostFormValue("login") == "on"
	return d.settingsForm(w, r, api.SettingsChange{Login: &on}, settingsSaved)
}

func (d *Dashboard) proxyFromForm(w http.ResponseWriter, r *http.Request) error {
	on := r.PostFormValue("proxy") == "on"
	return d.settingsForm(w, r, api.SettingsChange{UseProxy: &on}, settingsSaved)
}

func (d *Dashboard) lifetimeFromForm(w http.ResponseWriter, r *http.Request) error {
	n, err := strconv.ParseInt(r.PostFormValue("lifetime"), 10, 64)
	if err != nil {
		n = 0 // out of bounds
	}
	return d.settingsForm(w, r, api.SettingsChange{AccessTTL: &n}, settingsSaved)
}

func (d *Dashboard) logLevelFromForm(w http.ResponseWriter, r *http.Request) error {
	level := r.PostFormValue("log_level")
	return d.settingsForm(w, r, api.SettingsChange{LogLevel: &level}, settingsSaved)
}
