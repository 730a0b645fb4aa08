package timeline

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/key2oauth/key2oauth/shim/display"
)

// Bounds on attempts without a grant. Strangers have their own limit, in total
// and for each sender, so a flood never pushes out an attempt that the owner
// has seen.
const (
	maxStrangers = 200
	maxFromOne   = 20
	maxOwn       = 100
	maxWatched   = 1000 // grants that have not used a tool yet
	keepFor      = 24 * time.Hour
)

// The longest time between two steps of one attempt.
const (
	soon    = 2 * time.Minute  // without a person
	patient = 15 * time.Minute // while a person is asked
)

// An Entry is one observed step. Unknown fields are empty.
type Entry struct {
	From  string // who sends, by address; "" on this computer
	Agent string // see Agent
	Via   string

	Step    Step
	Why     string // why it was refused
	Status  int    // the upstream's status, if it refused
	Client  string // id
	Name    string // what the client calls itself
	App     string // who it is, for people
	Request string // id of the authorization request
	Host    string // where the answer goes
	Grant   string
	Slug    string
}

// A Log holds attempts. The zero value is empty. A Log is safe for concurrent
// use.
type Log struct {
	Now func() time.Time // nil means time.Now
	// Save stores the attempt that led to a grant; done means that it is
	// complete. It must not block, and may be nil.
	Save func(grant string, record []byte, done bool)
	// Changed is called after each change except a mere look, which strangers
	// take all the time. It must not block, and may be nil.
	Changed func()

	watched atomic.Int64 // number of watched grants

	mu     sync.Mutex
	last   uint64
	all    []*Attempt // without a grant, oldest first
	grants map[string]*Attempt
}

func (l *Log) now() time.Time {
	if l.Now != nil {
		return l.Now()
	}
	return time.Now()
}

// Load restores the saved attempt of a grant. It returns false if there is
// nothing to continue: the grant has used a tool, or the record is invalid.
func (l *Log) Load(grant string, record []byte) (open bool) {
	a, ok := Parse(record)
	if !ok || a.Done() {
		return false
	}
	a.Grant, a.own = grant, true
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	a.ID = l.last
	l.watch(&a)
	return true
}

// Parse decodes a saved record.
func Parse(record []byte) (a Attempt, ok bool) {
	return a, json.Unmarshal(record, &a) == nil && len(a.Events) <= maxEvents
}

// Watches reports whether calls of a grant are still of interest. Every call
// asks; it costs next to nothing once all grants have used a tool.
func (l *Log) Watches(grant string) bool {
	if l.watched.Load() == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.grants[grant] != nil
}

// Note adds a step to its attempt, or starts a new attempt.
func (l *Log) Note(s Entry) {
	if !l.note(s) {
		return
	}
	if l.Changed != nil && s.Step != Found {
		l.Changed()
	}
}

func (l *Log) note(s Entry) (changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now().UTC()
	l.expire(now)
	a := l.find(&s, now)
	if a == nil {
		if order[s.Step] > order[Asked] && s.Client == "" && s.Grant == "" {
			return false // of a request that is forgotten
		}
		a = l.begin(&s, now)
	}
	a.know(&s)
	a.note(s.Step, s.Why, s.Status, now)
	a.Over = false // it continues
	if s.Step == Approved && s.Why == "" && s.Grant != "" {
		a.Grant = s.Grant
		l.all = slices.DeleteFunc(l.all, func(b *Attempt) bool { return a == b })
		l.watch(a)
		l.over(a)
	}
	if a.Grant != "" {
		l.save(a)
		if a.Done() {
			delete(l.grants, a.Grant)
			l.watched.Store(int64(len(l.grants)))
		}
	}
	l.makeRoom(a)
	return true
}

// know adds what s says about a.
func (a *Attempt) know(s *Entry) {
	if s.Name != "" || s.App != "" {
		a.Client, a.App = clip(s.Name, maxName), display.Text(s.App, display.MaxName)
	}
	a.Slug, a.Host = cmp.Or(s.Slug, a.Slug), cmp.Or(clip(s.Host, maxHost), a.Host)
	if s.Step != Asked { // sent by a browser
		a.Agent = cmp.Or(a.Agent, clip(s.Agent, maxAgent))
	}
	a.own = a.own || order[s.Step] >= order[Shown] && s.Request != ""
	if s.Client != "" {
		a.clients = remember(a.clients, sha256.Sum256([]byte(s.Client)))
	}
	if s.Request != "" {
		a.requests = remember(a.requests, s.Request)
	}
}

// remember appends x to a short list without its oldest entries.
func remember[T comparable](all []T, x T) []T {
	if slices.Contains(all, x) {
		return all
	}
	if len(all) >= 8 {
		all = slices.Delete(all, 0, 1)
	}
	return append(all, x)
}

func (l *Log) begin(s *Entry, now time.Time) *Attempt {
	l.last++
	a := &Attempt{ID: l.last, Via: s.Via, Began: now, from: s.From, own: s.Via == Local}
	l.all = append(l.all, a)
	return a
}

