package proxy

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// A stream is an event stream on its way to the client. Tunnels and proxies
// end connections that are silent for minutes, so it gets a comment whenever
// it has been silent for a while.
type stream struct {
	e    *exchange
	out  *http.ResponseController
	rest time.Duration // of silence before a comment

	mu    sync.Mutex // held while the client's side is written to
	place boundary
	last  time.Time // of a write
	tick  *time.Timer
	limit *time.Timer // cuts the stream when the token expires; nil if never
	ended bool

	cutting sync.WaitGroup // limit's cut
}

// openStream makes the answer an event stream. plain is false if its bytes are
// compressed, where no comment fits in.
func (e *exchange) openStream(plain bool) {
	s := &stream{e: e, out: http.NewResponseController(e.w), rest: e.proxy.KeepAlive}
	if !plain {
		s.rest = 0
	}
	e.stream = s
}

// begin starts the stream's clocks. The headers are out.
func (s *stream) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	if s.rest > 0 {
		s.tick = time.AfterFunc(s.rest, s.keep)
	}
	if expires := s.e.call.Expires; !expires.IsZero() {
		s.cutting.Add(1)
		s.limit = time.AfterFunc(time.Until(expires), func() {
			defer s.cutting.Done()
			s.e.cut()
		})
	}
}

// keep runs when the stream may have been silent for long enough.
func (s *stream) keep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	wait := s.rest - time.Since(s.last)
	if wait <= 0 {
		wait = s.rest
		if s.place.open() {
			// An error shows when the next event is written, at the latest.
			if _, err := io.WriteString(s.e.w, keepAlive); err == nil {
				s.out.Flush()
			}
			s.place.commented()
			s.last = time.Now()
		}
	}
	s.tick.Reset(wait)
}

func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, rest := s.place.trim(p)
	s.place.write(p)
	s.last = time.Now()
	if len(held) > 0 {
		if _, err := s.e.w.Write(held); err != nil {
			return 0, err
		}
	}
	if len(rest) == 0 {
		return len(p), nil
	}
	if _, err := s.e.w.Write(rest); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *stream) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Flush()
}

// end stops the stream's clocks. Afterwards nothing of it touches the client's
// side any more: that may serve another request by then.
func (s *stream) end() {
	s.mu.Lock()
	s.ended = true
	if s.tick != nil {
		s.tick.Stop()
	}
	s.mu.Unlock()
	if s.limit != nil && !s.limit.Stop() {
		s.cutting.Wait()
	}
}
