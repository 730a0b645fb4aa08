// Package limits bounds what one sender on the internet may cost. It is for
// requests that need no token: a valid token is never limited, from any
// sender. See NewPublic for the rates.
package limits

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Unknown is the sender of a request that came by a way that does not say who
// sent it. All unknown senders share one bucket, which is larger.
const Unknown = "unknown"

// Public holds the limits of one public origin.
type Public struct {
	Register  *Limiter // clients retry a failed sign-in by registering again, at once
	Authorize *Limiter
	Ask       *Limiter // each request may ask for the owner's attention
}

// NewPublic returns the limits that a public origin has. What unknown senders
// share is as much as the program bears without harm, since one stranger among
// them takes from all: a registration stores nothing, and an authorization
// request takes one of a bounded number of places, and so does one that asks for
// the owner's attention.
func NewPublic() Public {
	return Public{
		Register:  New(rate.Every(time.Second), 60, 100),
		Authorize: New(rate.Every(time.Second), 60, 50),
		Ask:       New(rate.Every(20*time.Second), 5, 1000),
	}
}

// maxSenders bounds the memory of a Limiter. Past it, senders share a bucket.
const maxSenders = 4096

// A Limiter has a token bucket for each sender.
type Limiter struct {
	every rate.Limit
	burst int

	mu      sync.Mutex
	senders map[string]*rate.Limiter
	rest    *rate.Limiter // for unknown senders, and those there was no room for
}

// New returns a limiter whose buckets hold burst tokens. The bucket that unknown
// senders share is share times as large.
func New(every rate.Limit, burst, share int) *Limiter {
	return &Limiter{every: every, burst: burst, senders: make(map[string]*rate.Limiter), rest: rate.NewLimiter(rate.Limit(share)*every, share*burst)}
}

// Allow takes a token from the bucket of a sender, and reports whether there
// was one.
func (l *Limiter) Allow(from string) bool {
	if from == Unknown {
		return l.rest.Allow()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.senders[from]
	if !ok {
		if len(l.senders) >= maxSenders {
			l.forget()
		}
		if len(l.senders) >= maxSenders {
			return l.rest.Allow()
		}
		b = rate.NewLimiter(l.every, l.burst)
		l.senders[from] = b
	}
	return b.Allow()
}

// forget drops the senders whose bucket is full again: nothing is remembered
// against a sender that has been quiet for that long. The caller holds mu.
func (l *Limiter) forget() {
	for from, b := range l.senders {
		if b.Tokens() >= float64(l.burst) {
			delete(l.senders, from)
		}
	}
}
