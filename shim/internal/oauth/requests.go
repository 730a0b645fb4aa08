package oauth

import (
	"cmp"
	"crypto/rand"
	"slices"
	"sync"
	"time"
)

const (
	requestTTL  = 15 * time.Minute
	maxRequests = 1000
	maxFromOne  = 50  // from one sender on the internet
	maxLocal    = 100 // from this computer
	maxPolled   = 100 // that are in line
	seenFor     = 90 * time.Second
	polledFor   = 20 * time.Second // the page of a request in line says so every 15 seconds
)

// FromUnknown is the sender of a request from the internet whose route does
// not reveal it.
const FromUnknown = "unknown"

// RequestTTL is how long a request waits for a person.
const RequestTTL = requestTTL

// A Request is a valid authorization request that waits for a person. It must
// not be changed.
type Request struct {
	ID          string // 128 random bits
	Issuer      string // the issuer of the Server that received it
	Client      Client
	Unresolved  bool   // client and RedirectURI are not verified yet; see Resolve
	RedirectURI string // as requested, port included
	State       string
	HasState    bool
	Challenge   string // RFC 7636 S256
	Scope       string // the scope to grant
	Slug        string // "" if the client did not say which endpoint it wants
	Resource    string // canonical URL of that endpoint, or ""
	From        string // the sender, from Server.From
	Created     time.Time
}

// Requests holds the requests that wait for a person: in memory, for at most
// 15 minutes, and a bounded number, since anyone may send authorization
// requests.
type Requests struct {
	now func() time.Time

	mu      sync.Mutex
	pending []*waitingRequest // oldest first
}

type waitingRequest struct {
	req  *Request
	seen time.Time // a browser of the owner's user loaded its page; zero if none did
	own  bool      // one of them had the owner's session
	open time.Time // that page last said that it is still open
	held bool      // another device waits for it

	polled time.Time // another device would wait for it, and last said so
}

func (p *waitingRequest) inLine(now time.Time) bool {
	return !p.polled.IsZero() && now.Sub(p.polled) < polledFor
}

// rank says how much the request would be missed: 2 while its page is open,
// 1 if that page was loaded once, or while another device is in line with it. A
// script can load pages by the thousand, but not keep them open.
func (p *waitingRequest) rank(now time.Time) int {
	switch {
	case p.held, !p.open.IsZero() && now.Sub(p.open) < seenFor:
		return 2
	case !p.seen.IsZero(), p.inLine(now):
		return 1
	}
	return 0
}

// NewRequests returns an empty Requests. now may be nil.
func NewRequests(now func() time.Time) *Requests {
	if now == nil {
		now = time.Now
	}
	return &Requests{now: now}
}

// Add keeps a request. A new one gets its ID and time. One that was taken and
// not decided is put back for the rest of its time. If there are too many, one
// that has not been viewed is dropped first: a flood of requests must not push
// out the one on the owner's screen. A sender of many loses its own first, and
// requests from the internet go before those from this computer.
func (q *Requests) Add(req *Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expire()
	p := &waitingRequest{req: req}
	if req.ID == "" {
		req.ID, req.Created = rand.Text(), q.now()
	} else if q.find(req.ID) >= 0 {
		return
	} else {
		p.seen, p.open, p.own = q.now(), q.now(), true // its page has just sent an answer
	}
	q.makeRoom(req.From)
	i, _ := slices.BinarySearchFunc(q.pending, req.Created, func(p *waitingRequest, t time.Time) int {
		return cmp.Or(p.req.Created.Compare(t), -1) // after those of the same time
	})
	q.pending = slices.Insert(q.pending, i, p)
	q.expire()
}

// makeRoom drops a request if there are too many to add another from this
// sender.
func (q *Requests) makeRoom(from string) {
	now := q.now()
	// first finds the oldest of the lowest rank, up to a highest one.
	first := func(highest int, match func(*waitingRequest) bool) int {
		for rank := range highest + 1 {
			if i := slices.IndexFunc(q.pending, func(p *waitingRequest) bool { return p.rank(now) == rank && match(p) }); i >= 0 {
				return i
			}
		}
		return -1
	}
	own := func(p *waitingRequest) bool { return p.req.From == from }
	any := func(*waitingRequest) bool { return true }
	i := -1
	switch n := count(q.pending, own); {
	case from == "" && n >= maxLocal:
		i = first(2, own)
	case from != "" && from != FromUnknown && n >= maxFromOne:
		i = first(0, own)
	}
	if i < 0 && len(q.pending) >= maxRequests {
		if i = first(0, func(p *waitingRequest) bool { return p.req.From != "" }); i < 0 {
			i = first(2, any)
		}
	}
	if i >= 0 {
		q.pending = slices.Delete(q.pending, i, i+1)
	}
}

