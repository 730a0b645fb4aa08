package shim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// A Secret is a credential that cannot be printed, logged or marshalled.
type Secret = endpoint.Secret

// NewSecret wraps a credential.
func NewSecret(s string) Secret { return endpoint.NewSecret(s) }

// A TunnelWish is how the owner wants to be reached.
type TunnelWish struct {
	Provider string // api.TunnelOff, api.TunnelNgrok or api.TunnelExternal
	// URL is the public origin of an external tunnel, and for ngrok the one
	// that the owner wants; empty leaves it to ngrok.
	URL       string
	Known     string // the public origin that clients were given, or ""
	Preset    string // of an external tunnel: which program runs it; "" is any
	Authtoken Secret // of ngrok
	Paused    bool   // keep it closed for now
}

// A Tunnel opens and closes the way in. The program makes one of package tunnel,
// which this package knows nothing of. It serves by Shim.ServePublic and says
// how things go by Shim.SetTunnelStatus.
type Tunnel interface {
	// ParseURL returns the public origin that a URL of the owner's names, in the
	// form that issuers have, or says in a sentence what is wrong with it.
	ParseURL(url string) (origin string, err error)
	// Want says how it is to be from now on, and does not wait for it.
	Want(TunnelWish)
	// Settled waits until it is known how the last wish went, or ctx ends.
	Settled(ctx context.Context) api.TunnelStatus
	// Test goes out to the internet and back in by the public address. It
	// returns what a person should know, and whether all is well.
	Test(ctx context.Context) (words string, ok bool)
}

// tunnelSettings are what is kept of the owner's wish.
type tunnelSettings struct {
	Provider string `json:"provider"`       // as last turned on, or off
	Last     string `json:"last,omitempty"` // as last turned on
	URL      string `json:"url,omitempty"`
	Preset   string `json:"preset,omitempty"`
	// Domain is the public origin that was asked of ngrok; "" its own choice.
	Domain string `json:"domain,omitempty"`
	// Seen is the public origin that clients know: the last one we were online
	// at.
	Seen string `json:"seen,omitempty"`
}

const (
	settingTunnel = "tunnel"
	secretNgrok   = "ngrok"
)

// A publicSide is what the owner wants of the tunnel, and how it is.
type publicSide struct {
	control Tunnel
	presets func(publicURL string) []TunnelPreset
	env     Secret // an authtoken that is not saved yet, as of the environment
	off     bool   // by the owner's word, for this run

	putting sync.Mutex // one change by the owner at a time
	driving sync.Mutex // wishes reach control in their order
	keeping sync.Mutex // one change of what is kept at a time

	mu       sync.Mutex
	settings tunnelSettings
	status   api.TunnelStatus
	pushed   *TunnelWish
	warned   bool
}

// initTunnel reads what was last turned on, and lets the owner's word of this
// start count for more.
func (s *Shim) initTunnel(c TunnelConfig) error {
	p := &s.side
	p.control, p.presets, p.env = c.Control, c.Presets, c.Authtoken
	if b, ok := s.vault.Setting(settingTunnel); ok {
		if err := json.Unmarshal(b, &p.settings); err != nil {
			s.log.Warn("what is kept about the tunnel cannot be read; turn it on again", "err", err)
			p.settings = tunnelSettings{}
		}
	}
	switch c.Mode {
	case "", "auto":
	case api.TunnelOff:
		p.off = true
	case api.TunnelNgrok, api.TunnelExternal:
		if c.Control == nil {
			return &TunnelError{errors.New("this program runs without a tunnel")}
		}
		w := TunnelWish{Provider: c.Mode, URL: c.URL, Preset: p.settings.Preset}
		if c.Mode == api.TunnelExternal && c.URL == "" {
			w.URL = p.settings.URL
		}
		if err := s.checkWish(&w); err != nil {
			return &TunnelError{err}
		}
		if err := s.saveTunnel(w); err != nil {
			return err
		}
	default:
		return fmt.Errorf("there is no tunnel %q", c.Mode)
	}
	if p.settings.Provider == "" {
		p.settings.Provider = api.TunnelOff
	}
	return nil
}

// A TunnelError says that TunnelConfig asks for what cannot be.
type TunnelError struct{ err error }

func (e *TunnelError) Error() string { return e.err.Error() }
func (e *TunnelError) Unwrap() error { return e.err }

// checkWish finds what is wrong with a wish, and puts its URL into the one form
// that issuers have. Its errors are sentences for people.
func (s *Shim) checkWish(w *TunnelWish) error {
	raw := strings.TrimSpace(w.URL)
	switch {
	case raw == "" && w.Provider == api.TunnelExternal:
		return errors.New("an external tunnel needs its public URL, as https://example.com")
	case raw == "":
		return nil
	case !strings.Contains(raw, "://"):
		raw = "https://" + raw
	}
	origin, err := s.side.control.ParseURL(raw)
	if err != nil {
		return err
	}
	if u, err := url.Parse(origin); err != nil || oauth.IsLoopbackHost(u.Hostname()) {
		return errors.New("the public URL must be one that the internet reaches, not this computer's own")
	}
	w.URL = origin
	return nil
}

