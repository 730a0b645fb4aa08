// Package order keeps ids by time: the newest few, or all of them in little
// memory. There may be a hundred thousand connected apps, and a page of twenty
// must not cost more for it.
package order

import (
	"bytes"
	"cmp"
	"slices"
	"time"
)

// Most is how many ids a Newest keeps.
const Most = 20

// A Newest keeps the ids with the latest times, the latest first.
type Newest []Entry

// An Entry is an id with its time.
type Entry struct {
	At time.Time
	ID string
}

// newer orders from the newest to the oldest, and at the same time from the
// lowest id to the highest, which is the order in which they are read.
func (a Entry) newer(b Entry) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.ID, b.ID)) }

// Add adds an id, and drops the oldest if there are too many.
func (r *Newest) Add(at time.Time, id []byte) {
	if len(*r) == Most {
		last := (*r)[Most-1]
		if c := at.Compare(last.At); c < 0 || c == 0 && string(id) > last.ID {
			return // without copying the id
		}
	}
	x := Entry{at, string(id)}
	i, _ := slices.BinarySearchFunc(*r, x, Entry.newer)
	if *r = slices.Insert(*r, i, x); len(*r) > Most {
		*r = (*r)[:Most]
	}
}

// A List is many ids. They lie in one piece of memory: a hundred thousand are no
// tens of megabytes.
type List struct {
	places []place
	ids    []byte
}

type place struct {
	at         int64 // in nanoseconds
	begin, end uint32
}

// Grow makes room for n ids.
func (l *List) Grow(n int) { l.places = slices.Grow(l.places, n) }

// Add adds an id. Sort must be called after the last.
func (l *List) Add(at time.Time, id []byte) {
	begin := uint32(len(l.ids))
	l.ids = append(l.ids, id...)
	l.places = append(l.places, place{at.UnixNano(), begin, uint32(len(l.ids))})
}

// Sort puts the oldest id first.
func (l *List) Sort() {
	slices.SortFunc(l.places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.at, b.at), bytes.Compare(l.ids[b.begin:b.end], l.ids[a.begin:a.end]))
	})
}

// Len is how many ids there are.
func (l *List) Len() int { return len(l.places) }

// ID is the i-th id.
func (l *List) ID(i int) string { return string(l.ids[l.places[i].begin:l.places[i].end]) }
