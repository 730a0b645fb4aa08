// Package httpx holds what every handler shares: errors that separate what the
// peer may see from what only the log may see, JSON answers, CORS, and the
// refusal of unclean paths. It knows nothing of OAuth, MCP or the owner; each
// room decides how its errors are shown.
package httpx

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"path"
	"strings"
)

// An Error carries what the peer may see (Status, Code, Msg) apart from what
// only the log may see (Err). Err must never contain a credential.
type Error struct {
	Status int
	Code   string // of OAuth answers: RFC 6749, Section 5.2; else empty
	Msg    string // what is wrong, and what to do
	Header http.Header
	Err    error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Msg + ": " + e.Err.Error()
	}
	return e.Msg
}

func (e *Error) Unwrap() error { return e.Err }

// New returns an Error that says the same to the peer and the log.
func New(status int, msg string) *Error { return &Error{Status: status, Msg: msg} }

// A HandlerFunc is an http.HandlerFunc that may fail. Handle shows the error.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// Handle runs h and answers its errors with show. It logs the route's pattern
// and never the URL: the query of /authorize is sensitive. An *Error is a
// mistake of the peer and is logged at debug level, so a stranger cannot fill
// the log.
func Handle(log *slog.Logger, show func(http.ResponseWriter, *http.Request, *Error), h HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		e, ok := errors.AsType[*Error](err)
		level := slog.LevelDebug
		if !ok {
			e, level = &Error{Status: http.StatusInternalServerError, Msg: "Something went wrong inside Key2OAuth. See its log for details.", Err: err}, slog.LevelError
		}
		log.Log(r.Context(), level, "request failed",
			"method", r.Method, "route", r.Pattern, "status", e.Status, "err", err)
		for k, v := range e.Header {
			w.Header()[k] = v
		}
		show(w, r, e)
	})
}

// WriteJSON answers with v as JSON. The answer must not be cached.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	_, err = w.Write(append(b, '\n'))
	return err
}

// CleanPath reports whether u's path means the same thing to every reader: no
// dot segments, no empty segments, no escapes of '/', '\' or '.'. One trailing
// slash is allowed.
func CleanPath(u interface{ EscapedPath() string }) bool {
	p := u.EscapedPath()
	if p == "" || p[0] != '/' {
		return false
	}
	if strings.ContainsRune(p, '\\') {
		return false
	}
	if strings.Contains(p, "%") {
		low := strings.ToLower(p)
		for _, esc := range []string{"%2f", "%5c", "%2e", "%00"} {
			if strings.Contains(low, esc) {
				return false
			}
		}
	}
	clean := path.Clean(p)
	return p == clean || clean != "/" && p == clean+"/"
}
