// Package roll knows which apps are connected to which server, in memory: how many
// each has, the order they came in, and when they were last used. There may be a
// hundred thousand, and a page of twenty must not cost more for it.
//
// The truth is in the state file. It is read once, when it is first asked for.
// From then on each change of the file is reported, after each change and in the
// order of the changes.
package roll

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// An Entry is a connected app. Its bytes are good only until the function that
// got it returns.
type Entry struct {
	ID, Slug          []byte
	Created, LastUsed time.Time // LastUsed is zero if never
}

// A Roll is safe for concurrent use. Make one with New.
type Roll struct {
	read func(fn func(Entry)) error

	building sync.Mutex // taken before mu
	mu       sync.Mutex
	book     *book // nil until it is read
	// What changes while it is read may be in what was read or not. So it is done
	// again, which changes nothing where it is.
	reading bool
	log     []func(*book)
	stale   bool // what is being read is no good
}

// New returns the roll of a file that read reads.
func New(read func(fn func(Entry)) error) *Roll { return &Roll{read: read} }

// Put says that an app was connected, or has changed.
func (r *Roll) Put(id, slug string, created, used time.Time) {
	r.change(func(b *book) { b.put(id, slug, nanos(created), nanos(used)) })
}

// Used says when apps were used.
func (r *Roll) Used(at map[string]time.Time) {
	if len(at) == 0 {
		return
	}
	at = maps.Clone(at)
	r.change(func(b *book) {
		for id, t := range at {
			b.use(id, nanos(t))
		}
	})
}

// Drop says that an app is connected no more.
func (r *Roll) Drop(id string) { r.change(func(b *book) { b.drop(id) }) }

// Reset says that something has changed that only the file knows.
func (r *Roll) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.book, r.stale = nil, true
}

func (r *Roll) change(f func(*book)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reading {
		r.log = append(r.log, f)
	}
	if r.book != nil {
		f(r.book)
	}
}

func (r *Roll) view(f func(*book)) error {
	for {
		r.mu.Lock()
		if r.book != nil {
			defer r.mu.Unlock()
			f(r.book)
			return nil
		}
		r.mu.Unlock()
		if err := r.build(); err != nil {
			return err
		}
	}
}

// build reads the file, unless someone else just did.
func (r *Roll) build() error {
	r.building.Lock()
	defer r.building.Unlock()
	r.mu.Lock()
	done := r.book != nil
	r.reading, r.log, r.stale = !done, nil, false
	r.mu.Unlock()
	if done {
		return nil
	}
	b := &book{apps: make(map[string]*app), servers: make(map[string]*server)}
	err := r.read(func(e Entry) { b.add(e) })
	b.sort()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.log {
		f(b)
	}
	if r.reading, r.log = false, nil; err == nil && !r.stale {
		r.book = b
	}
	return err
}

// Server says how many apps a server has, and when one of them was last used.
func (r *Roll) Server(slug string) (apps int, used time.Time, err error) {
	err = r.view(func(b *book) {
		if s := b.servers[slug]; s != nil {
			apps, used = len(s.apps), moment(s.used)
		}
	})
	return apps, used, err
}

// Newest lists the apps of a server, the newest first: n of them after the first
// skip ones.
func (r *Roll) Newest(slug string, skip, n int) (ids []string, err error) {
	err = r.view(func(b *book) {
		if s := b.servers[slug]; s != nil && skip >= 0 {
			end := max(0, len(s.apps)-skip)
			ids = idsOf(s.apps[max(0, end-n):end])
			slices.Reverse(ids)
		}
	})
	return ids, err
}

// Oldest lists the apps of a server, or of all for "", the oldest first: n of them
// after the first skip ones.
func (r *Roll) Oldest(slug string, skip, n int) (ids []string, err error) {
	err = r.view(func(b *book) {
		var apps []*app
		if s := b.servers[slug]; s != nil {
			apps = s.apps
		} else if slug == "" {
			apps = slices.SortedFunc(maps.Values(b.apps), byAge)
		}
		from := min(max(0, skip), len(apps))
		ids = idsOf(apps[from : from+min(n, len(apps)-from)])
	})
	return ids, err
}

// Since lists the apps that were connected to a server since a moment, the newest
// first, and n at most.
func (r *Roll) Since(slug string, since time.Time, n int) (ids []string, err error) {
	err = r.view(func(b *book) {
		if s := b.servers[slug]; s != nil {
			for i := len(s.apps) - 1; i >= 0 && len(ids) < n && s.apps[i].created >= nanos(since); i-- {
				ids = append(ids, s.apps[i].id)
			}
		}
	})
	return ids, err
}

// Recent lists the n apps of all that were used last, or connected, the last
// first.
func (r *Roll) Recent(n int) (ids []string, err error) {
	err = r.view(func(b *book) { ids = idsOf(b.recent(n)) })
	return ids, err
}

// First is the oldest of the apps that have been used, or else of all, or "".
func (r *Roll) First() (id string, err error) {
	err = r.view(func(b *book) {
		if a := b.oldest(); a != nil {
			id = a.id
		}
	})
	return id, err
}

func idsOf(apps []*app) (ids []string) {
	for _, a := range apps {
		ids = append(ids, a.id)
	}
	return ids
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}
