package signin

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/limits"
)

// An asking is a set of visits whose requests stay open until they are replaced,
// and whose clock moves with each ask.
type asking struct {
	*visits
	t      *testing.T
	now    time.Time
	closed map[string]bool
}

func newAsking(t *testing.T) *asking {
	a := &asking{t: t, now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), closed: make(map[string]bool)}
	a.visits = newVisits(func() time.Time { return a.now }, func(id string) bool { return !a.closed[id] })
	return a
}

// asks makes a request wait, and returns which other one made room for it, or
// "refused", or "in line".
func (a *asking) asks(id, from string) string {
	a.t.Helper()
	if _, ok := a.get(id); !ok {
		a.add(id, visit{from: from})
	}
	t, err := a.ask(id)
	a.closed[t.replaced] = t.replaced != ""
	v, _ := a.get(id)
	switch {
	case errors.Is(err, errTooManyAsk):
		return "refused"
	case err != nil:
		a.t.Fatal(err)
	case v.number == 0:
		return "in line"
	case v.number < 10 || v.number > 99:
		a.t.Errorf("%s shows the number %d", id, v.number)
	}
	return t.moved
}

// TestAskPlaces: a place is kept by what the owner has opened and by pages that
// stayed open, others make room for newer ones, and one sender cannot take the
// places of others. A request is written as its sender and a number, with marks:
// "!" the owner has opened it, "#" the number was typed, "+" its page loaded
// again, "-" its page was not even loaded once, "~" its page loaded again ten
// minutes ago.
func TestAskPlaces(t *testing.T) {
	for _, tt := range []struct{ name, waiting, asks, want string }{
		{"there is room", "a1 b1 c1 d1", "e1", ""},
		{"the newest makes room", "a1 b1 c1 d1 e1", "f1", "e1"},
		{"the newest that was not loaded makes room", "a1 b1- c1 d1- e1", "f1", "d1"},
		{"what the owner has opened stays", "a1 b1 c1 d1 e1!", "f1", "d1"},
		{"what the owner has typed the number of stays", "a1 b1 c1 d1# e1#", "f1", "c1"},
		{"what stayed open stays", "a1 b1 c1+ d1+ e1+", "f1", "b1"},
		{"what stayed open long ago makes room", "a1+ b1~ c1+ d1+ e1+", "f1", "b1"},
		{"what was never loaded makes room before that", "a1- b1~ c1+ d1+ e1+", "f1", "a1"},
		{"all are opened or stayed open", "a1! b1! c1# d1+ e1+", "f1", "in line"},
		{"it waits already", "a1 b1 c1 d1 e1", "c1", ""},
		{"a sender has his share", "a1 a2 a3", "a4", "a3"},
		{"a sender has his share, and the newest is opened", "a1 a2 a3!", "a4", "a2"},
		{"a sender has his share, all stayed open", "a1+ a2+ a3+", "a4", "refused"},
		{"a sender has his share, all opened", "a1! a2! a3!", "a4", "refused"},
		{"a sender has his share, and is not alone", "b1 a1 a2 a3 c1", "a4", "a3"},
		{"who has the most gives one back", "b1+ c1+ a1+ a2+ a3+", "d1", "a3"},
		{"who has the most has all opened", "b1+ c1+ a1! a2! a3!", "d1", "in line"},
		{"two have the most", "b1+ a1+ a2+ b2+ c1+", "d1", "b2"},
		{"no one has more than another would leave", "b1+ a1+ a2+ b2+ c1+", "c2", "in line"},
		{"unknown senders share all places", "?1+ ?2+ ?3+ ?4+", "?5", ""},
		{"unknown senders, the newest makes room", "?1 ?2 ?3 ?4 ?5", "?6", "?5"},
		{"unknown senders, what is opened stays", "?1 ?2! ?3! ?4! ?5!", "?6", "?1"},
		{"unknown senders, what stayed open stays", "?1+ ?2+ ?3+ ?4+ ?5+", "?6", "in line"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAsking(t)
			from := func(id string) string { return strings.ReplaceAll(id[:1], "?", limits.Unknown) }
			for w := range strings.FieldsSeq(tt.waiting) {
				a.now = a.now.Add(time.Second)
				id := strings.TrimRight(w, "!#+-~")
				if moved := a.asks(id, from(id)); moved != "" {
					t.Fatalf("%s made %s move", id, moved)
				}
			}
			for w := range strings.FieldsSeq(tt.waiting) {
				id := strings.TrimRight(w, "!#+-~")
				if !strings.Contains(w, "-") {
					a.look(id)
				}
				a.change(id, func(v *visit) {
					v.viewed, v.told = strings.Contains(w, "!"), strings.Contains(w, "#")
					v.stayed = strings.ContainsAny(w, "+~")
					if strings.Contains(w, "~") {
						v.looked = v.looked.Add(-10 * time.Minute)
					}
				})
			}
			if got := a.asks(tt.asks, from(tt.asks)); got != tt.want {
				t.Errorf("%s after %s: %q made room, want %q", tt.asks, tt.waiting, got, tt.want)
			}
			if n := a.visits.waiting(); n > maxAsked {
				t.Errorf("%d have a place, at most %d may", n, maxAsked)
			}
		})
	}
}

// TestAskLine: a page in line gets the next place that is free, before requests
// that come later, and before pages that came into the line later. A page that
// was closed loses its place in the line. What has to make room keeps its number
// if it can.
func TestAskLine(t *testing.T) {
	a := newAsking(t)
	later := func(d time.Duration, ids ...string) {
		for a.now = a.now.Add(d); len(ids) > 0; ids = ids[1:] {
			a.look(ids[0])
		}
	}
	number := func(id string) int { v, _ := a.get(id); return v.number }
	held := strings.Fields("a1 b1 c1 d1 e1")
	for _, id := range held {
		a.asks(id, id[:1])
	}
	later(3*time.Second, held...)
	for _, id := range []string{"f1", "g1", "h1"} {
		if got := a.asks(id, id[:1]); got != "in line" {
			t.Fatalf("%s: %q, want it in line", id, got)
		}
		later(time.Second, id)
	}
	later(3*time.Second, "h1", "g1", "f1")
	a.closed["a1"] = true
	if got := a.asks("i1", "i"); got != "in line" {
		t.Errorf("one that came later: %q, want it in line behind those whose pages are open", got)
	}
	later(3*time.Second, "h1", "g1")
	if number("h1") != 0 || number("g1") != 0 {
		t.Error("a page that came into the line later got the place")
	}
	later(0, "f1")
	if number("f1") == 0 {
		t.Error("the first in line did not get the place that is free")
	}
	a.closed["b1"] = true
	later(looking, "h1") // the page of g1 was closed
	if number("h1") == 0 {
		t.Error("a page that was closed holds up the line")
	}

	a = newAsking(t)
	for _, id := range held {
		a.asks(id, id[:1])
	}
	later(0, held...)
	was := number("e1")
	a.asks("f1", "f")
	if number("e1") != 0 {
		t.Fatal("e1 did not make room")
	}
	later(0, "f1", "e1")
	if number("e1") != 0 {
		t.Error("two make room for each other")
	}
	later(3*time.Second, "e1")
	if got := number("e1"); got != was && number("f1") != was {
		t.Errorf("shows %d after it had to make room, want %d as before", got, was)
	}
}
