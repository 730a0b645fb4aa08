package trial

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestSlowIsNotOdd: a server may use all the time that a trial has. What it
// does not manage is said to be slow and nothing else.
func TestSlowIsNotOdd(t *testing.T) {
	for _, opts := range []shimtest.Options{{}, {Stateless: true}, {JSON: true}, {LegacySSE: true}} {
		for _, tt := range []struct {
			limit      time.Duration
			twentieths time.Duration // of it, for one answer
			want       Outcome
		}{{6 * time.Second, 3, OK}, {time.Second, 8, ""}, {time.Second, 40, Unreachable}} {
			t.Run(fmt.Sprintf("%+v/%d", opts, tt.twentieths), func(t *testing.T) {
				t.Parallel()
				u := shimtest.NewUpstream(t, opts)
				u.Break(late(tt.twentieths * tt.limit / 20))
				k := newTester(t)
				k.Limit = tt.limit
				v := k.Try(t.Context(), *target(t, u, endpoint.DefaultHeader))
				switch {
				case tt.want != "" && v.Outcome != tt.want, v.Outcome != OK && v.Outcome != Unproven && v.Outcome != Unreachable:
					t.Errorf("got %+v, want %s", v, tt.want)
				case v.Outcome == Unreachable && v.Words != explain(context.DeadlineExceeded):
					t.Errorf("the words are %q", v.Words)
				}
			})
		}
	}
}

// A limiter answers 429 to what comes too fast: after some requests at once, one
// each pause.
type limiter struct {
	burst int
	pause time.Duration
	after func(time.Time) string // the Retry-After of a time

	mu      sync.Mutex
	next    time.Time
	refused int
}

func (l *limiter) fault(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodPost {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if from := now.Add(-time.Duration(l.burst-1) * l.pause); l.next.Before(from) {
		l.next = from
	}
	if l.next.After(now) {
		l.refused++
		if l.after != nil {
			w.Header().Set("Retry-After", l.after(l.next))
		}
		return shimtest.Status(429, "slow down")(w, r)
	}
	l.next = l.next.Add(l.pause)
	return false
}

// TestTooManyRequests: a server that wants to be asked less often is asked once
// more when it says. If it took the key in initialize, that is enough.
func TestTooManyRequests(t *testing.T) {
	seconds := func(at time.Time) string { return strconv.Itoa(int(time.Until(at).Seconds()) + 1) }
	date := func(at time.Time) string { return at.Add(time.Second).UTC().Format(http.TimeFormat) }
	tests := []struct {
		name  string
		limit *limiter
		key   string
		want  Outcome
	}{
		{"one a second, three at once", &limiter{burst: 3, pause: time.Second, after: seconds}, shimtest.DefaultKey, OK},
		{"says nothing", &limiter{burst: 3, pause: time.Second}, shimtest.DefaultKey, OK},
		{"says it as a date", &limiter{burst: 2, pause: time.Second, after: date}, shimtest.DefaultKey, OK},
		{"one at once", &limiter{burst: 1, pause: time.Second / 2, after: seconds}, shimtest.DefaultKey, OK},
		{"two an hour", &limiter{burst: 2, pause: time.Hour, after: seconds}, shimtest.DefaultKey, OK},
		{"one an hour", &limiter{burst: 1, pause: time.Hour, after: seconds}, shimtest.DefaultKey, Unproven},
		{"wrong key", &limiter{burst: 1, pause: time.Second, after: seconds}, "wrong-key-000", Rejected},
		{"none", &limiter{burst: 0, pause: time.Hour, after: seconds}, shimtest.DefaultKey, Busy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := shimtest.NewUpstream(t, shimtest.Options{})
			u.Break(tt.limit.fault)
			tg := target(t, u, endpoint.DefaultHeader)
			tg.Key = endpoint.NewSecret(tt.key)
			v := newTester(t).Try(t.Context(), *tg)
			if v.Outcome != tt.want {
				t.Errorf("got %+v, want %s", v, tt.want)
			}
			if n := tt.limit.refused; n > 4 {
				t.Errorf("%d requests came too soon", n)
			}
		})
	}
}
