package shim

import (
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

// A tide gives memory back to the operating system after many connections have
// gone. Go keeps what it once needed for minutes, and a program that stays in
// the tray all day should not show the worst moment of it.
type tide struct {
	mu         sync.Mutex
	open, high int
	ebbs       bool // memory will be given back
}

// Below high connections there is little to give back. It is done after a
// moment of calm, since a client often comes back at once.
const (
	tideHigh = 256
	tideCalm = 20 * time.Second
)

// follow has srv tell of its connections.
func (t *tide) follow(srv *http.Server) {
	next := srv.ConnState
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			t.change(1)
		case http.StateClosed, http.StateHijacked:
			t.change(-1)
		}
		if next != nil {
			next(c, state)
		}
	}
}

func (t *tide) change(by int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open += by
	t.high = max(t.high, t.open)
	if !t.ebbs && t.high >= tideHigh && t.open <= t.high/4 {
		t.ebbs = true
		time.AfterFunc(tideCalm, t.ebb)
	}
}

func (t *tide) ebb() {
	t.mu.Lock()
	t.ebbs, t.high = false, t.open
	t.mu.Unlock()
	// The first round only ages what pools of buffers hold, the second frees it.
	debug.FreeOSMemory()
	debug.FreeOSMemory()
}
