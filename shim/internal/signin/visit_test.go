package signin

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/limits"
)

// An asking is a set of visits whose requests stay open until they are pushed
// out, and whose clock moves with each ask.
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

// asks makes a request wait, and returns what it pushed out, or "refused".
func (a *asking) asks(id, from string) string {
	a.t.Helper()
	a.now = a.now.Add(time.Second)
	if _, ok := a.get(id); !ok {
		a.add(id, visit{from: from})
	}
	gone, err := a.ask(id)
	if errors.Is(err, errTooManyAsk) {
		return "refused"
	}
	if err != nil {
		a.t.Fatal(err)
	}
	a.closed[gone] = gone != ""
	if v, _ := a.get(id); v.number < 10 || v.number > 99 {
		a.t.Errorf("%s shows the number %d", id, v.number)
	}
	return gone
}

// TestAskPlaces: of the requests that wait for the owner, the oldest that was
// not opened makes room for a new one, and one sender cannot take the places of
// others. A request is written as its sender and a number, with "!" after it if
// the owner has opened it and "#" if the number was typed.
func TestAskPlaces(t *testing.T) {
	for _, tt := range []struct{ name, waiting, asks, want string }{
		{"there is room", "a1 b1 c1 d1", "e1", ""},
		{"the oldest goes", "a1 b1 c1 d1 e1", "f1", "a1"},
		{"what the owner has opened stays", "a1! b1! c1 d1 e1", "f1", "c1"},
		{"what the owner has typed the number of stays", "a1# b1 c1 d1 e1", "f1", "b1"},
		{"all are opened", "a1! b1! c1# d1! e1!", "f1", "refused"},
		{"it waits already", "a1 b1 c1 d1 e1", "c1", ""},
		{"a sender has his share", "a1 a2 a3", "a4", "a1"},
		{"a sender has his share, and the oldest is opened", "a1! a2 a3", "a4", "a2"},
		{"a sender has his share, all opened", "a1! a2! a3!", "a4", "refused"},
		{"a sender has his share, and is not alone", "b1 a1 a2 a3 c1", "a4", "a1"},
		{"who has the most gives one back", "b1 c1 a1 a2 a3", "d1", "a1"},
		{"who has the most has all opened", "b1 c1 a1! a2! a3!", "d1", "b1"},
		{"two have the most", "b1 b2 a1 a2 c1", "d1", "b1"},
		{"unknown senders share all places", "?1 ?2 ?3 ?4", "?5", ""},
		{"unknown senders, the oldest goes", "?1 ?2 ?3 ?4 ?5", "?6", "?1"},
		{"unknown senders, what is opened stays", "?1! ?2! ?3! ?4! ?5", "?6", "?5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAsking(t)
			from := func(id string) string { return strings.ReplaceAll(id[:1], "?", limits.Unknown) }
			for w := range strings.FieldsSeq(tt.waiting) {
				id := strings.TrimRight(w, "!#")
				if gone := a.asks(id, from(id)); gone != "" {
					t.Fatalf("%s pushed out %s", id, gone)
				}
				a.change(id, func(v *visit) { v.viewed, v.told = strings.Contains(w, "!"), strings.Contains(w, "#") })
			}
			if got := a.asks(tt.asks, from(tt.asks)); got != tt.want {
				t.Errorf("%s after %s pushed out %q, want %q", tt.asks, tt.waiting, got, tt.want)
			}
			if n := a.visits.waiting(); n > maxAsked {
				t.Errorf("%d wait, at most %d may", n, maxAsked)
			}
		})
	}
}

// TestAskFlood: a flood by one known sender pushes out nothing of anybody else.
func TestAskFlood(t *testing.T) {
	a := newAsking(t)
	a.asks("b1", "b")
	for i := range 100 {
		if gone := a.asks(fmt.Sprint("a", i), "a"); gone == "b1" || gone == "refused" {
			t.Fatalf("request %d of the flood: %q", i, gone)
		}
	}
	if gone := a.asks("c1", "c"); gone != "" {
		t.Errorf("another request pushed out %q though there is room", gone)
	}
}
