// Package changes tells those who show the state that it has changed. A change
// carries no content: each reader that wakes up reads the state again, so several
// changes may become one.
package changes

import (
	"strconv"
	"sync"
	"time"
)

// A Feed wakes those who show the state. Make one with New.
type Feed struct {
	mu     sync.Mutex
	wake   chan struct{}
	closed bool
	count  int64 // starts at the time of the start, so that two runs never count alike
}

// New returns a feed without changes.
func New() *Feed {
	return &Feed{wake: make(chan struct{}), count: time.Now().UnixNano()}
}

// Wait returns a channel that is closed at the next change. more is false once
// the feed is closed.
func (f *Feed) Wait() (changed <-chan struct{}, more bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wake, !f.closed
}

// ID names the present state of things; it differs after each change. Ask for
// it before reading the state: a change in between is then noticed.
func (f *Feed) ID() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strconv.FormatInt(f.count, 36)
}

// Notify tells of a change.
func (f *Feed) Notify() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	if !f.closed {
		close(f.wake)
		f.wake = make(chan struct{})
	}
}

// Close wakes everyone for the last time.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		close(f.wake)
	}
}
