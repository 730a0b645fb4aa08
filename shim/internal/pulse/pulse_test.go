package pulse

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
	"github.com/key2oauth/key2oauth/shim/internal/standing"
	"github.com/key2oauth/key2oauth/shim/internal/trial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// A store is a vault of one key at most for each server.
type store struct {
	mu   sync.Mutex
	urls map[string]string
	keys map[string]endpoint.Credential // by slug; the id is the slug too
	key  endpoint.Secret

	paused atomic.Bool
}

func (s *store) Endpoints() []endpoint.Endpoint {
	var all []endpoint.Endpoint
	for slug := range s.urls {
		e, _ := s.Endpoint(slug)
		all = append(all, e)
	}
	return all
}

func (s *store) Endpoint(slug string) (endpoint.Endpoint, bool) {
	u, ok := s.urls[slug]
	return endpoint.Endpoint{Slug: slug, BaseURL: u, Header: endpoint.DefaultHeader}, ok
}

func (s *store) Credentials(slug string) []endpoint.Credential {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.keys[slug]; ok {
		return []endpoint.Credential{c}
	}
	return nil
}

func (s *store) Key(string) (endpoint.Secret, error)       { return s.key, nil }
func (s *store) UpstreamURL(slug string) (*url.URL, error) { return url.Parse(s.urls[slug]) }
func (s *store) SetCredentialState(id string, state endpoint.CredentialState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.keys[id]
	c.State = state
	s.keys[id] = c
	return nil
}

func start(t *testing.T, s *store) (p *Pulse, changed chan struct{}) {
	changed = make(chan struct{}, 100)
	p = New(Config{
		Vault: s, Trials: &trial.Tester{Client: upstream.New(&safedial.Guard{})}, Log: slog.New(slog.DiscardHandler),
		Changed: func() { changed <- struct{}{} }, Paused: s.paused.Load,
	})
	return p, changed
}

func run(t *testing.T, p *Pulse) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	until(t, "Run", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.ctx != nil })
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(testenv.Patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestIdle: an idle server is asked again only if its last answer was not good,
// and is left alone as soon as it is.
func TestIdle(t *testing.T) {
	bad, good, unheard := shimtest.NewUpstream(t, shimtest.Options{}), shimtest.NewUpstream(t, shimtest.Options{}), shimtest.NewUpstream(t, shimtest.Options{})
	bad.Break(shimtest.Status(http.StatusBadGateway, "down"))
	s := &store{urls: map[string]string{"bad": bad.URL, "good": good.URL, "unheard": unheard.URL}}
	p, _ := start(t, s)
	p.every = 60 * time.Millisecond
	p.Recall("bad", standing.Missing)
	p.Recall("good", standing.Good)
	run(t, p)
	until(t, "three looks at a server that is down", func() bool { return len(bad.Requests()) >= 3 })
	if what, why := p.Last("bad"); what != standing.Missing || why == "" {
		t.Errorf("the server that is down is %q, because %q", what, why)
	}
	bad.Break(nil)
	until(t, "an answer", func() bool { what, _ := p.Last("bad"); return what == standing.Asks })
	testenv.Still(t, "looks at a server that answers", func() int64 { return int64(len(bad.Requests())) })
	if n := len(good.Requests()) + len(unheard.Requests()); n != 0 {
		t.Errorf("servers about which there is no doubt were asked %d times", n)
	}
}

// TestLook: a look is not repeated at once, sends no key that was rejected, and
// tells of what has changed alone.
func TestLook(t *testing.T) {
	up := shimtest.NewUpstream(t, shimtest.Options{})
	s := &store{
		urls: map[string]string{"a": up.URL}, key: endpoint.NewSecret("wrong-key-0123456789"),
		keys: map[string]endpoint.Credential{"a": {ID: "a", Slug: "a", State: endpoint.Working}},
	}
	p, changed := start(t, s)
	p.Look("a")
	none := func(what string, n func() int) {
		t.Helper()
		testenv.Still(t, what, func() int64 { return 1 + int64(n()) })
		if n() != 0 {
			t.Errorf("%s: %d", what, n())
		}
	}
	asked := func() int { return len(up.Requests()) }
	none("looks before Run", asked)
	run(t, p)
	p.Look("a")
	<-changed
	if got := s.Credentials("a")[0].State; got != endpoint.Rejected {
		t.Fatalf("a key that was refused is %q", got)
	}
	up.Reset()
	p.look("a", 0)
	none("looks with a rejected key", asked)

	s.key = endpoint.NewSecret(up.Key())
	s.SetCredentialState("a", endpoint.Unverified)
	p.look("a", 0)
	<-changed
	if what, _ := p.Last("a"); what != standing.Good {
		t.Errorf("the server is %q", what)
	}
	up.Reset()
	p.Look("a")
	none("looks right after one", asked)
	s.paused.Store(true)
	p.look("a", 0)
	none("looks while paused", asked)
	s.paused.Store(false)
	p.Heard("a")
	p.look("a", 0)
	until(t, "another look", func() bool { return len(up.Requests()) > 0 })
	none("news of what is as before", func() int { return len(changed) })

	// What apps hear counts too.
	p.Take("a", trial.Verdict{Outcome: trial.Unreachable, Words: "Nobody."})
	<-changed
	p.Heard("a")
	<-changed
	if what, _ := p.Last("a"); what != standing.Good {
		t.Errorf("after a good call the server is %q", what)
	}
	p.Forget("a")
	if what, _ := p.Last("a"); what != standing.Unheard {
		t.Errorf("what is forgotten is %q", what)
	}
}
