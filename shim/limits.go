package shim

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

// limits bound what one sender on the internet may cost. They are for what
// needs no token: a valid token is never limited, whoever sends it.
type limits struct {
	register  *limiter // clients retry a failed sign-in by registering again, at once
	authorize *limiter
	ask       *limiter // each may make the owner look up
}

func newLimits() limits {
	return limits{
		register:  newLimiter(rate.Every(time.Second), 60),
		authorize: newLimiter(rate.Every(time.Second), 60),
		ask:       newLimiter(rate.Every(20*time.Second), 5),
	}
}

// maxSenders bounds the memory that a limiter takes. Past it, senders share.
const maxSenders = 4096

// A limiter has a token bucket for each sender.
type limiter struct {
	every rate.Limit
	burst int

	mu      sync.Mutex
	senders map[string]*rate.Limiter
	rest    *rate.Limiter // of all who are not known, or for whom there was no room
}

func newLimiter(every rate.Limit, burst int) *limiter {
	return &limiter{every: every, burst: burst, senders: make(map[string]*rate.Limiter), rest: rate.NewLimiter(10*every, 10*burst)}
}

// allow reports whether a sender may do it once more.
func (l *limiter) allow(from string) bool {
	if from == oauth.FromUnknown {
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

// forget drops the senders whose bucket is full again: they have been quiet
// for so long that nothing is remembered against them. The caller holds mu.
func (l *limiter) forget() {
	for from, b := range l.senders {
		if b.Tokens() >= float64(l.burst) {
			delete(l.senders, from)
		}
	}
}
