// Package activity remembers calls: who called what, when, how long it took
// and how it ended. It never sees what was sent or answered. It is in memory
// only; package vault stores what has to outlive the program.
package activity

import (
	"slices"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/display"
)

// The log keeps the last Keep calls, and none older than MaxAge.
const (
	Keep   = 10_000
	MaxAge = 30 * 24 * time.Hour
)

// maxWord bounds each text of a call, in bytes. Clients choose these texts,
// and no real tool has a longer name.
const maxWord = 128

// A Call is one finished call.
type Call struct {
	Time   time.Time `json:"time"` // of its end, which keeps new calls the newest
	Slug   string    `json:"slug"`
	Grant  string    `json:"grant"`
	Client string    `json:"client"` // the name it gave when it was approved
	App    string    `json:"app"`    // who it is, for people; it is not kept
	Method string    `json:"method"` // of JSON-RPC, else of HTTP
	Tool   string    `json:"tool"`   // "" unless a tool was called
	Status int       `json:"status"` // see proxy.Outcome
	MS     int64     `json:"ms"`
	Struck int       `json:"struck,omitempty"` // how often the answer held the key
	Note   string    `json:"note,omitempty"`   // what is strange about Method and Tool; see proxy.Outcome
}

// A Log holds the last calls. The zero value is empty. A Log is safe for
// concurrent use.
type Log struct {
	Now func() time.Time // nil means time.Now

	mu    sync.Mutex
	calls []Call // a ring, once it holds Keep calls
	first int    // index of the oldest call
	added uint64 // how many were ever added
	last  time.Time
	wake  chan struct{} // closed at the next call; nil while no one waits
}

// Load fills an empty log with calls of earlier runs, oldest first. The log
// owns the slice afterwards.
func (l *Log) Load(calls []Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = calls[max(0, len(calls)-Keep):]
	l.added = uint64(len(l.calls))
	if n := len(l.calls); n > 0 {
		l.last = l.calls[n-1].Time
	}
}

// Add adds a finished call and returns it as stored. It only waits for a short
// lock.
func (l *Log) Add(c Call) Call {
	c.Client, c.Method, c.Tool = clean(c.Client), clean(c.Method), clean(c.Tool)
	c.MS = max(c.MS, 0)
	l.mu.Lock()
	defer l.mu.Unlock()
	c.Time = l.now()
	// No two calls have the same time, or a page that ends between them would
	// lose one. If the clock was set back, the new time counts.
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

// A Query selects calls. The zero value selects all.
type Query struct {
	Slug, Grant string
	Before      time.Time        // only calls before it; zero means up to now
	Limit       int              // the maximum number; 0 means no limit
	Match       func(*Call) bool // nil matches all
}

// Query returns the selected calls, newest first, and whether there are older
// ones.
func (l *Log) Query(q Query) (found []Call, more bool) {
	found = l.pick(&q)
	// If the clock was set back, calls are not in the order of their times.
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

// pick copies the calls that pass q's cheap conditions, because callers of Add
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

// Struck returns how many of the calls got an answer that held the key, by slug.
func (l *Log) Struck() map[string]int {
	all := make(map[string]int)
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := l.now().Add(-MaxAge)
	for i := range l.calls {
		if c := &l.calls[i]; c.Struck > 0 && !c.Time.Before(oldest) {
			all[c.Slug]++
		}
	}
	return all
}

// at returns the i-th of the calls that are held, oldest first. The caller
// holds mu.
func (l *Log) at(i int) *Call { return &l.calls[(l.first+i)%len(l.calls)] }

// End returns the current end of the log, for Since.
func (l *Log) End() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.added
}

// Since returns the calls that were added after end, oldest first, the new
// end, and a channel that is closed when there are more. A caller that comes
// too late gets the last Keep calls.
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

// clean makes a client's text safe to keep and to show.
func clean(s string) string { return display.Bounded(s, maxWord, maxWord) }
