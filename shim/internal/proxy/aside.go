package proxy

import (
	"sync"
	"sync/atomic"
	"time"
)

// maxAsides bounds the events that wait for one stream, because a client may
// post and not read.
const maxAsides = 64

// asides are events of ours that wait for a place between two of the stream's.
type asides struct {
	mu      sync.Mutex
	events  [][]byte
	waiting atomic.Int64 // their number, readable without the lock
}

func (a *asides) add(event []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.events) >= maxAsides {
		return false
	}
	a.events = append(a.events, event)
	a.waiting.Store(int64(len(a.events)))
	return true
}

func (a *asides) take() [][]byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	events := a.events
	a.events = nil
	a.waiting.Store(0)
	return events
}

// say inserts an event of ours between two of the upstream's. It does not wait
// for a slow client. It reports whether the stream takes the event.
func (s *stream) say(event []byte) bool {
	if !s.asides.add(event) {
		return false
	}
	go func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		// The next write reports an error too.
		if !s.ended && s.interject() == nil {
			s.out.Flush()
		}
	}()
	return true
}

// interject writes the waiting events if an event may be put here.
func (s *stream) interject() error {
	if !s.events.Between() {
		return nil
	}
	for _, event := range s.asides.take() {
		s.last = time.Now()
		if _, err := s.call.w.Write(event); err != nil {
			return err
		}
	}
	return nil
}

// interrupt writes p, the next bytes of the stream, up to the first place for an
// event, and then the waiting events. It returns the rest of p.
func (s *stream) interrupt(p []byte) (rest []byte, err error) {
	n := 0
	for n < len(p) && !s.events.Between() {
		s.events.Follow(p[n : n+1])
		n++
	}
	if n > 0 {
		s.last = time.Now()
		if _, err := s.call.w.Write(p[:n]); err != nil {
			return nil, err
		}
	}
	return p[n:], s.interject()
}
