package control

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// The bounds of an access token's lifetime. Below the lower one clients would
// refresh all day; above the upper one, refresh tokens would have no use.
const (
	minAccessTTL = time.Hour
	maxAccessTTL = 30 * 24 * time.Hour
)

// SettingPaused is set in the state while calls are paused.
const SettingPaused = "paused"

const (
	settingAccessTTL = "access token lifetime"
	settingProxy     = "use the proxy of the environment"
)

// AccessTTL is the lifetime of access tokens, on every origin. It is called for
// each token and reads memory only.
func (c *Control) AccessTTL() time.Duration {
	b, ok := c.cfg.Vault.Setting(settingAccessTTL)
	if !ok {
		return oauth.DefaultAccessTTL
	}
	d, err := time.ParseDuration(string(b))
	if err != nil || d < minAccessTTL || d > maxAccessTTL {
		return oauth.DefaultAccessTTL
	}
	return d
}

// ChangeSettings checks all of a change first, so a wrong value changes
// nothing.
func (c *Control) ChangeSettings(in api.SettingsChange) error {
	var ttl time.Duration
	if in.AccessTTL != nil {
		if *in.AccessTTL < int64(minAccessTTL/time.Second) || *in.AccessTTL > int64(maxAccessTTL/time.Second) {
			return problem.Invalid("lifetime", problem.Sentence(web.TextLifetimeBounds))
		}
		ttl = time.Duration(*in.AccessTTL) * time.Second
	}
	var level slog.Level
	if in.LogLevel != nil {
		var ok bool
		if level, ok = logLevels[*in.LogLevel]; !ok {
			return problem.Invalid("log_level", problem.Sentence(web.TextNoSuchLogLevel))
		}
		if c.cfg.LogLevel == nil {
			return httpx.New(http.StatusConflict, web.TextLogLevelFixed)
		}
	}
	if in.UseProxy != nil && *in.UseProxy && upstream.ProxyVariable() == "" {
		return httpx.New(http.StatusConflict, web.TextNoProxy)
	}
	if in.Login != nil && c.cfg.Login == nil {
		return httpx.New(http.StatusConflict, web.TextNoLogin)
	}

	if in.AccessTTL != nil {
		if err := c.cfg.Vault.SetSetting(settingAccessTTL, []byte(ttl.String())); err != nil {
			return c.Explain(err)
		}
	}
	if in.UseProxy != nil {
		var value []byte // nil deletes the setting
		if *in.UseProxy {
			value = []byte{1}
		}
		if err := c.cfg.Vault.SetSetting(settingProxy, value); err != nil {
			return c.Explain(err)
		}
		c.cfg.UseProxy(*in.UseProxy)
	}
	if in.LogLevel != nil {
		c.cfg.LogLevel.Set(level)
	}
	if in.Login != nil {
		if err := c.cfg.Login.Set(*in.Login); err != nil {
			return &httpx.Error{Status: http.StatusInternalServerError, Msg: web.TextLoginTrouble, Err: err}
		}
	}
	c.Changed()
	return nil
}

var logLevels = map[string]slog.Level{
	api.LogDebug: slog.LevelDebug, api.LogInfo: slog.LevelInfo, api.LogWarn: slog.LevelWarn, api.LogError: slog.LevelError,
}

// LogLevelName is the log level as the API names it.
func (c *Control) LogLevelName() string {
	if c.cfg.LogLevel == nil {
		return ""
	}
	return strings.ToLower(c.cfg.LogLevel.Level().String())
}

// Settings returns the settings. A nil field cannot be changed here.
func (c *Control) Settings() api.Settings {
	o := api.Settings{AccessTTL: int64(c.AccessTTL() / time.Second), DataDir: c.cfg.Dir}
	if l := c.LogLevelName(); l != "" {
		o.LogLevel = &l
	}
	if upstream.ProxyVariable() != "" {
		on := c.UsesProxy()
		o.UseProxy = &on
	}
	if c.cfg.Login != nil {
		on, err := c.cfg.Login.Enabled()
		if err == nil {
			o.Login = &on
		} else {
			c.cfg.Log.Debug("cannot tell whether login starts the program", "err", err)
		}
	}
	return o
}

// UsesProxy reports whether https servers are reached through the proxy that the
// environment names.
func (c *Control) UsesProxy() bool {
	_, on := c.cfg.Vault.Setting(settingProxy)
	return on
}

// SetPaused stops every call, or lets calls through again. The pause survives a
// restart.
func (c *Control) SetPaused(paused bool) error {
	var value []byte // nil deletes the setting
	if paused {
		value = []byte{1}
	}
	if err := c.cfg.Vault.SetSetting(SettingPaused, value); err != nil {
		return c.Explain(err)
	}
	c.cfg.Pause(paused)
	c.cfg.Steer()
	c.cfg.Changes.Notify()
	return nil
}

// StepsHidden is the flag that hides the first steps.
const StepsHidden = "first steps hidden"

// Flag reports whether a flag was set.
func (c *Control) Flag(name string) bool {
	_, ok := c.cfg.Vault.Setting(name)
	return ok
}

// SetFlag sets a flag for good.
func (c *Control) SetFlag(name string) error {
	if err := c.cfg.Vault.SetSetting(name, []byte{1}); err != nil {
		return c.Explain(err)
	}
	c.cfg.Changes.Notify()
	return nil
}
