package signin

import (
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

// A visit is an authorization request from the internet, as its browser sees
// it. It outlives the request, to tell the browser how it ended.
type visit struct {
	browser [sha256.Size]byte // of its cookie
	query   [sha256.Size]byte // of the request, since browsers repeat themselves
	from    string            // who sent it, as clientAddr says
	made    time.Time
	sent    bool // the browser was sent on to this computer
	viewed  bool // and arrived
	outcome outcome

	// Of a request whose answer is for a browser on another device:
	asks   bool      // the owner is asked
	since  time.Time // when that began
	number int       // what the waiting screen shows; 0 while it is in line
	last   int       // what it showed before it had to make room
	asked  time.Time // when it got its place, or else its place in the line
	shown  bool      // the screen was loaded
	stayed bool      // and again, some seconds later
	looked time.Time // when it was loaded last
	told   bool      // the owner has typed the number

	back clientRedirect // once it was answered for the browser that waits
}

// An outcome says how a request ended.
type outcome string

const (
	outcomeOpen      outcome = ""
	outcomeElsewhere outcome = "elsewhere" // the browser on this computer has the answer
	outcomeAnswered  outcome = "answered"  // location is for the browser that waits
	outcomeNumber    outcome = "number"    // a wrong number was typed
)

const maxVisits = 2000 // more than there can be open requests

// visits holds the visits of the last 15 minutes, in memory and bounded in
// number.
type visits struct {
	now   func() time.Time
	alive func(id string) bool // whether a request is still open
	mu    sync.Mutex
	all   map[string]*visit // request id -> visit
}

func newVisits(now func() time.Time, alive func(id string) bool) *visits {
	return &visits{now: now, alive: alive, all: make(map[string]*visit)}
}

// again finds the request that the same browser made with the same query: by a
// reload, by Back, or through a warning page that repeats the request.
func (v *visits) again(browser, query [sha256.Size]byte) (id string, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget()
	for id, x := range v.all {
		if x.browser == browser && x.query == query && x.outcome == outcomeOpen {
			return id, true
		}
	}
	return "", false
}

// add begins a visit.
func (v *visits) add(id string, x visit) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget()
	if len(v.all) >= maxVisits {
		for id, x := range v.all {
			if !v.alive(id) && !(x.asks && x.outcome == outcomeAnswered) { // no one else has that answer
				delete(v.all, id)
			}
		}
	}
	x.made = v.now()
	v.all[id] = &x
}

// forget drops visits that are over. The caller holds mu.
func (v *visits) forget() {
	now := v.now()
	for id, x := range v.all {
		if now.Sub(x.made) >= oauth.RequestTTL {
			delete(v.all, id)
		}
	}
}

// get returns a copy of a visit.
func (v *visits) get(id string) (visit, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget()
	x, ok := v.all[id]
	if !ok {
		return visit{}, false
	}
	return *x, true
}

// change changes a visit, if there is one.
func (v *visits) change(id string, f func(*visit)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if x, ok := v.all[id]; ok {
		f(x)
	}
}

// sendOn reports whether to send the browser on to this computer automatically:
// once for each request, and not if it was sent on before and never arrived. In
// that case the browser is on another computer behind the same address.
func (v *visits) sendOn(id string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	x, ok := v.all[id]
	if !ok || x.sent || x.outcome != outcomeOpen || x.asks {
		return false
	}
	for _, other := range v.all {
		if other.browser == x.browser && other.sent && !other.viewed {
			return false
		}
	}
	x.sent = true
	return true
}

var errTooManyAsk = errors.New("too many requests of one sender wait for the owner")

// AgeVisits makes all visits older by d. It is for tests of what happens after
// minutes of waiting.
func (s *SignIns) AgeVisits(d time.Duration) {
	s.visits.mu.Lock()
	defer s.visits.mu.Unlock()
	for _, v := range s.visits.all {
		v.made, v.asked, v.since, v.looked = v.made.Add(-d), v.asked.Add(-d), v.since.Add(-d), v.looked.Add(-d)
	}
}
