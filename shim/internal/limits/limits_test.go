package limits

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

func TestSendersDoNotShare(t *testing.T) {
	l := New(rate.Every(time.Hour), 2)
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
	l := New(rate.Every(time.Hour), 1)
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
	l := New(rate.Every(time.Hour), 1)
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