// find returns the attempt of s, by the most certain thing that s says.
func (l *Log) find(s *Entry, now time.Time) *Attempt {
	if a := l.grants[s.Grant]; a != nil {
		return a
	}
	if s.Request != "" {
		if a := l.newest(func(a *Attempt) bool { return slices.Contains(a.requests, s.Request) }); a != nil {
			return a
		}
	}
	recent := func(a *Attempt, within time.Duration) bool { return now.Sub(a.Last) <= within }
	if s.Client != "" && s.Step != Registered {
		id := digest(sha256.Sum256([]byte(s.Client)))
		// An app that always registers the same way has one id for all
		// servers.
		a := l.newest(func(a *Attempt) bool {
			return slices.Contains(a.clients, id) && recent(a, patient) && a.mayBeFor(s.Slug) && (s.Step != Refreshed || a.has(Refreshed))
		})
		if a != nil {
			return a
		}
	}
	switch s.Step {
	case Asked:
		// A client that need not register has not told its id before.
		return l.newest(func(a *Attempt) bool {
			return s.Slug != "" && a.Slug == s.Slug && len(a.clients) == 0 && a.Via == s.Via && recent(a, soon)
		})
	case Found, Registered, Token:
		a := l.bySender(s, func(a *Attempt) bool {
			// A registration after a browser came starts a new attempt.
			return recent(a, soon) && a.Via == s.Via && a.mayBeFor(s.Slug) && (s.Step != Registered || !a.has(Asked))
		})
		if a == nil && s.Step != Registered {
			a = l.connected(func(a *Attempt) bool {
				return recent(a, soon) && a.Via == s.Via && a.from == s.From && (a.Via != Local || a.Agent == clip(s.Agent, maxAgent)) &&
					a.mayBeFor(s.Slug)
			})
		}
		return a
	}
	return nil
}

// mayBeFor reports whether a can be for this server.
func (a *Attempt) mayBeFor(slug string) bool { return a.Slug == "" || slug == "" || a.Slug == slug }

// bySender returns the attempt of the sender of s. Clients in a cloud come
// from several addresses, and those on this computer from none.
func (l *Log) bySender(s *Entry, fits func(*Attempt) bool) *Attempt {
	agent := clip(s.Agent, maxAgent)
	for _, same := range []func(a *Attempt) bool{
		func(a *Attempt) bool { return a.from == s.From && a.Agent == agent },
		func(a *Attempt) bool { return a.from == s.From && s.Via != Local && s.From != "unknown" },
		func(a *Attempt) bool { return s.Via != Local && agent != "" && a.Agent == agent && a.Slug != "" },
	} {
		if a := l.newest(func(a *Attempt) bool { return fits(a) && same(a) }); a != nil {
			return a
		}
	}
	return nil
}

func (l *Log) newest(fits func(*Attempt) bool) *Attempt {
	for _, a := range slices.Backward(l.all) {
		if fits(a) {
			return a
		}
	}
	return nil
}

// connected returns the attempt that led to a grant and whose client looks
// again: many ask for metadata again before their first call.
func (l *Log) connected(fits func(*Attempt) bool) *Attempt {
	for _, a := range l.grants {
		if fits(a) {
			return a
		}
	}
	return nil
}

// over marks earlier attempts of a's app.
func (l *Log) over(a *Attempt) {
	for b := range l.each() {
		if b != a && b.Slug == a.Slug && (b.Client == "" || b.Client == a.Client) {
			b.Over = true
		}
	}
}

// each iterates over all attempts.
func (l *Log) each() iter.Seq[*Attempt] {
	return func(yield func(*Attempt) bool) {
		for _, a := range l.all {
			if !yield(a) {
				return
			}
		}
		for _, a := range l.grants {
			if !yield(a) {
				return
			}
		}
	}
}

// watch starts to follow the calls of a grant.
func (l *Log) watch(a *Attempt) {
	if l.grants == nil {
		l.grants = make(map[string]*Attempt)
	}
	if len(l.grants) >= maxWatched {
		var oldest *Attempt
		for _, b := range l.grants {
			if oldest == nil || b.Last.Before(oldest.Last) {
				oldest = b
			}
		}
		delete(l.grants, oldest.Grant)
	}
	l.grants[a.Grant] = a
	l.watched.Store(int64(len(l.grants)))
}

func (l *Log) save(a *Attempt) {
	if l.Save == nil {
		return
	}
	if record, err := json.Marshal(a); err == nil {
		l.Save(a.Grant, record, a.Done())
	}
}

// Forget removes the attempt of a grant that has ended.
func (l *Log) Forget(grant string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.grants, grant)
	l.watched.Store(int64(len(l.grants)))
}

func (l *Log) expire(now time.Time) {
	l.all = slices.DeleteFunc(l.all, func(a *Attempt) bool { return now.Sub(a.Last) > keepFor })
}

// makeRoom drops attempts, but never kept, which was just added.
func (l *Log) makeRoom(kept *Attempt) {
	strangers, own, fromOne := 0, 0, 0
	for _, a := range l.all {
		switch {
		case a.own:
			own++
		default:
			strangers++
			if a.from == kept.from {
				fromOne++
			}
		}
	}
	drop := func(fits func(*Attempt) bool) {
		if i := slices.IndexFunc(l.all, func(a *Attempt) bool { return a != kept && fits(a) }); i >= 0 {
			l.all = slices.Delete(l.all, i, i+1)
		}
	}
	switch {
	case own > maxOwn:
		drop(func(a *Attempt) bool { return a.own })
	case !kept.own && fromOne > maxFromOne:
		drop(func(a *Attempt) bool { return !a.own && a.from == kept.from })
	case strangers > maxStrangers:
		drop(func(a *Attempt) bool { return !a.own })
	}
}

// Unfinished lists the attempts that have not led to a tool call, newest
// first.
func (l *Log) Unfinished() []Attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire(l.now())
	all := make([]Attempt, 0, len(l.all)+len(l.grants))
	add := func(a *Attempt) {
		b := *a
		b.Events = slices.Clone(a.Events)
		all = append(all, b)
	}
	for a := range l.each() {
		add(a)
	}
	slices.SortStableFunc(all, func(a, b Attempt) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(b.ID, a.ID))
	})
	return all
}