// saveTunnel keeps what the owner wants.
func (s *Shim) saveTunnel(w TunnelWish) error {
	return s.changeTunnel(func(t *tunnelSettings) {
		t.Provider = w.Provider
		if w.Provider != api.TunnelOff {
			t.Last = w.Provider
		}
		switch w.Provider {
		case api.TunnelExternal:
			t.URL, t.Preset, t.Seen = w.URL, w.Preset, w.URL
		case api.TunnelNgrok:
			if w.URL != "" {
				t.Domain = w.URL
			}
		}
	})
}

// changeTunnel changes what is kept. The owner and the tunnel itself may both
// do so at the same time.
func (s *Shim) changeTunnel(f func(*tunnelSettings)) error {
	p := &s.side
	p.keeping.Lock()
	defer p.keeping.Unlock()
	p.mu.Lock()
	t := p.settings
	p.mu.Unlock()
	f(&t)
	b, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if err := s.vault.SetSetting(settingTunnel, b); err != nil {
		return err
	}
	p.mu.Lock()
	p.settings = t
	p.mu.Unlock()
	return nil
}

// provider is the way in that is on, whether or not it works. The caller holds
// mu.
func (p *publicSide) provider() string {
	if p.off || p.control == nil {
		return api.TunnelOff
	}
	return p.settings.Provider
}

// PublicOrigin is the origin that the world reaches us at, or "" while there is
// none. It stays while the tunnel is down for a while.
func (s *Shim) PublicOrigin() string {
	p := &s.side
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.provider() {
	case api.TunnelExternal:
		return p.settings.URL
	case api.TunnelNgrok:
		if p.settings.Domain != "" {
			return p.settings.Domain
		}
		return p.settings.Seen
	}
	return ""
}

// wish is how the tunnel should be now. If it cannot even be tried, problem
// says why.
func (s *Shim) wish() (w TunnelWish, problem *api.TunnelStatus) {
	p := &s.side
	p.mu.Lock()
	t := p.settings
	w = TunnelWish{Provider: p.provider(), Paused: s.paused.is()}
	p.mu.Unlock()
	switch w.Provider {
	case api.TunnelExternal:
		w.URL, w.Preset = t.URL, t.Preset
	case api.TunnelNgrok:
		w.URL, w.Known = t.Domain, t.Seen
		if w.Authtoken = p.env; !w.Authtoken.IsZero() {
			return w, nil
		}
		var err error
		w.Authtoken, err = s.vault.Secret(secretNgrok)
		switch {
		case errors.Is(err, vault.ErrLocked):
			return w, &api.TunnelStatus{Provider: api.TunnelNgrok, State: api.TunnelLocked, Words: web.TextTunnelLocked, Next: s.vault.Keychain().Words}
		case err != nil:
			return w, &api.TunnelStatus{Provider: api.TunnelNgrok, State: api.TunnelFailed, Words: web.TextNoAuthtoken, Next: web.TextGetAuthtoken, Link: web.LinkAuthtoken}
		}
	}
	return w, nil
}

// drive makes the tunnel be as the owner wants it. It is called whenever that
// may have changed.
func (s *Shim) drive() {
	p := &s.side
	if p.control == nil {
		return
	}
	p.driving.Lock()
	defer p.driving.Unlock()
	w, problem := s.wish()
	if problem != nil {
		w = TunnelWish{Provider: api.TunnelOff}
	}
	p.mu.Lock()
	same := p.pushed != nil && *p.pushed == w
	pushed := w // which SetTunnelStatus changes
	p.pushed = &pushed
	if problem != nil {
		p.status = *problem
	} else if !same {
		p.status = api.TunnelStatus{Provider: w.Provider, State: api.TunnelConnecting}
	}
	p.mu.Unlock()
	if !same {
		p.control.Want(w)
	}
	s.changes.Notify()
}

// SetTunnelStatus takes over how the tunnel is.
func (s *Shim) SetTunnelStatus(st api.TunnelStatus) {
	p := &s.side
	ngrok := st.State == api.TunnelOnline && st.Provider == api.TunnelNgrok
	// What worked is kept before anybody is told that it works.
	if !s.keepOrigin(st, ngrok) {
		return
	}
	if ngrok {
		s.keepEnvironment()
	}
	p.mu.Lock()
	p.status = st
	p.mu.Unlock()
	s.control.Changed()
}

