package ledger

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/activity"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// A backlog holds last-used times, calls and timelines that are not on disk yet.
type backlog struct {
	flushing sync.Mutex // one write at a time

	mu        sync.Mutex
	used      map[string]time.Time // by grant
	calls     []activity.Call
	timelines map[string]timeline // by grant
	// writing are the timelines that a write has taken and not committed yet.
	writing map[string]timeline
	batch   int         // how many calls the last write had
	timer   *time.Timer // nil while no write is due or under way
}

// touchEvery is how long last-used times and calls are gathered before one
// write.
const touchEvery = time.Second

// overlay puts a pending last-used time into g.
func (t *backlog) overlay(g oauth.Grant) oauth.Grant {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, ok := t.used[g.ID]; ok && at.After(g.LastUsed) {
		g.LastUsed = at
	}
	return g
}

// take returns what is pending.
func (t *backlog) take() (used map[string]time.Time, calls []activity.Call, lines map[string]timeline) {
	t.mu.Lock()
	defer t.mu.Unlock()
	used, calls, lines = t.used, t.calls, t.timelines
	t.used, t.calls, t.timelines, t.writing, t.batch = nil, nil, nil, lines, len(calls)
	return used, calls, lines
}

// arm makes sure that what is pending is written soon. The caller holds
// backlog.mu.
func (l *Ledger) arm() {
	if l.backlog.timer == nil {
		l.backlog.timer = time.AfterFunc(touchEvery, l.Flush)
	}
}

// TouchGrants implements oauth.Store. It never waits: the times of grants and
// of their endpoints are written together, at most once a second.
func (l *Ledger) TouchGrants(used map[string]time.Time) error {
	t := &l.backlog
	l.Roll.Used(used)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.used == nil {
		t.used = make(map[string]time.Time, len(used))
	}
	for id, at := range used {
		if at.After(t.used[id]) {
			t.used[id] = at
		}
	}
	l.arm()
	return nil
}

// Flush writes what is pending. It runs a second after the first item, and is
// called for rare items that must survive a power cut. Nothing depends on these
// records, so what cannot be written is lost. While a slow disk delays one write,
// no other begins.
func (l *Ledger) Flush() {
	l.backlog.flushing.Lock()
	defer l.backlog.flushing.Unlock()
	used, calls, lines := l.backlog.take()
	if len(used) > 0 || len(calls) > 0 || len(lines) > 0 {
		err := l.cfg.Write(func(t *statefile.Tx) error {
			if err := saveTimelines(t.Tx, lines); err != nil {
				return err
			}
			if err := l.saveUsed(t, used); err != nil {
				return err
			}
			return saveCalls(t.Tx, calls, l.cfg.Now())
		})
		if err != nil && !errors.Is(err, statefile.ErrClosed) {
			l.cfg.Log.Warn("last-used times and activity were not saved", "calls", len(calls), "err", err)
		}
	}
	l.backlog.mu.Lock()
	defer l.backlog.mu.Unlock()
	l.backlog.timer = nil
	l.backlog.writing = nil
	if len(l.backlog.used) > 0 || len(l.backlog.calls) > 0 || len(l.backlog.timelines) > 0 {
		l.arm()
	}
}

func (l *Ledger) saveUsed(t *statefile.Tx, used map[string]time.Time) error {
	t.Then(func() { l.Roll.Used(used) }) // which may be being read
	latest := make(map[string]time.Time)
	for id, at := range used {
		r, ok, err := records.Get[grantRecord](t.Tx, bucketGrants, id)
		if err != nil {
			l.cfg.Damaged(err) // the others are saved
			continue
		}
		if !ok || !at.After(r.LastUsed) {
			continue
		}
		r.LastUsed = at.UTC()
		if err := records.Put(t.Tx, bucketGrants, id, r); err != nil {
			return err
		}
		if at.After(latest[r.Slug]) {
			latest[r.Slug] = r.LastUsed
		}
	}
	for _, slug := range slices.Sorted(maps.Keys(latest)) {
		if err := l.cfg.Used(t, slug, latest[slug]); err != nil {
			return err
		}
	}
	return nil
}