func count[T any](all []T, match func(T) bool) (n int) {
	for _, v := range all {
		if match(v) {
			n++
		}
	}
	return n
}

// Get returns a request and keeps it.
func (q *Requests) Get(id string) (*Request, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := q.find(id)
	if i < 0 {
		return nil, false
	}
	return q.pending[i].req, true
}

// MarkViewed records that a browser of the owner's user has loaded the page of a
// request, and whether it has the owner's session. first says that none did so
// before.
func (q *Requests) MarkViewed(id string, own bool) (first bool) {
	q.mark(id, func(p *waitingRequest) {
		first = p.seen.IsZero()
		p.seen, p.own = q.now(), p.own || own
	})
	return first
}

// MarkOpen records that this page is still open.
func (q *Requests) MarkOpen(id string) { q.mark(id, func(p *waitingRequest) { p.open = q.now() }) }

// Hold records that another device waits for the answer, with or without a page.
func (q *Requests) Hold(id string) { q.mark(id, func(p *waitingRequest) { p.held = true }) }

// Release records that no other device waits for the answer for now.
func (q *Requests) Release(id string) { q.mark(id, func(p *waitingRequest) { p.held = false }) }

// MarkPolled records that another device is in line with a request. It does so for
// few: a line of strangers' must not push out anything else.
func (q *Requests) MarkPolled(id string) {
	q.mark(id, func(p *waitingRequest) {
		now := q.now()
		if p.inLine(now) || count(q.pending, func(p *waitingRequest) bool { return p.inLine(now) }) < maxPolled {
			p.polled = now
		}
	})
}

func (q *Requests) mark(id string, f func(*waitingRequest)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := q.find(id); i >= 0 {
		f(q.pending[i])
	}
}

// Take removes a request and returns it, to be decided. Of two concurrent
// callers, one gets it.
func (q *Requests) Take(id string) (*Request, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := q.find(id)
	if i < 0 {
		return nil, false
	}
	req := q.pending[i].req
	q.pending = slices.Delete(q.pending, i, i+1)
	return req, true
}

// replace replaces the request that has req's ID.
func (q *Requests) replace(req *Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := q.find(req.ID); i >= 0 {
		q.pending[i].req = req
	}
}

// sibling returns the client of another request of the same sign-in. Browsers
// repeat authorization requests, and the client need not be resolved each
// time. The challenge identifies the sign-in, since clients make a new one for
// each.
func (q *Requests) sibling(clientID, challenge string) (Client, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expire()
	for _, p := range q.pending {
		if r := p.req; !r.Unresolved && r.Client.ID == clientID && r.Challenge == challenge {
			return r.Client, true
		}
	}
	return Client{}, false
}

// find returns the index of a request that has not expired, or -1.
func (q *Requests) find(id string) int {
	q.expire()
	return slices.IndexFunc(q.pending, func(p *waitingRequest) bool { return p.req.ID == id })
}

func (q *Requests) expire() {
	now := q.now()
	n := 0
	for n < len(q.pending) && now.Sub(q.pending[n].req.Created) >= requestTTL {
		n++
	}
	q.pending = slices.Delete(q.pending, 0, n)
}

// A View is a request whose page is open, or that another device waits for.
type View struct {
	*Request
	Own bool // a browser with the owner's session has shown it
}

// Viewed lists the requests that a browser of the owner's user shows, or that
// another device waits for, oldest first. The others are not shown: anyone may
// have sent them. A page without scripts counts as closed after a while, which
// changes nothing about it.
func (q *Requests) Viewed() []View {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expire()
	var all []View
	for _, p := range q.pending {
		if now := q.now(); p.rank(now) == 2 || !p.seen.IsZero() && now.Sub(p.seen) < seenFor {
			all = append(all, View{p.req, p.own})
		}
	}
	return all
}
