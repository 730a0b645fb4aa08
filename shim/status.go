package shim

import (
	"context"
	"net/http"
	"sync"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
)

// SettledKeychain waits until the keychain has answered, or ctx ends, and says
// where the master key is.
func (s *Shim) SettledKeychain(ctx context.Context) api.Keychain {
	for {
		changed, more := s.changes.Wait()
		k := s.control.Keychain()
		if k.State != api.KeychainWaiting || !more {
			return k
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return k
		}
	}
}

// Status reports how things stand now.
func (s *Shim) Status() api.Status {
	st := api.Status{
		Version:       s.version,
		LocalOrigin:   s.localOrigin(),
		Tunnel:        s.reach.Status(),
		Keychain:      s.control.Keychain(),
		Disk:          s.control.Disk(),
		Paused:        s.paused.is(),
		SameUserCheck: owner.ChecksUser,
		Pending:       s.signIns.Pending(),
		Attempts:      s.timeline.Failed(),
	}
	if p := s.PublicOrigin(); p != "" {
		st.PublicOrigin = &p
	}
	if l := st.Tunnel.Listener; l != "" {
		st.PublicListener = &l
	}
	st.Endpoints, st.Rejected = s.vault.Counts()
	if n, err := s.vault.NumGrants(); err == nil {
		st.Grants = n
	}
	return st
}

// watch follows the vault's own changes until ctx ends.
func (s *Shim) watch(ctx context.Context) {
	for {
		changed := s.vault.Changed()
		s.control.Changed()
		s.reach.Drive()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// A pauser holds the pause switch. Calls and streams that run watch its
// channels, so that a pause cuts them at once.
type pauser struct {
	mu      sync.Mutex
	paused  bool
	calls   chan struct{} // closed when calls are cut
	streams chan struct{} // closed when the streams are cut that no call waits for
}

func (p *pauser) init(paused bool) {
	p.paused, p.calls, p.streams = paused, make(chan struct{}), make(chan struct{})
}

func (p *pauser) is() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paused
}

// running returns what is closed when a request that begins now is to be cut;
// ok is false while paused. By GET, clients open streams that wait for whatever
// the upstream may have to say.
func (p *pauser) running(method string) (stop <-chan struct{}, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if method == http.MethodGet {
		return p.streams, !p.paused
	}
	return p.calls, !p.paused
}

func (p *pauser) set(paused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if paused && !p.paused {
		renew(&p.streams)
		renew(&p.calls)
	}
	p.paused = paused
}

// cutStreams ends the streams that no call waits for, without pausing.
func (p *pauser) cutStreams() {
	p.mu.Lock()
	defer p.mu.Unlock()
	renew(&p.streams)
}

// cutCalls ends the calls that run, without pausing.
func (p *pauser) cutCalls() {
	p.mu.Lock()
	defer p.mu.Unlock()
	renew(&p.calls)
}

// renew cuts what runs.
func renew(stop *chan struct{}) {
	close(*stop)
	*stop = make(chan struct{})
}
