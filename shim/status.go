package shim

import (
	"context"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
)

// A Status is what the status command, the dashboard and the tray show.
type Status struct {
	Version        string         `json:"version"`
	LocalOrigin    string         `json:"local_origin"`
	PublicOrigin   *string        `json:"public_origin"` // null while there is none
	PublicListener *string        `json:"public_listener"`
	Tunnel         TunnelStatus   `json:"tunnel"`
	Keychain       vault.Keychain `json:"keychain"`
	Paused         bool           `json:"paused"`
	SameUserCheck  bool           `json:"same_user_check"` // connections are checked to come from the owner's OS user
	Endpoints      int            `json:"endpoints"`
	Rejected       int            `json:"rejected"` // credentials that their upstream refuses
	Grants         int            `json:"grants"`
	Pending        []Pending      `json:"pending"` // authorization requests that nobody has answered
}

// A TunnelStatus says how the outside reaches us.
type TunnelStatus struct {
	Provider string `json:"provider"`
	State    string `json:"state"`
	Words    string `json:"words"`
}

// A Pending is an authorization request that waits at the consent page.
type Pending struct {
	URL          string    `json:"url"`
	ClientName   string    `json:"client_name"`
	RedirectHost string    `json:"redirect_host"`
	Slug         string    `json:"slug,omitempty"`
	Created      time.Time `json:"created"`
}

// Status reports how things stand now.
func (s *Shim) Status() Status {
	st := Status{
		Version: s.version,
		Tunnel: TunnelStatus{Provider: "off", State: "off",
			Words: "Only programs on this computer can connect."},
		Keychain:      s.vault.Keychain(),
		Paused:        s.paused.is(),
		SameUserCheck: checksUser,
		Pending:       []Pending{},
	}
	if o := s.local.Load(); o != nil {
		st.LocalOrigin = o.as.Issuer
	}
	for _, e := range s.vault.Endpoints() {
		st.Endpoints++
		for _, c := range s.vault.Credentials(e.Slug) {
			if c.State == endpoint.Rejected {
				st.Rejected++
			}
		}
	}
	if grants, err := s.vault.Grants(); err == nil {
		st.Grants = len(grants)
	}
	for _, r := range s.requests.Viewed() {
		st.Pending = append(st.Pending, Pending{
			URL: st.LocalOrigin + "/consent/" + r.ID, ClientName: r.Client.Name,
			RedirectHost: redirectHost(r.RedirectURI), Slug: r.Slug, Created: r.Created.UTC(),
		})
	}
	return st
}

// changes wakes those who show the status.
type changes struct {
	mu     sync.Mutex
	wake   chan struct{}
	closed bool
}

// wait returns a channel that is closed at the next change, and whether there
// will be one.
func (c *changes) wait() (<-chan struct{}, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wake == nil {
		c.wake = make(chan struct{})
	}
	return c.wake, !c.closed
}

func (c *changes) notify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wake != nil && !c.closed {
		close(c.wake)
		c.wake = nil
	}
}

// close wakes all for the last time.
func (c *changes) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	if c.wake == nil {
		c.wake = make(chan struct{})
	}
	close(c.wake)
}

// waiting reports whether keys can neither be used nor saved for now.
func waiting(k vault.Keychain) bool {
	switch k.State {
	case vault.StateReady, vault.StateFile, vault.StateMemory:
		return false
	}
	return true
}

// watch follows the vault's own changes until ctx ends.
func (s *Shim) watch(ctx context.Context) {
	for {
		changed := s.vault.Changed()
		s.changed()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// changed drops what was remembered of the state and wakes those who show it.
func (s *Shim) changed() {
	s.lines.Clear()
	s.known.Store(nil)
	s.changes.notify()
}

// A pauser holds the pause switch. Calls that run watch its channel, so that a
// pause cuts them at once.
type pauser struct {
	mu     sync.Mutex
	paused bool
	stop   chan struct{} // closed when calls are cut
}

func (p *pauser) init(paused bool) {
	p.paused, p.stop = paused, make(chan struct{})
}

func (p *pauser) is() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paused
}

// running returns what is closed when the calls that begin now are to be cut;
// ok is false while paused.
func (p *pauser) running() (stop <-chan struct{}, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stop, !p.paused
}

func (p *pauser) set(paused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if paused && !p.paused {
		p.renew()
	}
	p.paused = paused
}

// cut ends the calls that run, without pausing.
func (p *pauser) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.renew()
}

// renew cuts what runs. The caller holds mu.
func (p *pauser) renew() {
	close(p.stop)
	p.stop = make(chan struct{})
}

// SetPaused stops every call, or lets calls through again. It survives a
// restart.
func (s *Shim) SetPaused(paused bool) error {
	var value []byte // nil deletes the setting
	if paused {
		value = []byte{1}
	}
	if err := s.vault.SetSetting(settingPaused, value); err != nil {
		return err
	}
	s.paused.set(paused)
	s.changes.notify()
	return nil
}
