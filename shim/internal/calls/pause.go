package calls

import (
	"net/http"
	"sync"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// A Pause is the pause switch. Calls and streams that run watch its channels,
// so a pause cuts them at once.
type Pause struct {
	mu      sync.Mutex
	paused  bool
	calls   chan struct{} // closed to cut calls
	streams chan struct{} // closed to cut streams that no call waits for
	quits   bool          // the program is about to end
}

func (p *Pause) init(paused bool) {
	p.paused, p.calls, p.streams = paused, make(chan struct{}), make(chan struct{})
}

// On reports whether calls are paused.
func (p *Pause) On() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paused
}

// running returns what is closed when a request that begins now must be cut;
// ok is false while paused. With GET, clients open streams that wait for
// messages of the upstream.
func (p *Pause) running(method string) (stop <-chan struct{}, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if method == http.MethodGet {
		return p.streams, !p.paused
	}
	return p.calls, !p.paused
}

// Set pauses calls, which cuts those that run, or lets them through again.
func (p *Pause) Set(paused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if paused && !p.paused {
		cut(&p.streams)
		cut(&p.calls)
	}
	p.paused = paused
}

// why says why a call was cut.
func (p *Pause) why() endpoint.Trouble {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.quits:
		return endpoint.TroubleQuitting
	case p.paused:
		return endpoint.TroublePaused
	}
	return endpoint.TroubleCut
}

// CutStreams ends the streams that no call waits for, because the program is
// about to end.
func (p *Pause) CutStreams() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.quits = true
	cut(&p.streams)
}

// CutCalls ends the calls that run, for the same reason.
func (p *Pause) CutCalls() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.quits = true
	cut(&p.calls)
}

func cut(stop *chan struct{}) {
	close(*stop)
	*stop = make(chan struct{})
}
