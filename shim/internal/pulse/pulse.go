// Package pulse remembers what each server last answered, and asks again where
// that is in doubt. What apps call is the first source: only where a call failed,
// a server was just added, its page is opened, or its last answer was not a good
// one, is the server asked for its own sake. A key that was rejected is never
// sent, since servers count failed sign-ins.
package pulse

import (
	"context"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/standing"
	"github.com/key2oauth/key2oauth/shim/internal/trial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// A Vault has the servers with their keys.
type Vault interface {
	Endpoints() []endpoint.Endpoint
	Endpoint(slug string) (endpoint.Endpoint, bool)
	Credentials(slug string) []endpoint.Credential
	Key(credential string) (endpoint.Secret, error)
	UpstreamURL(slug string) (*url.URL, error)
	SetCredentialState(credential string, state endpoint.CredentialState) error
}

// Config is what a Pulse works with. All of it must be set.
type Config struct {
	Vault  Vault
	Trials *trial.Tester
	// Paused reports whether the owner has paused everything, so that no server is
	// asked.
	Paused func() bool
	// Changed is called after a server's answer has changed.
	Changed func()
	Log     *slog.Logger
}

const (
	// fresh is how long an answer is believed before a look asks again.
	fresh = 30 * time.Second
	// every is how often an idle server with a bad last answer is asked again.
	every = time.Hour
	// atOnce is how many servers are asked at the same time.
	atOnce = 4
)

// A Pulse knows what the servers last answered. It is safe for concurrent use.
type Pulse struct {
	cfg   Config
	of    sync.Map // slug -> *beat
	room  chan struct{}
	every time.Duration // the constant, but for tests

	mu      sync.Mutex
	ctx     context.Context // ends the looks; nil before Run
	looking sync.WaitGroup
}

// A beat is the last answer of one server.
type beat struct {
	last   atomic.Pointer[answer]
	mu     sync.Mutex
	busy   bool      // a look is under way
	looked time.Time // when the last look began
}

type answer struct {
	what standing.Answer
	why  string // in a sentence, if it is standing.Missing
}

var good = &answer{what: standing.Good}

// New returns a Pulse that knows nothing yet.
func New(cfg Config) *Pulse { return &Pulse{cfg: cfg, room: make(chan struct{}, atOnce), every: every} }

// Last is what a server last answered. why is a sentence about an answer that is
// standing.Missing.
func (p *Pulse) Last(slug string) (what standing.Answer, why string) {
	if b, ok := p.of.Load(slug); ok {
		if a := b.(*beat).last.Load(); a != nil {
			return a.what, a.why
		}
	}
	return standing.Unheard, ""
}

func (p *Pulse) beat(slug string) *beat {
	if b, ok := p.of.Load(slug); ok {
		return b.(*beat)
	}
	b, _ := p.of.LoadOrStore(slug, new(beat))
	return b.(*beat)
}

// Recall records an answer from an earlier run.
func (p *Pulse) Recall(slug string, what standing.Answer) {
	p.beat(slug).last.CompareAndSwap(nil, &answer{what: what})
}

// Forget drops what a server answered, because it was removed or is at another
// address now.
func (p *Pulse) Forget(slug string) { p.of.Delete(slug) }

// Heard records that a call of an app got a good answer. A client waits for it.
func (p *Pulse) Heard(slug string) {
	b := p.beat(slug)
	if a := b.last.Load(); a != nil && a.what == standing.Good {
		return
	}
	b.last.Store(good)
	go p.cfg.Changed()
}

// Take records what a trial found.
func (p *Pulse) Take(slug string, v trial.Verdict) {
	a := answerOf(v)
	before := p.beat(slug).last.Swap(a)
	if before == nil || *before != *a {
		p.cfg.Changed()
	}
}

// answerOf turns a verdict into an answer. A server that refuses a key has
// answered; the state of the key says the rest.
func answerOf(v trial.Verdict) *answer {
	switch {
	case v.Outcome == trial.Rejected:
		return &answer{what: standing.Asks}
	case IsMissing(v):
		return &answer{what: standing.Missing, why: v.Words}
	}
	return good
}

// TakeTrial records what a server answered to a pasted key. A refusal of that
// key says nothing about the saved ones.
func (p *Pulse) TakeTrial(slug string, v trial.Verdict) {
	if v.Outcome != trial.Rejected {
		p.Take(slug, v)
	}
}

// Look asks a server, in the background, unless that was done just now.
func (p *Pulse) Look(slug string) { p.look(slug, fresh) }

func (p *Pulse) look(slug string, notWithin time.Duration) {
	b := p.beat(slug)
	b.mu.Lock()
	if b.busy || !b.looked.IsZero() && time.Since(b.looked) < notWithin || !p.begin() {
		b.mu.Unlock()
		return
	}
	b.busy, b.looked = true, time.Now()
	b.mu.Unlock()
	go func() {
		defer p.looking.Done()
		defer func() {
			b.mu.Lock()
			b.busy = false
			b.mu.Unlock()
		}()
		select {
		case p.room <- struct{}{}:
			defer func() { <-p.room }()
			p.ask(p.ctx, slug)
		case <-p.ctx.Done():
		}
	}()
}

// begin counts a look, if there may be one now.
func (p *Pulse) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx == nil || p.ctx.Err() != nil || p.cfg.Paused() {
		return false
	}
	p.looking.Add(1)
	return true
}