// keepOrigin keeps the public origin of st if it is one that ngrok gave us. It
// reports false if st is of a wish before the last one, or says nothing that
// is not known. What we got is what is known from now on, which is no reason to
// open the tunnel anew: no wish is compared with the last one meanwhile.
func (s *Shim) keepOrigin(st api.TunnelStatus, ngrok bool) bool {
	p := &s.side
	p.driving.Lock()
	defer p.driving.Unlock()
	p.mu.Lock()
	last := p.pushed != nil && p.pushed.Provider == st.Provider && st.Provider != api.TunnelOff
	seen := p.settings.Seen
	p.mu.Unlock()
	if !last || !ngrok || seen == st.Origin {
		return last
	}
	if seen != "" {
		s.log.Warn("the public address has changed; clients that use the old one must be added again", "old", seen, "new", st.Origin)
	}
	if err := s.changeTunnel(func(t *tunnelSettings) { t.Seen = st.Origin }); err != nil {
		s.log.Warn("the public address was not saved", "err", err)
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pushed != nil {
		p.pushed.Known = st.Origin
	}
	return true
}

// keepEnvironment seals an authtoken that came from the environment and works.
func (s *Shim) keepEnvironment() {
	p := &s.side
	p.mu.Lock()
	env := p.env
	p.mu.Unlock()
	if env.IsZero() || !s.control.Keychain().Usable() {
		return
	}
	if kept, err := s.vault.Secret(secretNgrok); err == nil && kept.Reveal() == env.Reveal() {
		return
	}
	if err := s.vault.SaveSecret(secretNgrok, env); err != nil {
		s.log.Info("the ngrok authtoken was not saved", "err", err)
	}
}

// tunnelStatus is how things are, for those who show it.
func (s *Shim) tunnelStatus() api.TunnelStatus {
	p := &s.side
	p.mu.Lock()
	st := p.status
	provider, seen := p.provider(), p.settings.Seen
	p.mu.Unlock()
	if provider == api.TunnelOff || st.State == "" {
		st = api.TunnelStatus{Provider: api.TunnelOff, State: api.TunnelOff, Words: web.TextTunnelOff}
	}
	if provider != api.TunnelOff && s.paused.is() {
		st = api.TunnelStatus{Provider: provider, State: api.TunnelPaused, Words: web.TextTunnelPaused, Listener: st.Listener}
	}
	if u := s.meter.add(time.Now()); provider != api.TunnelOff || u.Requests > 0 {
		st.Usage = &api.TunnelUsage{Month: u.Month, Requests: u.Requests, Bytes: u.Bytes, MaxRequests: st.MaxRequests, MaxBytes: st.MaxBytes}
		st.Usage.Warning = usageWarning(*st.Usage)
	}
	names, err := s.vault.GrantedNames()
	if err != nil {
		s.log.Warn("who is connected cannot be read", "err", err)
	}
	for _, n := range names {
		if strings.HasPrefix(n.Origin, "https:") && n.Origin != seen && n.Origin != s.PublicOrigin() {
			st.Stranded = append(st.Stranded, web.ClientName(n.Name, n.VerifiedID, n.VerifiedID != ""))
		}
	}
	slices.Sort(st.Stranded)
	st.Stranded = slices.Compact(st.Stranded)
	return st
}

// usageWarning says that a monthly limit comes near.
func usageWarning(u api.TunnelUsage) string {
	near := func(used, limit int64) bool { return limit > 0 && used >= limit/5*4 }
	switch {
	case u.MaxRequests > 0 && u.Requests >= u.MaxRequests, u.MaxBytes > 0 && u.Bytes >= u.MaxBytes:
		return web.TextUsageOver
	case near(u.Requests, u.MaxRequests):
		return fmt.Sprintf(web.TextUsageRequests, web.Number(u.Requests), web.Number(u.MaxRequests))
	case near(u.Bytes, u.MaxBytes):
		return fmt.Sprintf(web.TextUsageBytes, web.Number(u.Bytes/1e6), web.Number(u.MaxBytes/1e6))
	}
	return ""
}

// noticeUsage wakes those who show the status once a limit comes near.
func (s *Shim) noticeUsage() {
	warning := s.tunnelStatus().Usage
	warn := warning != nil && warning.Warning != ""
	p := &s.side
	p.mu.Lock()
	changed := warn != p.warned
	p.warned = warn
	p.mu.Unlock()
	if changed && warn {
		s.log.Warn("the tunnel's limit of this month comes near", "requests", warning.Requests, "bytes", warning.Bytes)
	}
	if changed {
		s.changes.Notify()
	}
}

// TunnelConfig is what the program says about the tunnel at its start.
type TunnelConfig struct {
	// Control opens and closes it. nil means that there is none.
	Control Tunnel
	// Mode is "auto" or "" for what the owner last turned on, and else
	// api.TunnelOff, api.TunnelNgrok or api.TunnelExternal, by his word.
	Mode      string
	URL       string // public URL, with api.TunnelExternal or api.TunnelNgrok
	Authtoken Secret // fills in the one of ngrok, and turns nothing on
	// Presets lists what can be an external tunnel that leads from a public
	// URL to us; the URL is "" if it is not known yet.
	Presets func(publicURL string) []TunnelPreset
}
