package limits

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
)

func TestSendersDoNotShare(t *testing.T) {
	l := New(rate.Every(time.Hour), 2, 10)
	for i := range 2 {
		if !l.Allow("a") {
			t.Fatalf("request %d of a was refused", i)
		}
	}
	if l.Allow("a") {
		t.Error("a third request of a was let through")
	}
	if !l.Allow("b") {
		t.Error("requests of a count against b")
	}
}

func TestUnknownSendersShare(t *testing.T) {
	l := New(rate.Every(time.Hour), 1, 10)
	n := 0
	for l.Allow(Unknown) {
		n++
	}
	if n != 10 {
		t.Errorf("unknown senders got %d requests, want 10 together", n)
	}
}

// TestBounded: above the bound, new senders share a bucket. Known senders keep
// their own.
func TestBounded(t *testing.T) {
	l := New(rate.Every(time.Hour), 1, 10)
	for i := range maxSenders {
		if !l.Allow(fmt.Sprint("sender ", i)) {
			t.Fatalf("sender %d was refused its first request", i)
		}
	}
	n := 0
	for i := range 100 {
		if l.Allow(fmt.Sprint("late ", i)) {
			n++
		}
	}
	if n != 10 {
		t.Errorf("%d late senders got through, want the 10 of the shared bucket", n)
	}
	if len(l.senders) > maxSenders {
		t.Errorf("%d senders are remembered, at most %d", len(l.senders), maxSenders)
	}
}

// TestStrangerAmongUnknown: where senders are unknown, a stranger who sends 25
// requests a second for an hour makes no one's sign-in fail, and one who sends
// without end is refused.
func TestStrangerAmongUnknown(t *testing.T) {
	for name, of := range map[string]func(Public) *Limiter{
		"registrations":  func(p Public) *Limiter { return p.Register },
		"authorizations": func(p Public) *Limiter { return p.Authorize },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := of(NewPublic())
				for second := range 3600 {
					for range 25 {
						l.Allow(Unknown)
						time.Sleep(time.Second / 25)
					}
					if !l.Allow(Unknown) {
						t.Fatalf("refused after %d seconds", second)
					}
				}
				refused := false
				for range 100_000 {
					refused = refused || !l.Allow(Unknown)
				}
				if !refused {
					t.Error("a flood was not refused")
				}
			})
		})
	}
}
