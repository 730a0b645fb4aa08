package roll

import (
	"cmp"
	"slices"
)

// A book is the roll itself. Times are in nanoseconds, and 0 is never.
type book struct {
	apps    map[string]*app
	servers map[string]*server

	first *app // the oldest of those that have been used, or else of all
	known bool // whether first is
}

type app struct {
	id            string
	server        *server
	created, used int64
}

type server struct {
	slug string
	apps []*app // the oldest first
	used int64
}

// byAge orders from the oldest to the newest, and at the same time from the
// highest id to the lowest: the other way round, ids are in the order of the
// file.
func byAge(a, b *app) int { return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(b.id, a.id)) }

// recently is when an app was used, or else connected.
func (a *app) recently() int64 { return cmp.Or(a.used, a.created) }

// before reports whether a is rather the first app than b.
func (a *app) before(b *app) bool {
	if (a.used > 0) != (b.used > 0) {
		return a.used > 0
	}
	return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.id, b.id)) < 0
}

// add adds an app that is not there yet. sort must be called after the last.
func (b *book) add(e Entry) {
	s := b.servers[string(e.Slug)]
	if s == nil {
		s = &server{slug: string(e.Slug)}
		b.servers[s.slug] = s
	}
	a := &app{id: string(e.ID), server: s, created: nanos(e.Created), used: nanos(e.LastUsed)}
	b.apps[a.id] = a
	s.apps = append(s.apps, a)
	s.used = max(s.used, a.used)
}

func (b *book) sort() {
	for _, s := range b.servers {
		slices.SortFunc(s.apps, byAge)
	}
}

// put adds an app, or changes it. What is on disk of its last use may be older
// than what is known.
func (b *book) put(id, slug string, created, used int64) {
	if a := b.apps[id]; a != nil {
		if a.server.slug == slug && a.created == created {
			b.use(id, used)
			return
		}
		used = max(used, a.used)
		b.drop(id)
	}
	s := b.servers[slug]
	if s == nil {
		s = &server{slug: slug}
		b.servers[slug] = s
	}
	a := &app{id: id, server: s, created: created}
	b.apps[id] = a
	at, _ := slices.BinarySearchFunc(s.apps, a, byAge)
	s.apps = slices.Insert(s.apps, at, a)
	b.mayBeFirst(a)
	b.use(id, used)
}

func (b *book) use(id string, at int64) {
	a := b.apps[id]
	if a == nil || at <= a.used {
		return
	}
	a.used = at
	a.server.used = max(a.server.used, at)
	b.mayBeFirst(a)
}

func (b *book) mayBeFirst(a *app) {
	if b.known && (b.first == nil || a.before(b.first)) {
		b.first = a
	}
}

func (b *book) drop(id string) {
	a := b.apps[id]
	if a == nil {
		return
	}
	delete(b.apps, id)
	if a == b.first {
		b.first, b.known = nil, false
	}
	s := a.server
	at, _ := slices.BinarySearchFunc(s.apps, a, byAge)
	s.apps = slices.Delete(s.apps, at, at+1)
	if len(s.apps) == 0 {
		delete(b.servers, s.slug)
	} else if a.used == s.used {
		s.used = 0
		for _, a := range s.apps {
			s.used = max(s.used, a.used)
		}
	}
}

// recent lists the n apps that were used last, or connected.
func (b *book) recent(n int) []*app {
	later := func(a, x *app) int { return cmp.Or(cmp.Compare(x.recently(), a.recently()), cmp.Compare(a.id, x.id)) }
	var last []*app
	for _, s := range b.servers {
		for _, a := range s.apps {
			if len(last) == n && later(a, last[n-1]) > 0 {
				continue
			}
			at, _ := slices.BinarySearchFunc(last, a, later)
			if last = slices.Insert(last, at, a); len(last) > n {
				last = last[:n]
			}
		}
	}
	return last
}

// oldest is the first app. It is looked for again only after that was dropped.
func (b *book) oldest() *app {
	if !b.known {
		for _, a := range b.apps {
			if b.first == nil || a.before(b.first) {
				b.first = a
			}
		}
		b.known = true
	}
	return b.first
}