// ask asks a server with a key that may be right, or with none if it has no key.
func (p *Pulse) ask(ctx context.Context, slug string) {
	e, ok := p.cfg.Vault.Endpoint(slug)
	if !ok {
		return
	}
	credential, key, ok := p.key(slug)
	if !ok {
		return
	}
	u, err := p.cfg.Vault.UpstreamURL(slug)
	if err != nil {
		return // the keychain has not answered
	}
	v := p.cfg.Trials.Look(ctx, upstream.Target{URL: u, Header: e.Header, Key: key})
	if ctx.Err() != nil {
		return
	}
	if now, ok := p.cfg.Vault.Endpoint(slug); !ok || now.BaseURL != e.BaseURL {
		return // it was removed or changed meanwhile
	}
	if v.Outcome == trial.Rejected && credential != "" {
		p.reject(slug, credential, key)
		return
	}
	p.Take(slug, v)
}

// key finds the key to ask with. ok is false if the server has keys, none of
// which can be used.
func (p *Pulse) key(slug string) (credential string, key endpoint.Secret, ok bool) {
	all := p.cfg.Vault.Credentials(slug)
	if len(all) == 0 {
		return "", key, true
	}
	for _, owners := range []bool{true, false} {
		for _, c := range all {
			if (c.Grant == "") != owners || c.State == endpoint.Rejected || c.State == endpoint.KeyNeeded {
				continue
			}
			if key, err := p.cfg.Vault.Key(c.ID); err == nil {
				return c.ID, key, true
			}
		}
	}
	return "", key, false
}

// reject records that a server refused a key. The key may have been replaced
// while the server was asked.
func (p *Pulse) reject(slug, credential string, asked endpoint.Secret) {
	if key, err := p.cfg.Vault.Key(credential); err != nil || key.Reveal() != asked.Reveal() {
		return
	}
	if err := p.cfg.Vault.SetCredentialState(credential, endpoint.Rejected); err != nil {
		p.cfg.Log.Warn("the state of a credential was not saved", "credential", credential, "err", err)
	}
	p.cfg.Log.Info("an upstream rejected its API key", "slug", slug, "credential", credential)
	p.cfg.Changed()
}

// Run lets looks begin until ctx ends, and now and then asks idle servers whose
// last answer was not good.
func (p *Pulse) Run(ctx context.Context) {
	p.mu.Lock()
	p.ctx = ctx
	p.mu.Unlock()
	defer p.looking.Wait()
	tick := time.NewTicker(p.every / 60)
	defer tick.Stop()
	for {
		for _, e := range p.cfg.Vault.Endpoints() {
			if what, _ := p.Last(e.Slug); what == standing.Missing {
				p.look(e.Slug, p.every)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
