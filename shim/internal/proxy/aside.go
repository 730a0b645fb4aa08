package proxy

import (
	"sync"
	"sync/atomic"
	"time"
)

// maxAsides bounds what waits to get into one stream: a client may post and
// not read.
const maxAsides = 64

// asides are events of ours that wait for a stream's next boundary.
type asides struct {
	mu      sync.Mutex
	events  [][]byte
	waiting atomic.Int64 // how many there are, to be read without the lock
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

// say puts an event of ours into the stream, between two of the upstream's. It
// does not wait for the client, who may be slow to read. It reports whether the
// stream takes the event.
func (s *stream) say(event []byte) bool {
	if !s.asides.add(event) {
		return false
	}
	go func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		// A client that is gone shows when the next event is written.
		if !s.ended && s.interject() == nil {
			s.out.Flush()
		}
	}()
	return true
}

// interject writes what waits if an event may be put here.
func (s *stream) interject() error {
	if !s.place.Between() {
		return nil
	}
	for _, event := range s.asides.take() {
		s.last = time.Now()
		if _, err := s.e.w.Write(event); err != nil {
			return err
		}
	}
	return nil
}

// interrupt puts what waits at the first boundary in p, the next bytes of the
// stream. It returns what is still to be written of p.
func (s *stream) interrupt(p []byte) (rest []byte, err error) {
	n := 0
	for n < len(p) && !s.place.Between() {
		s.place.Follow(p[n : n+1])
		n++
	}
	if n > 0 {
		s.last = time.Now()
		if _, err := s.e.w.Write(p[:n]); err != nil {
			return nil, err
		}
	}
	return p[n:], s.interject()
}
