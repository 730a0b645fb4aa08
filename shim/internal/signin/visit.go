package signin

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"maps"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/limits"
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
	number  int  // what the waiting screen shows; 0 until the owner is asked
	asked   time.Time
	told    bool // the owner has typed the number
	end     ending
	back    departure // once it was answered for the browser that waits
}

// An ending says how a request ended.
type ending string

const (
	endOpen      ending = ""
	endElsewhere ending = "elsewhere" // the browser on this computer has the answer
	endAnswered  ending = "answered"  // location is for the browser that waits
	endNumber    ending = "number"    // a wrong number was typed
)

const (
	maxVisits  = 2000 // more than there can be open requests
	maxAsked   = 5    // that wait for the owner, of all senders
	maxOneAsks = 3    // of one sender that is known
)

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
		if x.browser == browser && x.query == query && x.end == endOpen {
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
		for id := range v.all {
			if !v.alive(id) {
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
	if !ok || x.sent || x.end != endOpen || x.number != 0 {
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

var errTooManyAsk = errors.New("too many requests wait for the owner")

// ask makes a request wait for the owner. A request keeps its number, so a
// reload shows the same one. If there are too many, the oldest that the owner
// has not opened has to go, since strangers could otherwise take all places and
// keep them. A browser that waits already waits with its newest request alone.
// What has to go is returned, and the caller ends it.
func (v *visits) ask(id string) (gone string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget()
	x, ok := v.all[id]
	if !ok || x.end != endOpen || x.number != 0 {
		return "", nil // the page says how it ended, or shows the number
	}
	var waiting []string // oldest first
	taken := make(map[int]bool)
	of := make(map[string]int)
	for other, y := range v.all {
		if y.number != 0 && y.end == endOpen && v.alive(other) {
			waiting = append(waiting, other)
			of[y.from]++
			taken[y.number] = true
			if y.browser == x.browser && x.browser != ([sha256.Size]byte{}) {
				gone = other // the same browser waits again
			}
		}
	}
	if gone != "" {
		return gone, x.show(v.now(), taken)
	}
	slices.SortFunc(waiting, func(a, b string) int { return v.all[a].asked.Compare(v.all[b].asked) })
	switch own := of[x.from]; {
	case own >= maxOneAsks && x.from != limits.Unknown:
		gone = v.unopened(waiting, func(from string) bool { return from == x.from })
	case len(waiting) >= maxAsked:
		// Who has taken the most places gives one back.
		most := slices.Max(slices.Collect(maps.Values(of)))
		gone = v.unopened(waiting, func(from string) bool { return of[from] == most })
		if gone == "" {
			gone = v.unopened(waiting, func(string) bool { return true })
		}
	default:
		return "", x.show(v.now(), taken)
	}
	if gone == "" {
		return "", errTooManyAsk
	}
	return gone, x.show(v.now(), taken)
}

// unopened finds the first request whose sender matches, and that the owner has
// not opened.
func (v *visits) unopened(ids []string, match func(from string) bool) string {
	for _, id := range ids {
		if x := v.all[id]; !x.viewed && !x.told && match(x.from) {
			return id
		}
	}
	return ""
}

// show gives a request the number that its screen shows. It differs from those
// of all that wait, since it chooses among them.
func (x *visit) show(now time.Time, taken map[int]bool) error {
	for {
		n, err := rand.Int(rand.Reader, big.NewInt(90))
		if err != nil {
			return err
		}
		if number := 10 + int(n.Int64()); !taken[number] {
			x.number, x.asked = number, now
			return nil
		}
	}
}

// tell finds the request that shows a number, and records that the owner has
// typed it.
func (v *visits) tell(number int) (id string, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget()
	for id, x := range v.all {
		if x.number == number && x.number != 0 && x.end == endOpen && v.alive(id) {
			x.told = true
			return id, true
		}
	}
	return "", false
}

// untold lists the requests that wait and whose number was not typed.
func (v *visits) untold() (ids []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget()
	for id, x := range v.all {
		if x.number != 0 && !x.told && x.end == endOpen && v.alive(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// waiting counts the requests that wait for the owner.
func (v *visits) waiting() (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget()
	for id, x := range v.all {
		if x.number != 0 && x.end == endOpen && v.alive(id) {
			n++
		}
	}
	return n
}

// AgeVisits makes all visits older by d. It is for tests of what happens after
// minutes of waiting.
func (s *SignIns) AgeVisits(d time.Duration) {
	s.visits.mu.Lock()
	defer s.visits.mu.Unlock()
	for _, v := range s.visits.all {
		v.made, v.asked = v.made.Add(-d), v.asked.Add(-d)
	}
}
