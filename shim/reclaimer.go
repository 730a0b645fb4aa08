package shim

import (
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

// A reclaimer gives memory back to the operating system after many connections
// have gone. Go keeps what it once needed for minutes, and a program that stays
// in the tray all day should not show the worst moment of it.
type reclaimer struct {
	mu         sync.Mutex
	open, peak int
	scheduled  bool // memory will be given back
}

// Below reclaimAbove connections there is little to give back. It is done after
// a moment of calm, since a client often comes back at once.
const (
	reclaimAbove = 256
	reclaimAfter = 20 * time.Second
)

// follow has srv tell of its connections.
func (r *reclaimer) follow(srv *http.Server) {
	next := srv.ConnState
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			r.change(1)
		case http.StateClosed, http.StateHijacked:
			r.change(-1)
		}
		if next != nil {
			next(c, state)
		}
	}
}

func (r *reclaimer) change(by int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open += by
	r.peak = max(r.peak, r.open)
	if !r.scheduled && r.peak >= reclaimAbove && r.open <= r.peak/4 {
		r.scheduled = true
		time.AfterFunc(reclaimAfter, r.reclaim)
	}
}

func (r *reclaimer) reclaim() {
	r.mu.Lock()
	r.scheduled, r.peak = false, r.open
	r.mu.Unlock()
	// The first round only ages what pools of buffers hold, the second frees it.
	debug.FreeOSMemory()
	debug.FreeOSMemory()
}
