// Package reach is how the internet reaches this program. It keeps what the
// owner wished, drives the tunnel that makes it so, and knows the public origin
// that follows from both. It reports the state of the tunnel in words, with what
// the last self-test found and what the meter counted this month. It makes no
// tunnel and serves no request; Config hands it both.
package reach

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/external"
)

// Config is what a Reach is made from.
type Config struct {
	Start
	Vault *vault.Vault // keeps the wish, the authtoken and the meter
	Log   *slog.Logger
	// AppName names an app, for people; see cimd.App.
	AppName func(name, documentID string) string
	// Serve serves what comes through an open tunnel until ctx ends.
	Serve func(ctx context.Context, ln net.Listener, f tunnel.Front) error
	// Keychain says where the master key is.
	Keychain func() api.Keychain
	// Paused reports whether the owner has paused the program.
	Paused func() bool
	// Changed is called after each change of what Status or Origin return.
	Changed func()
	// BeginSelfTest makes path on the public origin answer with nonce until end
	// is called.
	BeginSelfTest func() (path, nonce string, end func())
	// Outside returns a client that goes out as any app on the internet does;
	// nil means the usual one.
	Outside func() *http.Client
	// Mixed reports whether the senders of requests from the internet cannot be
	// told apart. It may be nil.
	Mixed func() bool
	// Explain turns an error of the vault into one for people.
	Explain func(error) error
	// Watch tells of sleep and of other networks; Run runs it. nil means that
	// nothing else needs it.
	Watch *tunnel.Watch
}

// Start is what the program says about the tunnel when it starts.
type Start struct {
	// New returns the tunnel that makes a wish come true, which is not
	// tunnel.ProviderOff. A nil New means that this program has no tunnel.
	New func(tunnel.Wish) tunnel.Tunnel
	// Mode is "auto" or "" for what the owner last turned on, and else a
	// provider.
	Mode string
	// URL is the public URL, with Mode tunnel.ProviderExternal or
	// tunnel.ProviderNgrok.
	URL string
	// Preset is the ID of the program that makes the owner's own tunnel; "" means
	// what was last chosen.
	Preset string
	// Authtoken is for ngrok. It turns nothing on, and is kept once it worked.
	Authtoken tunnel.Authtoken
	// Listener is the address where the owner's own tunnel leads; "" means
	// external.DefaultAddr.
	Listener string
	// Tell is told each status of the tunnel, and what the last self-test found if
	// that was trouble. It may be nil.
	Tell func(st tunnel.Status, test string)
}

// A Reach is how the internet reaches this program.
type Reach struct {
	Meter Meter // of the public side

	c          Config
	supervisor *tunnel.Supervisor

	// turn is held for one change by the owner, which lasts until the tunnel has
	// answered. Status must be readable meanwhile, so this is not mu.
	turn sync.Mutex

	noted       chan struct{} // holds one when a self-test found something else
	retestEvery time.Duration // retestTime, but for tests

	// mu is held for every other step, also while a setting is written, so that
	// what is kept, what is known and what the tunnel was asked never differ.
	mu       sync.Mutex
	settings settings
	env      tunnel.Authtoken // not saved yet: from the environment, or just typed
	off      bool             // by the owner's word, for this run
	pushed   *tunnel.Wish     // what the supervisor was last asked; nil asks again
	status   tunnel.Status
	tested   time.Time // the Since of the connection that was tested
	found    string    // the trouble that its last self-test found, or ""
	passed   bool      // its last self-test went well
	proven   bool      // a self-test or a request has come in by it
	warned   bool      // a monthly limit is near, and that was told
}

// New returns a Reach for what was last turned on, or what c.Start says instead.
// It opens nothing before Run. A Start that cannot be satisfied is a
// *tunnel.WishError.
func New(c Config) (*Reach, error) {
	c.Listener = cmp.Or(c.Listener, external.DefaultAddr)
	r := &Reach{c: c, env: c.Authtoken, noted: make(chan struct{}, 1), retestEvery: retestTime}
	if c.New != nil {
		r.supervisor = &tunnel.Supervisor{Serve: c.Serve, Log: c.Log, Watch: c.Watch}
	}
	r.Meter.came = r.came
	r.loadMeter()
	r.loadSettings()
	switch c.Mode {
	case "", "auto":
	case tunnel.ProviderOff:
		r.off = true
	case tunnel.ProviderNgrok, tunnel.ProviderExternal:
		if c.New == nil {
			return nil, &tunnel.WishError{Err: errors.New("this program runs without a tunnel")}
		}
		w := tunnel.Wish{Provider: c.Mode, URL: c.URL, Preset: cmp.Or(c.Preset, r.settings.Preset)}
		if c.Mode == tunnel.ProviderExternal && c.URL == "" {
			w.URL = r.settings.URL
		}
		w, err := checked(w)
		if err != nil {
			return nil, err
		}
		if err := r.keep(keepWish(w)); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("there is no tunnel %q", c.Mode)
	}
	return r, nil
}

// Run keeps the tunnel as Drive last asked for it until ctx ends. When it
// returns, the tunnel is closed and the meter saved.
func (r *Reach) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { r.runMeter(ctx) })
	if r.c.Watch != nil {
		running.Go(func() { r.c.Watch.Run(ctx) })
	}
	if r.supervisor != nil {
		r.supervisor.Notify = func(st tunnel.Status) { r.notice(ctx, st) }
		running.Go(func() { r.supervisor.Run(ctx) })
		running.Go(func() { r.retest(ctx) })
	}
	running.Wait()
}

// Drive makes the tunnel be as the owner wants it. It must be called whenever
// the vault or the pause may have changed that.
func (r *Reach) Drive() {
	if r.supervisor == nil {
		return
	}
	r.mu.Lock()
	r.drive()
	r.mu.Unlock()
	r.c.Changed()
}

// drive is Drive for a caller that holds mu. It does not call Changed.
func (r *Reach) drive() {
	w, trouble := r.wish()
	if trouble != nil {
		w = tunnel.Wish{Provider: tunnel.ProviderOff}
	}
	same := r.pushed != nil && r.pushed.Same(w)
	if trouble != nil {
		r.status = *trouble
	} else if !same {
		r.status = tunnel.Status{Provider: w.Provider, State: tunnel.Connecting}
	}
	r.pushed = &w
	if same {
		return
	}
	want := tunnel.Want{Paused: w.Paused}
	if w.Provider != tunnel.ProviderOff {
		want.Tunnel, want.Known = r.c.New(w), w.Known
	}
	r.supervisor.Set(want)
}

// Close closes the tunnel for good. What the owner wished is not changed.
func (r *Reach) Close() {
	r.mu.Lock()
	r.off = true
	r.mu.Unlock()
	r.Drive()
}

// Provider is the way in that is turned on, whether or not it works.
func (r *Reach) Provider() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.provider()
}

func (r *Reach) provider() string {
	if r.off || r.supervisor == nil {
		return tunnel.ProviderOff
	}
	return cmp.Or(r.settings.Provider, tunnel.ProviderOff)
}

// Online reports whether a tunnel is open now.
func (r *Reach) Online() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.provider() != tunnel.ProviderOff && r.status.State == tunnel.Online
}

// Origin is the origin at which the internet reaches us, or "" while there is
// none. It stays the same while the tunnel is down.
func (r *Reach) Origin() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.origin()
}

func (r *Reach) origin() string {
	switch r.provider() {
	case tunnel.ProviderExternal:
		return r.settings.URL
	case tunnel.ProviderNgrok:
		return cmp.Or(r.settings.Domain, r.settings.Seen)
	}
	return ""
}
