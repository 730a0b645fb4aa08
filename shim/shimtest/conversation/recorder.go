package conversation

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// A Recorder records the requests of clients until one of them has used a
// tool. The zero value is ready for use.
type Recorder struct {
	mu    sync.Mutex
	names Placeholders
	turns []*Turn
	over  bool
}

// Wrap records the requests to next.
func (rec *Recorder) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		turn := rec.began(r, body)
		if turn == nil {
			next.ServeHTTP(w, r)
			return
		}
		a := &answer{ResponseWriter: w, path: r.URL.Path, tell: func(status int, session string, body []byte) { rec.answered(turn, r.URL.Path, status, session, body) }}
		next.ServeHTTP(a, r)
		if a.keeps() {
			a.tell(a.status, "", a.body.Bytes())
		}
	})
}

// began starts to record a request. It returns nil if the request is of no
// interest.
func (rec *Recorder) began(r *http.Request, body []byte) *Turn {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	path := r.URL.Path
	// Paths below /authorize are the owner's, and the self-test is our own.
	if rec.over || strings.HasPrefix(path, "/authorize/") || strings.HasPrefix(path, "/.well-known/key2oauth/") {
		return nil
	}
	p := &rec.names
	t := &Turn{Method: r.Method, Path: p.address(path), Query: p.parameters(r.URL.Query()), Header: p.headers(r.Header.Get)}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form := r.Clone(r.Context())
		form.Body = io.NopCloser(bytes.NewReader(body))
		if form.ParseForm() == nil {
			t.Form = p.parameters(form.PostForm)
		}
	} else {
		t.Body = p.body(path, body)
	}
	rec.turns = append(rec.turns, t)
	return t
}

func (rec *Recorder) answered(t *Turn, path string, status int, session string, body []byte) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	t.Status = status
	rec.names.Answered(path, session, body)
	if t.RPC() == "tools/call" && status < 300 {
		rec.over = true
	}
}

// Turns returns the recorded requests that were answered.
func (rec *Recorder) Turns() (all []Turn) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for _, t := range rec.turns {
		if t.Status != 0 {
			all = append(all, *t)
		}
	}
	return all
}

// Text returns the recording, one turn per line.
func (rec *Recorder) Text() []byte {
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	lines.SetEscapeHTML(false)
	for _, t := range rec.Turns() {
		lines.Encode(t) // into memory
	}
	return b.Bytes()
}

// WriteFile saves the recording.
func (rec *Recorder) WriteFile(name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, rec.Text(), 0o644)
}

// An answer observes an answer, and keeps it only if it contains tokens.
type answer struct {
	http.ResponseWriter
	path   string
	status int
	body   bytes.Buffer
	tell   func(status int, session string, body []byte)
}

func (a *answer) keeps() bool { return a.path == "/register" || a.path == "/token" }

func (a *answer) WriteHeader(status int) {
	if status >= 200 && a.status == 0 {
		a.status = status
		if !a.keeps() {
			a.tell(status, a.Header().Get("Mcp-Session-Id"), nil)
		}
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if a.keeps() {
		a.body.Write(b)
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
