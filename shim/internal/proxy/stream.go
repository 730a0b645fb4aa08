package proxy

import (
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/sse"
)

// A stream is an event stream on its way to the client. Tunnels and proxies
// end connections that are silent for minutes, so it gets a comment whenever
// it has been silent for a while.
type stream struct {
	e    *exchange
	out  *http.ResponseController
	rest time.Duration // of silence before a comment

	mu       sync.Mutex // held while the client's side is written to
	opening  *opening   // until the first event of a stream that may be a legacy one
	messages string     // id of a legacy stream's message URL
	place    sse.Parser
	last     time.Time // of a write
	tick     *time.Timer
	limit    *time.Timer // cuts the stream when the token expires; nil if never
	ended    bool

	cutting sync.WaitGroup // limit's cut

	asides asides
}

// openStream makes the answer an event stream.
func (e *exchange) openStream(res *http.Response) {
	s := &stream{e: e, out: http.NewResponseController(e.w)}
	// Nothing can be put between bytes that are compressed.
	if res.Header["Content-Encoding"] == nil {
		s.rest = e.proxy.KeepAlive
		s.opening = e.opening(res)
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
		if s.place.Between() {
			// An error shows when the next event is written, at the latest.
			if _, err := io.WriteString(s.e.w, sse.Comment); err == nil {
				s.out.Flush()
			}
			s.place.Commented()
			s.last = time.Now()
		}
	}
	s.tick.Reset(wait)
}

func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(p)
	if s.opening != nil {
		var err error
		if p, err = s.opening.write(p); err != nil {
			return 0, err
		}
		if s.opening.over {
			s.opening = nil
		}
	}
	if s.asides.waiting.Load() > 0 {
		var err error
		if p, err = s.interrupt(p); err != nil {
			return 0, err
		}
	}
	if err := s.pass(p); err != nil {
		return 0, err
	}
	return n, nil
}

// pass writes the next bytes of the stream.
func (s *stream) pass(p []byte) error {
	held, rest := s.place.Trim(p)
	s.place.Follow(p)
	s.last = time.Now()
	if len(held) > 0 {
		if _, err := s.e.w.Write(held); err != nil {
			return err
		}
	}
	if len(rest) == 0 {
		return nil
	}
	_, err := s.e.w.Write(rest)
	return err
}

func (s *stream) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Flush()
}

// end stops the stream's clocks. Afterwards nothing of it touches the client's
// side any more: that may serve another request by then.
func (s *stream) end() {
	if s.messages != "" {
		s.e.proxy.messages.remove(s.messages)
	}
	s.mu.Lock()
	if s.opening != nil && s.e.whole {
		s.pass(s.opening.event.Held()) // the stream ended within its first event
	}
	s.ended = true
	if s.tick != nil {
		s.tick.Stop()
	}
	s.mu.Unlock()
	if s.limit != nil && !s.limit.Stop() {
		s.cutting.Wait()
	}
}
