package shim

import (
	"net/http"
	"strconv"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// A Login says whether the program starts when its owner logs in, and makes it
// so. How that is done is the desktop's business.
type Login interface {
	Enabled() (bool, error)
	Set(on bool) error
}

func (s *Shim) apiSettings(w http.ResponseWriter, r *http.Request) error {
	return httpx.WriteJSON(w, http.StatusOK, s.control.Settings())
}

func (s *Shim) apiPatchSettings(w http.ResponseWriter, r *http.Request) error {
	var c api.SettingsChange
	if err := readJSON(r, &c); err != nil {
		return err
	}
	if err := s.control.ChangeSettings(c); err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, s.control.Settings())
}

func (s *Shim) showSettings(w http.ResponseWriter, r *http.Request) error {
	return s.renderSettings(w, r, http.StatusOK, doneNotices(r))
}

func (s *Shim) renderSettings(w http.ResponseWriter, r *http.Request, status int, notices []web.Notice) error {
	p := web.Settings{
		Version: s.version, Lifetime: int64(s.control.AccessTTL() / time.Second), LogLevel: s.control.LogLevelName(),
		DataDir: s.dir, Keychain: web.ShownKeychain(s.control.Keychain()),
		Notices: notices, Token: s.owner.FormTokens(r),
	}
	if on := s.control.Settings().Login; on != nil {
		p.HasLogin, p.Login = true, *on
	}
	web.Render(w, status, p)
	return nil
}

const settingsSaved = "/settings?done=saved"

// settingsForm makes a change come true and goes on to then, or shows the page
// of settings with what is wrong.
func (s *Shim) settingsForm(w http.ResponseWriter, r *http.Request, c api.SettingsChange, then string) error {
	err := s.control.ChangeSettings(c)
	if err == nil {
		http.Redirect(w, r, then, http.StatusSeeOther)
		return nil
	}
	e, status, ok := problem.FieldOf(err)
	if !ok {
		return err
	}
	if e.Err.Err != nil {
		s.log.Warn("a setting was not changed", "err", e.Err.Err)
	}
	return s.renderSettings(w, r, status, []web.Notice{{Kind: "error", Text: e.Err.Msg}})
}

func (s *Shim) loginFromForm(w http.ResponseWriter, r *http.Request) error {
	on := r.PostFormValue("login") == "on"
	return s.settingsForm(w, r, api.SettingsChange{Login: &on}, settingsSaved)
}

func (s *Shim) lifetimeFromForm(w http.ResponseWriter, r *http.Request) error {
	n, err := strconv.ParseInt(r.PostFormValue("lifetime"), 10, 64)
	if err != nil {
		n = 0 // out of bounds
	}
	return s.settingsForm(w, r, api.SettingsChange{AccessTTL: &n}, settingsSaved)
}

func (s *Shim) logLevelFromForm(w http.ResponseWriter, r *http.Request) error {
	level := r.PostFormValue("log_level")
	return s.settingsForm(w, r, api.SettingsChange{LogLevel: &level}, settingsSaved)
}
