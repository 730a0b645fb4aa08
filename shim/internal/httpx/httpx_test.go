package httpx

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"
)

func TestCleanPath(t *testing.T) {
	tests := map[string]bool{
		"/":                 true,
		"/token":            true,
		"/token/":           true,
		"/a/b/mcp":          true,
		"/a%20b":            true,
		"":                  false,
		"token":             false,
		"//":                false,
		"//token":           false,
		"/token//":          false,
		"/a/../token":       false,
		"/a/./token":        false,
		"/a/..":             false,
		"/a/%2e%2e/token":   false,
		"/a/%2E%2E/token":   false,
		"/a%2ftoken":        false,
		"/a%5ctoken":        false,
		"/a%00":             false,
		"/a\\b":             false,
		"/k3v9x0q2m7ab/mcp": true,
	}
	for p, want := range tests {
		u := &url.URL{Path: p}
		if v, err := url.PathUnescape(p); err == nil {
			u.Path, u.RawPath = v, p
		}
		if got := CleanPath(u); got != want {
			t.Errorf("CleanPath(%q) = %v, want %v", p, got, want)
		}
	}
}

// FuzzCleanPath: a clean path names the same thing before and after dots are
// resolved or escapes decoded.
func FuzzCleanPath(f *testing.F) {
	f.Add("/a/b")
	f.Add("/a/%2e%2e/b")
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.ParseRequestURI(raw)
		if err != nil || !CleanPath(u) {
			return
		}
		if got := strings.TrimSuffix(path.Clean(u.Path), "/"); got != strings.TrimSuffix(u.Path, "/") {
			t.Errorf("%q is clean, yet it resolves from %q to %q", raw, u.Path, got)
		}
		if strings.Count(u.Path, "/") != strings.Count(u.EscapedPath(), "/") {
			t.Errorf("%q is clean, yet it hides a slash", raw)
		}
	})
}

// TestHandle hides from the peer what only the log may contain, and keeps the
// URL out of the log.
func TestHandle(t *testing.T) {
	var log strings.Builder
	l := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	show := func(w http.ResponseWriter, _ *http.Request, e *Error) { http.Error(w, e.Msg, e.Status) }
	for _, tt := range []struct {
		name   string
		err    error
		status int
		body   string
	}{
		{"a peer's mistake", &Error{Status: 400, Msg: "wrong", Err: errors.New("the cause")}, 400, "wrong"},
		{"our own", errors.New("the cause"), 500, "Something went wrong"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log.Reset()
			w := httptest.NewRecorder()
			Handle(l, show, func(http.ResponseWriter, *http.Request) error { return tt.err }).
				ServeHTTP(w, httptest.NewRequest("GET", "/authorize?state=s3cret", nil))
			if w.Code != tt.status || !strings.HasPrefix(w.Body.String(), tt.body) || strings.Contains(w.Body.String(), "the cause") {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, tt.status, tt.body)
			}
			if !strings.Contains(log.String(), "the cause") || strings.Contains(log.String(), "s3cret") {
				t.Errorf("log: %s", &log)
			}
		})
	}
}
