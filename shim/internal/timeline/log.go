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
)

// What is kept of attempts that made no grant. Strangers have a room of their
// own, and each of them a corner of it, so that no flood pushes out an attempt
// that the owner has seen.
const (
	maxStrangers = 200
	maxFromOne   = 20
	maxOwn       = 100
	maxWatched   = 1000 // grants that have not used a tool yet
	keepFor      = 24 * time.Hour
)

// How far apart the steps of one attempt may be.
const (
	soon    = 2 * time.Minute  // without a person
	patient = 15 * time.Minute // while a person is asked
)

// A Sight is one step as somebody saw it. What is not known is "".
type Sight struct {
	From  string // who sends, by address; "" on this computer
	Agent string // see Agent
	Via   string

	Step    Step
	Why     string // it was refused
	Status  int    // with which the upstream refused it
	Client  string // id
	Name    string // of the client
	Request string // id of the authorization request
	Host    string // that the answer goes to
	Grant   string
	Slug    string
}

// A Log holds attempts. Its zero value is empty, and it is safe for concurrent
// use.
type Log struct {
	Now func() time.Time // nil means time.Now
	// Save keeps the attempt that led to a grant; done means that this was the
	// last of it. It must not wait, and may be nil.
	Save func(grant string, record []byte, done bool)
	// Changed is told after each change but a mere look, which strangers take
	// all the time. It must not wait, and may be nil.
	Changed func()

	watched atomic.Int64 // grants that are watched

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

// Load takes over what was saved of a grant. It reports false if that is not to
// be gone on with: the grant has used a tool, or the record is none.
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

// Parse reads a record that was saved.
func Parse(record []byte) (a Attempt, ok bool) {
	return a, json.Unmarshal(record, &a) == nil && len(a.Events) <= maxEvents
}

// Watches reports whether calls of a grant are still of interest. A call waits
// for the answer, which costs next to nothing once all grants have used a tool.
func (l *Log) Watches(grant string) bool {
	if l.watched.Load() == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.grants[grant] != nil
}

// Note adds a step to the attempt that it belongs to, or begins one.
func (l *Log) Note(s Sight) {
	if !l.note(s) {
		return
	}
	if l.Changed != nil && s.Step != Found {
		l.Changed()
	}
}

func (l *Log) note(s Sight) (changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now().UTC()
	l.expire(now)
	a := l.find(&s, now)
	if a == nil {
		if order[s.Step] > order[Asked] && s.Client == "" && s.Grant == "" {
			return false // of a request that is not remembered any more
		}
		a = l.begin(&s, now)
	}
	a.know(&s)
	a.note(s.Step, s.Why, s.Status, now)
	a.Over = false // it goes on
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

// know adds what s tells of a.
func (a *Attempt) know(s *Sight) {
	a.Client = cmp.Or(clip(s.Name, maxName), a.Client)
	a.Slug, a.Host = cmp.Or(s.Slug, a.Slug), cmp.Or(clip(s.Host, maxHost), a.Host)
	if s.Step != Asked { // which a browser sends
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

// remember keeps the last few of something.
func remember[T comparable](all []T, x T) []T {
	if slices.Contains(all, x) {
		return all
	}
	if len(all) >= 8 {
		all = slices.Delete(all, 0, 1)
	}
	return append(all, x)
}

func (l *Log) begin(s *Sight, now time.Time) *Attempt {
	l.last++
	a := &Attempt{ID: l.last, Via: s.Via, Began: now, from: s.From, own: s.Via == Local}
	l.all = append(l.all, a)
	return a
}

// find looks for the attempt that s belongs to: by the surest thing that s
// says.
func (l *Log) find(s *Sight, now time.Time) *Attempt {
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
		// An app that registers each time alike has one id for all servers.
		a := l.newest(func(a *Attempt) bool {
			return slices.Contains(a.clients, id) && recent(a, patient) && a.mayBeFor(s.Slug) && (s.Step != Refreshed || a.has(Refreshed))
		})
		if a != nil {
			return a
		}
	}
	switch s.Step {
	case Asked:
		// A client that needs no registration has not told its id before.
		return l.newest(func(a *Attempt) bool {
			return s.Slug != "" && a.Slug == s.Slug && len(a.clients) == 0 && a.Via == s.Via && recent(a, soon)
		})
	case Found, Registered, Token:
		a := l.bySender(s, func(a *Attempt) bool {
			// Who registers after a browser came begins again.
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

// mayBeFor reports whether nothing speaks against a's being for this server.
func (a *Attempt) mayBeFor(slug string) bool { return a.Slug == "" || slug == "" || a.Slug == slug }

// bySender finds the attempt of whoever sent s. Clients in a cloud come from
// several addresses, and those on this computer all from none.
func (l *Log) bySender(s *Sight, fits func(*Attempt) bool) *Attempt {
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

// connected finds the attempt that led to a grant and whose client looks again:
// many ask for metadata once more before their first call.
func (l *Log) connected(fits func(*Attempt) bool) *Attempt {
	for _, a := range l.grants {
		if fits(a) {
			return a
		}
	}
	return nil
}

// over marks what the app of a tried before.
func (l *Log) over(a *Attempt) {
	for b := range l.each() {
		if b != a && b.Slug == a.Slug && (b.Client == "" || b.Client == a.Client) {
			b.Over = true
		}
	}
}

// each is every attempt that is remembered.
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

// watch begins to follow the calls of a grant.
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

// Forget drops what is known of a grant that has ended.
func (l *Log) Forget(grant string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.grants, grant)
	l.watched.Store(int64(len(l.grants)))
}

func (l *Log) expire(now time.Time) {
	l.all = slices.DeleteFunc(l.all, func(a *Attempt) bool { return now.Sub(a.Last) > keepFor })
}

// makeRoom drops attempts, but never kept, which was added just now.
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

// Unfinished lists the attempts that have not led to a tool yet, the newest
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
