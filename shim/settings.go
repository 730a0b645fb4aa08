package shim

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// A Login says whether the program starts when its owner logs in, and makes it
// so. How that is done is the desktop's business.
type Login interface {
	Enabled() (bool, error)
	Set(on bool) error
}

// The bounds of the access token's lifetime. A shorter one would have clients
// refresh all day, a longer one is what refresh tokens are for.
const (
	minAccessTTL = time.Hour
	maxAccessTTL = 30 * 24 * time.Hour
)

const settingAccessTTL = "access token lifetime"

// accessTTL is how long the access tokens of every origin are good for. It is
// asked for each of them, and only reads memory.
func (s *Shim) accessTTL() time.Duration {
	b, ok := s.vault.Setting(settingAccessTTL)
	if !ok {
		return oauth.DefaultAccessTTL
	}
	d, err := time.ParseDuration(string(b))
	if err != nil || d < minAccessTTL || d > maxAccessTTL {
		return oauth.DefaultAccessTTL
	}
	return d
}

// changeSettings checks everything first, so that what is wrong changes nothing.
func (s *Shim) changeSettings(c api.SettingsChange) error {
	var ttl time.Duration
	if c.AccessTTL != nil {
		if *c.AccessTTL < int64(minAccessTTL/time.Second) || *c.AccessTTL > int64(maxAccessTTL/time.Second) {
			return problem.Invalid("lifetime", problem.Sentence(web.TextLifetimeBounds))
		}
		ttl = time.Duration(*c.AccessTTL) * time.Second
	}
	var level slog.Level
	if c.LogLevel != nil {
		var ok bool
		if level, ok = logLevels[*c.LogLevel]; !ok {
			return problem.Invalid("log_level", problem.Sentence(web.TextNoSuchLogLevel))
		}
		if s.logLevel == nil {
			return httpx.New(http.StatusConflict, web.TextLogLevelFixed)
		}
	}
	if c.Login != nil && s.login == nil {
		return httpx.New(http.StatusConflict, web.TextNoLogin)
	}

	if c.AccessTTL != nil {
		if err := s.vault.SetSetting(settingAccessTTL, []byte(ttl.String())); err != nil {
			return s.explainState(err)
		}
	}
	if c.LogLevel != nil {
		s.logLevel.Set(level)
	}
	if c.Login != nil {
		if err := s.login.Set(*c.Login); err != nil {
			return &httpx.Error{Status: http.StatusInternalServerError, Msg: web.TextLoginTrouble, Err: err}
		}
	}
	s.changed()
	return nil
}

var logLevels = map[string]slog.Level{
	api.LogDebug: slog.LevelDebug, api.LogInfo: slog.LevelInfo, api.LogWarn: slog.LevelWarn, api.LogError: slog.LevelError,
}

func (s *Shim) logLevelName() string {
	if s.logLevel == nil {
		return ""
	}
	return strings.ToLower(s.logLevel.Level().String())
}

// settingsObject is the settings in the answers of the API.
func (s *Shim) settingsObject() api.Settings {
	o := api.Settings{AccessTTL: int64(s.accessTTL() / time.Second), DataDir: s.dir}
	if l := s.logLevelName(); l != "" {
		o.LogLevel = &l
	}
	if s.login != nil {
		if on, err := s.login.Enabled(); err == nil {
			o.Login = &on
		}
	}
	return o
}

func (s *Shim) apiSettings(w http.ResponseWriter, r *http.Request) error {
	return httpx.WriteJSON(w, http.StatusOK, s.settingsObject())
}

func (s *Shim) apiPatchSettings(w http.ResponseWriter, r *http.Request) error {
	var c api.SettingsChange
	if err := readJSON(r, &c); err != nil {
		return err
	}
	if err := s.changeSettings(c); err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, s.settingsObject())
}

func (s *Shim) showSettings(w http.ResponseWriter, r *http.Request) error {
	return s.renderSettings(w, r, http.StatusOK, doneNotices(r))
}

func (s *Shim) renderSettings(w http.ResponseWriter, r *http.Request, status int, notices []web.Notice) error {
	p := web.Settings{
		Version: s.version, Lifetime: int64(s.accessTTL() / time.Second), LogLevel: s.logLevelName(),
		DataDir: s.dir, Keychain: web.ShownKeychain(s.keychain()),
		Notices: notices, Token: s.owner.FormTokens(r),
	}
	if s.login != nil {
		if on, err := s.login.Enabled(); err == nil {
			p.HasLogin, p.Login = true, on
		} else {
			s.log.Debug("it is not known whether login starts the program", "err", err)
		}
	}
	web.Render(w, status, p)
	return nil
}

const settingsSaved = "/settings?done=saved"

// settingsForm makes a change come true and goes on to then, or shows the page
// of settings with what is wrong.
func (s *Shim) settingsForm(w http.ResponseWriter, r *http.Request, c api.SettingsChange, then string) error {
	err := s.changeSettings(c)
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
