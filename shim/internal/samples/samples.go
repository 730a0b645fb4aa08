// Package samples runs a sample server inside the program, for owners who have
// nothing to connect yet. It listens on this computer alone, is added with its
// key like any server, and is removed when it is stopped or the program quits.
// What a crash left behind is removed at the next start. The server itself is the
// caller's.
package samples

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// Config is what the sample needs.
type Config struct {
	Server  func(key string) http.Handler // nil means that there is no sample
	Owner   *owner.Owner
	Control *control.Control
	Log     *slog.Logger
}

// A Sample is the sample server, which runs or does not.
type Sample struct {
	cfg Config

	mu     sync.Mutex
	slug   string // "" while it does not run
	server *http.Server
	closed bool
}

// New returns a sample that does not run.
func New(cfg Config) *Sample { return &Sample{cfg: cfg} }

// Offered reports whether there is a sample that could be started.
func (s *Sample) Offered() bool { return s.cfg.Server != nil }

// Slug is the slug of the running sample, "" if none does.
func (s *Sample) Slug() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slug
}

// Tidy removes what a run that crashed has left.
func (s *Sample) Tidy() {
	if slug := s.cfg.Control.Sample(); slug != "" {
		s.remove(slug)
	}
}

// Routes registers what the forms of the pages post to.
func (s *Sample) Routes(page func(pattern string, h httpx.HandlerFunc)) {
	page("POST /sample", s.cfg.Owner.Form(s.startFromForm))
	page("POST /sample/stop", s.cfg.Owner.Form(s.stopFromForm))
}

func (s *Sample) startFromForm(w http.ResponseWriter, r *http.Request) error {
	slug, err := s.Start(r.Context())
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/servers/"+slug+"/connect", http.StatusSeeOther)
	return nil
}

func (s *Sample) stopFromForm(w http.ResponseWriter, r *http.Request) error {
	s.Stop()
	http.Redirect(w, r, "/?done=sample", http.StatusSeeOther)
	return nil
}

// Start runs the sample and adds it, unless it runs already.
func (s *Sample) Start(ctx context.Context) (slug string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.Server == nil || s.closed {
		return "", httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	if _, there := s.cfg.Control.Endpoint(s.slug); there {
		return s.slug, nil
	}
	s.end() // its server was deleted
	key := "sample_" + rand.Text()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: s.cfg.Server(key), ReadHeaderTimeout: 10 * time.Second}
	go srv.Serve(ln)
	e, _, err := s.cfg.Control.Create(ctx, api.NewEndpoint{UpstreamURL: "http://" + ln.Addr().String() + "/mcp", DisplayName: web.TextSampleName, Key: key})
	if err == nil {
		// Noted after it was added: a crash in between leaves a server that the
		// owner can delete, and never a note about somebody else's.
		err = s.cfg.Control.SetSample(e.Slug)
	}
	if err != nil {
		srv.Close()
		if e.Slug != "" {
			s.remove(e.Slug)
		}
		return "", err
	}
	s.slug, s.server = e.Slug, srv
	return s.slug, nil
}

// Stop ends the sample and removes it, with the apps that use it.
func (s *Sample) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
}

// Close is Stop for good.
func (s *Sample) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.end()
}

// end stops what runs. The caller holds mu.
func (s *Sample) end() {
	if s.server == nil {
		return
	}
	s.server.Close()
	s.remove(s.slug)
	s.slug, s.server = "", nil
}

func (s *Sample) remove(slug string) {
	if err := s.cfg.Control.RemoveSample(slug); err != nil {
		s.cfg.Log.Warn("the sample server was not removed", "err", err)
	}
}
