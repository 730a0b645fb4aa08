package shim_test

import (
	"errors"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// A login is a desktop's start at login, kept in memory.
type login struct {
	on  bool
	err error
}

func (l *login) Enabled() (bool, error) { return l.on, nil }

func (l *login) Set(on bool) error {
	if l.err == nil {
		l.on = on
	}
	return l.err
}

// lifetime refreshes a client and returns how long its new access token is
// valid.
func lifetime(t *testing.T, refresh func(string) (int, map[string]any), token string) float64 {
	t.Helper()
	status, out := refresh(token)
	if status != http.StatusOK {
		t.Fatalf("POST /token = %d %v", status, out)
	}
	return out["expires_in"].(float64)
}

// TestAccessTokenLifetime: a change applies from the next token on, on both
// origins, and after a restart.
func TestAccessTokenLifetime(t *testing.T) {
	p := start(t)
	_, _, c := p.connect()
	if got, want := lifetime(t, c.DoRefresh, c.Refresh), 86400.0; got != want {
		t.Errorf("expires_in = %v, want %v", got, want)
	}
	b := p.owner()
	page := b.Submit(b.Form(b.Open("/settings"), "/settings/lifetime"), map[string]string{"lifetime": "3600"})
	if page.Status != http.StatusOK || !strings.Contains(page.Body, `<option value="3600" selected>1 hour`) {
		t.Errorf("POST /settings/lifetime = %d", page.Status)
	}
	if got, want := lifetime(t, c.DoRefresh, c.Refresh), 3600.0; got != want {
		t.Errorf("after the change expires_in = %v, want %v", got, want)
	}
	for _, bad := range []any{3599, 30*86400 + 1, 0, -1, 1e18} {
		if status, out := p.api("PATCH", "/api/settings", map[string]any{"access_token_lifetime": bad}); status != http.StatusBadRequest {
			t.Errorf("PATCH /api/settings with %v = %d %v, want 400", bad, status, out)
		}
	}
	if status, out := p.api("PATCH", "/api/settings", map[string]any{"access_token_lifetime": 30 * 86400}); status != http.StatusOK || out["access_token_lifetime"] != 2592000.0 {
		t.Errorf("PATCH /api/settings = %d %v", status, out)
	}
	p = p.restart()
	if got, want := lifetime(t, c.DoRefresh, c.Refresh), 2592000.0; got != want {
		t.Errorf("after a restart expires_in = %v, want %v", got, want)
	}
	if page := p.owner().Open("/settings"); !strings.Contains(page.Body, `<option value="2592000" selected>30 days`) {
		t.Error("after a restart the page shows another lifetime")
	}
}

func TestLogLevelAndLogin(t *testing.T) {
	desk, level := new(login), new(slog.LevelVar)
	p := startConfig(t, shim.Config{Dir: t.TempDir(), Login: desk, LogLevel: level}, "127.0.0.1:0")
	b := p.owner()
	submit := func(action string, values map[string]string) string {
		t.Helper()
		return b.Submit(b.Form(b.Open("/settings"), action), values).Body
	}
	submit("/settings/log-level", map[string]string{"log_level": "debug"})
	if got, want := level.Level(), slog.LevelDebug; got != want {
		t.Errorf("level %v, want %v", got, want)
	}
	if body := submit("/settings/log-level", map[string]string{"log_level": "loud"}); !strings.Contains(body, web.TextNoSuchLogLevel) || level.Level() != slog.LevelDebug {
		t.Error("a level that does not exist is not refused")
	}
	submit("/settings/login", map[string]string{"login": "on"})
	if _, out := p.api("GET", "/api/settings", nil); !desk.on || out["start_at_login"] != true || out["log_level"] != "debug" {
		t.Errorf("start at login: %v, settings %v", desk.on, out)
	}
	submit("/settings/login", map[string]string{"login": "off"})
	if desk.on {
		t.Error("start at login is still on")
	}
	desk.err = errors.New("the disk is full")
	if body := submit("/settings/login", map[string]string{"login": "on"}); !strings.Contains(html.UnescapeString(body), web.TextLoginTrouble) {
		t.Error("the page does not say that start at login was not changed")
	}
	// If one value is wrong, nothing changes.
	p.api("PATCH", "/api/settings", map[string]any{"log_level": "error", "access_token_lifetime": 1})
	if level.Level() != slog.LevelDebug {
		t.Error("half of a change was made")
	}
}

// Settings that the surrounding program cannot carry out are not offered.
func TestSettingsOfOthers(t *testing.T) {
	p := start(t)
	page := p.owner().Open("/settings")
	for _, action := range []string{"/settings/login", "/settings/log-level"} {
		if strings.Contains(page.Body, action) {
			t.Errorf("the page offers %s", action)
		}
	}
	for _, c := range []map[string]any{{"start_at_login": true}, {"log_level": "debug"}} {
		if status, out := p.api("PATCH", "/api/settings", c); status != http.StatusConflict {
			t.Errorf("PATCH /api/settings %v = %d %v, want 409", c, status, out)
		}
	}
	_, out := p.api("GET", "/api/settings", nil)
	if out["log_level"] != nil || out["start_at_login"] != nil || out["data_dir"] != p.dir {
		t.Errorf("GET /api/settings = %v", out)
	}
}

// The proxy that the environment names is used for https servers once the owner
// turns it on, and until it is off.
func TestProxySetting(t *testing.T) {
	const child = "K2O_PROXY_TEST" // holds the address of the proxy
	asked := make(chan string, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host
		http.Error(w, "no", http.StatusForbidden)
	}))
	defer proxy.Close()
	if os.Getenv(child) == "" {
		// net/http reads the variables once in a process.
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxySetting$", "-test.count=1")
		cmd.Env = append(os.Environ(), child+"="+proxy.URL, "HTTPS_PROXY="+proxy.URL, "https_proxy=", "NO_PROXY=", "no_proxy=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		select {
		case got := <-asked:
			if got != "CONNECT mcp.example.com:443" {
				t.Errorf("the proxy was asked for %q", got)
			}
		default:
			t.Error("the proxy was not asked after a restart")
		}
		return
	}
	variable := os.Getenv(child)
	add := func(p *program) {
		p.api("POST", "/api/slugs", map[string]any{"upstream_url": "https://mcp.example.com/mcp", "api_key": "sk-proxy-setting-0123"})
	}
	setting := func(p *program) any {
		_, out := p.api("GET", "/api/settings", nil)
		return out["use_proxy"]
	}
	t.Setenv("HTTPS_PROXY", "")
	p := start(t)
	if got := setting(p); got != nil {
		t.Errorf("without a proxy the setting is %v, want null", got)
	}
	if status, out := p.api("PATCH", "/api/settings", map[string]any{"use_proxy": true}); status != http.StatusConflict || out["error"] != web.TextNoProxy {
		t.Errorf("turning on no proxy = %d %v", status, out)
	}
	t.Setenv("HTTPS_PROXY", variable)
	if got := setting(p); got != false {
		t.Errorf("at first the setting is %v, want false", got)
	}
	b := p.owner()
	b.Submit(b.Form(b.Open("/settings"), "/settings/proxy"), map[string]string{"proxy": "on"})
	if got := setting(p); got != true {
		t.Errorf("after the button the setting is %v, want true", got)
	}
	p = p.restart()
	add(p)
	if status, _ := p.api("PATCH", "/api/settings", map[string]any{"use_proxy": false}); status != http.StatusOK && status != http.StatusNoContent {
		t.Errorf("turning it off = %d", status)
	}
	if got := setting(p); got != false {
		t.Errorf("when it is off again the setting is %v", got)
	}
}
