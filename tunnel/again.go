package tunnel

import (
	"context"
	"math/rand/v2"
	"time"
)

// A failure that only the owner can fix may be fixed elsewhere: in an account,
// by another network, by a new month. So it is tried again when something of
// that kind may have happened, and otherwise only once a day.
const (
	daily = 24 * time.Hour
	// restTime is how long a network that comes and goes has to wait.
	restTime = time.Minute
	// renewedBy is when a month's quota has surely been renewed: their clock is
	// not ours, and not every user of it should come in the same second.
	renewedBy = 5 * time.Minute
)

// again is when to retry what failed at a time, if no event suggests that it was
// fixed.
func again(failed time.Time) time.Time {
	next := failed.Add(daily)
	y, m, _ := failed.UTC().Date()
	renewed := time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC).Add(renewedBy + rand.N(renewedBy))
	if renewed.Before(next) {
		return renewed
	}
	return next
}

// await waits after a failure that is called permanent until it is time to try
// again. It returns true if the owner said so. What the owner ended elsewhere
// is left alone until then.
func (s *Supervisor) await(ctx context.Context, p Problem) (kicked bool) {
	if p.Cause == CauseStopped {
		select {
		case <-ctx.Done():
		case <-s.kicks:
			kicked = true
		}
		return kicked
	}
	failed := time.Now()
	nets, sleeps := s.nets, s.sleeps
	next := again(failed)
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-s.kicks:
			return true
		case <-timer.C:
			drop(s.nets, s.sleeps) // the attempt comes after them
			return false
		case <-nets:
		case <-sleeps: // the timer may have slept too
		}
		nets, sleeps = nil, nil // once is enough
		if rested := failed.Add(restTime); rested.Before(next) {
			next = rested
		}
		timer.Reset(time.Until(next))
	}
}
