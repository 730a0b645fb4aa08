// Package activity remembers the calls that were made: who called what, when,
// how long it took and how it ended. It never sees what was sent or answered.
// It lives in memory alone; package vault keeps what outlives the program.
package activity

import (
	"slices"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/display"
)

// What is kept: the last Keep calls, and none that is older than MaxAge.
const (
	Keep   = 10_000
	MaxAge = 30 * 24 * time.Hour
)

// maxWord bounds, in bytes, each text of a call. They are a client's own words,
// and nobody's tool has a longer name.
const maxWord = 128

// A Call is one call that is over.
type Call struct {
	Time   time.Time `json:"time"` // of its end, so that new calls are the newest ones
	Slug   string    `json:"slug"`
	Grant  string    `json:"grant"`
	Client string    `json:"client"` // as it called itself when it was approved
	Method string    `json:"method"` // of JSON-RPC, else of HTTP
	Tool   string    `json:"tool"`   // "" unless a tool was called
	Status int       `json:"status"` // see proxy.Outcome
	MS     int64     `json:"ms"`
}

// A Log holds the last calls. Its zero value is an empty one, and it is safe
// for concurrent use.
type Log struct {
	Now func() time.Time // nil means time.Now

	mu    sync.Mutex
	calls []Call // a ring, once it holds Keep calls
	first int    // of calls, the one that was added first
	added uint64 // how many were ever added
	last  time.Time
	wake  chan struct{} // closed at the next call; nil while nobody waits
}

// Load puts calls of former runs into an empty log, the oldest first. The slice
// is the log's from then on.
func (l *Log) Load(calls []Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = calls[max(0, len(calls)-Keep):]
	l.added = uint64(len(l.calls))
	if n := len(l.calls); n > 0 {
		l.last = l.calls[n-1].Time
	}
}

// Add adds a call that ended now and returns it as it was added. It waits for
// nothing but a moment's lock.
func (l *Log) Add(c Call) Call {
	c.Client, c.Method, c.Tool = clean(c.Client), clean(c.Method), clean(c.Tool)
	c.MS = max(c.MS, 0)
	l.mu.Lock()
	defer l.mu.Unlock()
	c.Time = l.now()
	// No two calls have the same time, or a page that ends between them would
	// lose one. A clock that was set back is believed.
	if d := l.last.Sub(c.Time); 0 <= d && d < time.Second {
		c.Time = l.last.Add(1)
	}
	l.last = c.Time
	if len(l.calls) < Keep {
		l.calls = append(l.calls, c)
	} else {
		l.calls[l.first] = c
		l.first = (l.first + 1) % Keep
	}
	l.added++
	if l.wake != nil {
		close(l.wake)
		l.wake = nil
	}
	return c
}

func (l *Log) now() time.Time {
	if l.Now != nil {
		return l.Now().UTC().Round(0)
	}
	return time.Now().UTC().Round(0)
}

// A Query says which calls are wanted. Its zero value wants all.
type Query struct {
	Slug, Grant string
	Before      time.Time        // only calls before it; zero means up to now
	Limit       int              // at most so many; 0 means no limit
	Match       func(*Call) bool // nil matches all
}

// Query returns the calls that are wanted, the newest first, and whether there
// are more before them.
func (l *Log) Query(q Query) (found []Call, more bool) {
	found = l.pick(&q)
	// Where the clock was set back, calls are not in the order of their times.
	newestFirst := func(a, b Call) int { return b.Time.Compare(a.Time) }
	if !slices.IsSortedFunc(found, newestFirst) {
		slices.SortStableFunc(found, newestFirst)
	}
	if q.Match != nil {
		n := 0
		for i := range found {
			if n > q.Limit && q.Limit > 0 {
				break
			}
			if q.Match(&found[i]) {
				found[n] = found[i]
				n++
			}
		}
		found = found[:n]
	}
	if q.Limit > 0 && len(found) > q.Limit {
		return found[:q.Limit], true
	}
	return found, false
}

// pick copies the calls that q's cheap conditions let through: callers of Add
// wait meanwhile.
func (l *Log) pick(q *Query) []Call {
	found := []Call{}
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := l.now().Add(-MaxAge)
	for i := range l.calls {
		c := l.at(len(l.calls) - 1 - i)
		if (q.Slug == "" || c.Slug == q.Slug) && (q.Grant == "" || c.Grant == q.Grant) &&
			(q.Before.IsZero() || c.Time.Before(q.Before)) && !c.Time.Before(oldest) {
			found = append(found, *c)
		}
	}
	return found
}

// at returns the call that was added as number i of those that are held. The
// caller holds mu.
func (l *Log) at(i int) *Call { return &l.calls[(l.first+i)%len(l.calls)] }

// End is the present end of the log, for Since.
func (l *Log) End() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.added
}

// Since returns the calls that were added after end, the oldest first, the new
// end, and a channel that is closed when there is more. Who comes back too
// late finds the last Keep calls.
func (l *Log) Since(end uint64) (calls []Call, next uint64, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := int(min(l.added-min(end, l.added), uint64(len(l.calls))))
	for i := len(l.calls) - n; i < len(l.calls); i++ {
		calls = append(calls, *l.at(i))
	}
	if l.wake == nil {
		l.wake = make(chan struct{})
	}
	return calls, l.added, l.wake
}

// clean makes a client's word one that can be kept and shown.
func clean(s string) string { return display.Bounded(s, maxWord, maxWord) }
