package roll

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// A file is the truth that a roll is about.
type file struct {
	writing sync.Mutex
	mu      sync.Mutex
	apps    map[string]Entry
	during  func() // called while it is being read
}

func (f *file) read(fn func(Entry)) error {
	f.mu.Lock()
	all := make([]Entry, 0, len(f.apps))
	for _, e := range f.apps {
		all = append(all, e)
	}
	f.mu.Unlock()
	for i, e := range all {
		if i == len(all)/2 && f.during != nil {
			f.during()
		}
		fn(e)
	}
	return nil
}

// change changes the file, and after that the roll, as transactions do.
func (f *file) change(r *Roll, rnd *rand.Rand) {
	f.writing.Lock()
	defer f.writing.Unlock()
	id := fmt.Sprintf("app%02d", rnd.IntN(60))
	slug := fmt.Sprintf("server%d", rnd.IntN(4))
	at := time.Unix(1_800_000_000+rnd.Int64N(30), 0)
	f.mu.Lock()
	e, there := f.apps[id]
	switch n := rnd.IntN(10); {
	case !there:
		e = Entry{ID: []byte(id), Slug: []byte(slug), Created: at}
		f.apps[id] = e
		f.mu.Unlock()
		r.Put(id, slug, at, time.Time{})
	case n < 4:
		if at.After(e.LastUsed) {
			e.LastUsed = at
		}
		f.apps[id] = e
		f.mu.Unlock()
		r.Used(map[string]time.Time{id: at, "nobody": at})
	case n < 5:
		e.Created = at
		f.apps[id] = e
		f.mu.Unlock()
		r.Put(id, string(e.Slug), at, time.Time{})
	case n < 9:
		delete(f.apps, id)
		f.mu.Unlock()
		r.Drop(id)
	default:
		for id, e := range f.apps {
			if string(e.Slug) == slug {
				delete(f.apps, id)
			}
		}
		f.mu.Unlock()
		r.Reset()
	}
}

// check holds everything that a roll says to what the file has.
func (f *file) check(t *testing.T, r *Roll) {
	t.Helper()
	var all []Entry
	for _, e := range f.apps {
		all = append(all, e)
	}
	ids := func(order func(a, b Entry) int, keep func(Entry) bool, n int) (ids []string) {
		some := slices.DeleteFunc(slices.Clone(all), func(e Entry) bool { return !keep(e) })
		slices.SortFunc(some, order)
		for _, e := range some[:min(n, len(some))] {
			ids = append(ids, string(e.ID))
		}
		return ids
	}
	id := func(a, b Entry) int { return cmp.Compare(string(a.ID), string(b.ID)) }
	newest := func(a, b Entry) int { return cmp.Or(b.Created.Compare(a.Created), id(a, b)) }
	used := func(e Entry) time.Time {
		if e.LastUsed.IsZero() {
			return e.Created
		}
		return e.LastUsed
	}
	equal := func(what string, got []string, err error, want []string) {
		t.Helper()
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%s: %v, %v, want %v", what, got, err, want)
		}
	}
	for i := range 5 {
		slug := fmt.Sprintf("server%d", i)
		of := func(e Entry) bool { return string(e.Slug) == slug }
		want := ids(newest, of, len(all))
		var last time.Time
		for _, e := range all {
			if of(e) && e.LastUsed.After(last) {
				last = e.LastUsed
			}
		}
		if n, at, err := r.Server(slug); err != nil || n != len(want) || !at.Equal(last) {
			t.Fatalf("%s has %d apps, used %v, %v, want %d and %v", slug, n, at, err, len(want), last)
		}
		got, err := r.Newest(slug, 3, 5)
		equal("the newest", got, err, want[min(3, len(want)):min(8, len(want))])
		since := time.Unix(1_800_000_015, 0)
		got, err = r.Since(slug, since, 4)
		equal("since", got, err, ids(newest, func(e Entry) bool { return of(e) && !e.Created.Before(since) }, 4))
		slices.Reverse(want)
		got, err = r.Oldest(slug, 2, 4)
		equal("the oldest", got, err, want[min(2, len(want)):min(6, len(want))])
	}
	every := func(Entry) bool { return true }
	want := ids(newest, every, len(all))
	slices.Reverse(want)
	got, err := r.Oldest("", 0, 1<<62)
	equal("all", got, err, want)
	got, err = r.Recent(7)
	equal("recent", got, err, ids(func(a, b Entry) int { return cmp.Or(used(b).Compare(used(a)), id(a, b)) }, every, 7))
	first := ids(func(a, b Entry) int {
		if a.LastUsed.IsZero() != b.LastUsed.IsZero() {
			return map[bool]int{true: 1, false: -1}[a.LastUsed.IsZero()]
		}
		return cmp.Or(a.Created.Compare(b.Created), id(a, b))
	}, every, 1)
	one, err := r.First()
	if len(first) == 0 {
		first = []string{""}
	}
	equal("the first", []string{one}, err, first)
}

// TestRoll: after any change, the roll says what counting again would, also when
// it changes while the file is read.
func TestRoll(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		f := &file{apps: make(map[string]Entry)}
		r := New(f.read)
		for range rnd.IntN(100) {
			f.change(r, rnd)
		}
		f.during = func() {
			f.during = nil // if it must be read once more
			for range 5 {
				f.change(r, rnd)
			}
		}
		if _, err := r.First(); err != nil {
			t.Fatal(err)
		}
		for range 40 {
			for range 1 + rnd.IntN(4) {
				f.change(r, rnd)
			}
			f.check(t, r)
		}
	}
}

// TestRollTogether: many may change it and ask at the same time.
func TestRollTogether(t *testing.T) {
	f := &file{apps: make(map[string]Entry)}
	r := New(f.read)
	var all sync.WaitGroup
	for i := range uint64(4) {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(i, 1))
			for range 500 {
				f.change(r, rnd)
			}
		})
		all.Go(func() {
			for range 200 {
				if _, err := r.Recent(5); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	f.check(t, r)
}

// TestUnreadable: a file that cannot be read is tried again.
func TestUnreadable(t *testing.T) {
	broken := fmt.Errorf("broken")
	r := New(func(fn func(Entry)) error {
		err := broken
		broken = nil
		return err
	})
	if _, _, err := r.Server("s"); err == nil {
		t.Error("no error")
	}
	if n, _, err := r.Server("s"); err != nil || n != 0 {
		t.Errorf("then %d, %v", n, err)
	}
}
