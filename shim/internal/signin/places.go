package signin

import (
	"cmp"
	"crypto/rand"
	"maps"
	"math/big"
	"slices"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/limits"
)

// Few requests of other devices may wait for the owner at a time, and anyone may
// send some. A place is kept by what a person does and a flood does not: the
// owner opens the request, or the page that shows the number is still open some
// seconds later and loads again. Until then the newest makes room for a newer
// one, so those that came before a flood are not touched by it. A request without
// a place is in line: its page says so, and shows a number once there is a place.

const (
	maxAsked   = 5 // that have a place, of all senders
	maxOneAsks = 3 // of one sender that is known

	// The page of a request that waits loads again after 3 seconds at first,
	// then after 15, for 5 minutes in all. A phone that is locked loads nothing.
	firstLook = 2 * time.Second
	looking   = 20 * time.Second
	tenure    = 5 * time.Minute // since it was loaded last
)

// A placement is what changed about places.
type placement struct {
	placed   bool   // the request got a place
	inLine   bool   // it has none, and its page has stayed open
	replaced string // an older request of the same browser, which is over
	moved    string // a request that gave its place, and is in line
}

// ask makes a request wait for the owner. A browser that waits already waits with
// its newest request alone, which takes the place of the older one.
func (v *visits) ask(id string) (placement, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget()
	var t placement
	x, ok := v.all[id]
	if !ok || x.outcome != outcomeOpen || x.asks {
		return t, nil // the page says how it ended, or how it waits
	}
	var had int // the number that the same browser shows
	if x.browser != (visit{}).browser {
		for other, y := range v.all {
			if y.browser == x.browser && y.waits() && v.alive(other) {
				t.replaced, had = other, y.number
				x.stayed = y.stayed
				y.asks, y.number = false, 0
			}
		}
	}
	c := v.occupancy()
	if t.replaced == "" && c.full(x.from) && v.newest(c, 1, c.from(x.from)) == "" {
		return t, errTooManyAsk
	}
	x.asks, x.since, x.asked = true, v.now(), v.now()
	if had != 0 {
		v.show(x, c)
		t.placed = true
	} else {
		v.place(id, x, c, &t)
	}
	return t, nil
}

// look notes that a browser has loaded the page of its request that waits. It
// gives the request a place if it has none and there is one.
func (v *visits) look(id string) (t placement) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget()
	x, ok := v.all[id]
	if !ok || !x.waits() {
		return t
	}
	now := v.now()
	x.shown, x.looked = true, now
	x.stayed = x.stayed || now.Sub(x.since) >= firstLook
	if x.number == 0 {
		v.place(id, x, v.occupancy(), &t)
		t.inLine = !t.placed && x.stayed
	}
	return t
}

// waits reports whether a request has a place or is in line, as far as a visit
// can tell.
func (x *visit) waits() bool { return x.asks && x.outcome == outcomeOpen }

// An occupancy is the requests that have a place, the newest last, and how many
// each sender has.
type occupancy struct {
	ids   []string
	of    map[string]int
	taken map[int]bool // numbers
	all   map[string]*visit
}

// occupancy finds them. The caller holds mu.
func (v *visits) occupancy() occupancy {
	c := occupancy{of: make(map[string]int), taken: make(map[int]bool), all: v.all}
	for id, x := range v.all {
		if x.number != 0 && x.outcome == outcomeOpen && v.alive(id) {
			c.ids = append(c.ids, id)
			c.of[x.from]++
			c.taken[x.number] = true
		}
	}
	slices.SortFunc(c.ids, func(a, b string) int { return cmp.Or(v.all[a].asked.Compare(v.all[b].asked), cmp.Compare(a, b)) })
	return c
}

// full reports whether a sender has all places that one may have. Unknown senders
// are many.
func (c occupancy) full(from string) bool { return from != limits.Unknown && c.of[from] >= maxOneAsks }

func (c occupancy) from(from string) func(*visit) bool {
	return func(x *visit) bool { return x.from == from }
}

// rank says how sure it is that a person waits for a request.
func (v *visits) rank(x *visit) int {
	switch {
	case x.viewed || x.told:
		return 3 // the owner has it before the eyes
	case x.stayed && v.now().Sub(x.looked) < tenure:
		return 2 // its page stayed open for a while, and not long ago
	case x.shown:
		return 1
	}
	return 0
}

// newest finds the request that makes room: of those that match, one of the
// lowest rank, up to a highest one, and of these the newest.
func (v *visits) newest(c occupancy, highest int, match func(*visit) bool) string {
	for rank := range highest + 1 {
		for _, id := range slices.Backward(c.ids) {
			if x := v.all[id]; v.rank(x) == rank && match(x) {
				return id
			}
		}
	}
	return ""
}

// place gives a request a place if there is one for it. The caller holds mu.
func (v *visits) place(id string, x *visit, c occupancy, t *placement) {
	any := func(*visit) bool { return true }
	highest := 1
	if x.shown && !x.stayed {
		highest = 0 // it has just been moved, so as not to let two push out each other
	}
	switch {
	case c.full(x.from):
		t.moved = v.newest(c, highest, c.from(x.from))
	case v.ahead(id, x, c):
		return
	case len(c.ids) < maxAsked:
		v.show(x, c)
		t.placed = true
		return
	default:
		if t.moved = v.newest(c, highest, any); t.moved == "" {
			t.moved = v.newest(c, 2, v.most(x, c))
		}
	}
	if t.moved == "" {
		return
	}
	v.all[t.moved].number = 0
	v.show(x, c)
	t.placed = true
}

// most matches the requests of senders who have taken more places than another
// would leave to them: they give one back.
func (v *visits) most(x *visit, c occupancy) func(*visit) bool {
	delete(c.of, limits.Unknown)
	most := 0
	if len(c.of) > 0 {
		most = slices.Max(slices.Collect(maps.Values(c.of)))
	}
	return func(y *visit) bool { return x.from != limits.Unknown && c.of[y.from] == most && c.of[x.from]+1 < most }
}

// ahead reports whether another request is in line before x, and its page is
// open. A request that has just come is behind all of them.
func (v *visits) ahead(id string, x *visit, c occupancy) bool {
	now := v.now()
	for other, y := range v.all {
		if other != id && y.waits() && y.number == 0 && y.stayed && now.Sub(y.looked) < looking && (!x.stayed || y.since.Before(x.since)) &&
			!c.full(y.from) && v.alive(other) {
			return true
		}
	}
	return false
}

// show gives a request the number that its screen shows: the one that it had, or
// one that differs from those of all that wait, since it chooses among them.
func (v *visits) show(x *visit, c occupancy) {
	x.asked = v.now()
	if x.last != 0 && !c.taken[x.last] {
		x.number = x.last
		return
	}
	for {
		n, err := rand.Int(rand.Reader, big.NewInt(90))
		if err != nil {
			panic(err) // crypto/rand: never
		}
		if x.last = 10 + int(n.Int64()); !c.taken[x.last] {
			x.number = x.last
			return
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
		if x.number == number && x.number != 0 && x.outcome == outcomeOpen && v.alive(id) {
			x.told = true
			return id, true
		}
	}
	return "", false
}

// untold lists the requests that wait, in line or not, and whose number was not
// typed.
func (v *visits) untold() (ids []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget()
	for id, x := range v.all {
		if x.waits() && !x.told && v.alive(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// waiting counts the requests that have a place.
func (v *visits) waiting() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget()
	return len(v.occupancy().ids)
}
