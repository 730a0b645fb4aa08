package e2e

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A front stands before a server. It checks the key for a server that does
// not, and can stop passing on a stream in its middle.
type front struct {
	URL           string
	header, value string // how the key arrives
	checks        bool   // the server leaves the check to the front
	back          string
	resumed       atomic.Int64 // requests with Last-Event-ID
	ids           atomic.Bool  // events have ids

	mu    sync.Mutex
	halt  *halt
	never string          // what no request may contain
	wrong map[string]bool // what was wrong, each thing once
}

// A halt is what holds the next stream with progress.
type halt struct {
	after   int
	live    bool
	reached chan struct{}
	cut     chan struct{}
}

func newFront(t *testing.T, back, header, prefix string) *front {
	t.Helper()
	f := &front{header: header, value: prefix + apiKey, back: back, wrong: map[string]bool{}}
	if header == "" {
		f.checks, f.header, f.value = true, "Authorization", "Bearer "+apiKey
	}
	srv := httptest.NewServer(f)
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	f.URL = srv.URL
	return f
}

// haltAfter holds the next stream in answer to a POST after n events of
// progress. Unless live is set, the server's side of it goes on to its end.
func (f *front) haltAfter(n int, live bool) *halt {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.halt = &halt{after: n, live: live, reached: make(chan struct{}), cut: make(chan struct{})}
	return f.halt
}

// cut cuts the stream that is held, if one is.
func (f *front) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.halt != nil {
		close(f.halt.cut)
		f.halt = nil
	}
}

// wait waits until the stream is held.
func (h *halt) wait(t *testing.T) {
	t.Helper()
	select {
	case <-h.reached:
	case <-time.After(patience):
		t.Fatal("no stream with progress has passed")
	}
}

// mustNotSee makes check fail if a request contains the token of a client.
func (f *front) mustNotSee(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.never = token
}

// check fails if something was wrong.
func (f *front) check(t *testing.T) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.wrong {
		t.Error(w)
	}
}

func (f *front) say(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wrong[what] = true
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away
	}
	f.look(r, body)
	if v := r.Header.Values(f.header); f.checks && (len(v) != 1 || v[0] != f.value) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="upstream"`)
		http.Error(w, `{"error":"unknown API key"}`, http.StatusUnauthorized)
		return
	}
	if r.Header.Get("Last-Event-ID") != "" {
		f.resumed.Add(1)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	detach := context.AfterFunc(r.Context(), cancel)
	out, err := http.NewRequestWithContext(ctx, r.Method, f.back+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		f.say(err.Error())
		return
	}
	out.Header = r.Header.Clone()
	out.Header.Del("Accept-Encoding") // the events are read here
	resp, err := backTransport.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler) // the server is gone, or the client
	}
	defer resp.Body.Close()
	for k, v := range resp.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(resp.StatusCode)
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		io.Copy(w, resp.Body)
		return
	}
	f.stream(w, r, resp.Body, detach)
}

// backTransport uses no connection twice: the server is killed in between.
var backTransport = &http.Transport{DisableKeepAlives: true, DisableCompression: true}

// look looks for what no request may contain.
func (f *front) look(r *http.Request, body []byte) {
	f.mu.Lock()
	never := f.never
	f.mu.Unlock()
	if never == "" {
		return
	}
	all := r.URL.String() + string(body)
	for k, v := range r.Header {
		all += "\n" + k + ": " + strings.Join(v, ", ")
	}
	if strings.Contains(all, never) {
		f.say("the client's token reached the server")
	}
}

// stream passes events on, and stops where it shall.
func (f *front) stream(w http.ResponseWriter, r *http.Request, events io.Reader, detach func() bool) {
	rc := http.NewResponseController(w)
	rc.Flush()
	progress, in := 0, bufio.NewReader(events)
	for {
		line, err := in.ReadBytes('\n')
		w.Write(line)
		if err != nil {
			if err != io.EOF {
				panic(http.ErrAbortHandler)
			}
			return
		}
		if bytes.HasPrefix(line, []byte("id:")) {
			f.ids.Store(true)
		}
		if bytes.Contains(line, []byte(`"notifications/progress"`)) {
			progress++
		}
		if len(bytes.TrimSpace(line)) > 0 {
			continue
		}
		rc.Flush()
		f.mu.Lock()
		h := f.halt
		f.mu.Unlock()
		if h == nil || r.Method != http.MethodPost || progress < h.after {
			continue
		}
		if !h.live {
			detach()
			io.Copy(io.Discard, in)
		}
		close(h.reached)
		select {
		case <-h.cut:
		case <-r.Context().Done():
			f.mu.Lock()
			f.halt = nil
			f.mu.Unlock()
		}
		panic(http.ErrAbortHandler)
	}
}
