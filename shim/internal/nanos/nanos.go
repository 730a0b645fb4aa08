// Package nanos turns times into the numbers that are saved, and back:
// nanoseconds since 1970, or 0 for the zero time.
package nanos

import "time"

// Of returns the number for t.
func Of(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixNano())
}

// Time returns the time for a number, in UTC.
func Time(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}
