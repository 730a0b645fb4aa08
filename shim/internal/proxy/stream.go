package proxy

import (
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/sse"
)

// A stream is an event stream to the client. Tunnels and proxies close
// connections that are silent for minutes, so it sends a comment after some
// silence.
type stream struct {
	call *activeCall
	out  *http.ResponseController
	rest time.Duration // of silence before a comment

	mu       sync.Mutex        // held while the client's side is written to
	rewriter *endpointRewriter // until the first event, where the stream may be a legacy one
	messages string            // id of a legacy stream's message URL
	events   sse.Parser
	last     time.Time // of a write
	tick     *time.Timer
	limit    *time.Timer // cuts the stream when the token expires; nil if never
	ended    bool

	cuts sync.WaitGroup // limit's cut

	asides asides
}

// openStream turns the answer into an event stream.
func (a *activeCall) openStream(res *http.Response) {
	a.stream = &stream{call: a, out: http.NewResponseController(a.w), rest: a.proxy.KeepAlive, rewriter: a.rewriter(res)}
}

// begin starts the stream's timers. The header was sent.
func (s *stream) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	s.tick = time.AfterFunc(s.rest, s.keep)
	if expires := s.call.call.Expires; !expires.IsZero() && s.call.listens() {
		s.cuts.Add(1)
		s.limit = time.AfterFunc(time.Until(expires), func() {
			defer s.cuts.Done()
			s.call.cut()
		})
	}
}

// listens reports whether the request asks for what the upstream has to say from
// now on. Such a stream ends with the token. The answer to a call does not: it
// was asked for in time, and half an answer is none.
func (a *activeCall) listens() bool {
	return a.in.Method != http.MethodPost || a.method() == methodListen
}

// keep sends a comment if the stream was silent for long enough.
func (s *stream) keep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	wait := s.rest - time.Since(s.last)
	if wait <= 0 {
		wait = s.rest
		if s.events.Between() {
			// The next write reports an error too.
			if _, err := io.WriteString(s.call.w, sse.Comment); err == nil {
				s.out.Flush()
			}
			s.events.Commented()
			s.last = time.Now()
		}
	}
	s.tick.Reset(wait)
}

// write takes the next bytes from the upstream. Addresses are rewritten first,
// and guarded then.
func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(p)
	if s.rewriter != nil {
		var err error
		if p, err = s.rewriter.write(p); err != nil {
			return 0, err
		}
		if s.rewriter.over {
			s.rewriter = nil
		}
	}
	if err := s.call.guard.Write((*guardedStream)(s), p); err != nil {
		return 0, err
	}
	return n, nil
}

// A guardedStream is a stream behind the guard.
type guardedStream stream

// Write writes what goes to the client, with events of ours between it.
func (g *guardedStream) Write(p []byte) (int, error) {
	s, n := (*stream)(g), len(p)
	if s.asides.waiting.Load() > 0 {
		var err error
		if p, err = s.interrupt(p); err != nil {
			return 0, err
		}
	}
	return n, s.pass(p)
}

// pass writes the next bytes of the stream.
func (s *stream) pass(p []byte) error {
	held, rest := s.events.Trim(p)
	s.events.Follow(p)
	s.last = time.Now()
	if len(held) > 0 {
		if _, err := s.call.w.Write(held); err != nil {
			return err
		}
	}
	if len(rest) == 0 {
		return nil
	}
	_, err := s.call.w.Write(rest)
	return err
}

func (s *stream) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Flush()
}

// end stops the stream's timers. Afterwards it must not write: the connection
// may serve another request.
func (s *stream) end() {
	if s.messages != "" {
		s.call.proxy.messages.remove(s.messages)
	}
	s.mu.Lock()
	if s.call.whole {
		if s.rewriter != nil {
			s.call.guard.Write((*guardedStream)(s), s.rewriter.event.Held()) // the stream ended within its first event
		}
		s.call.guard.End((*guardedStream)(s))
	}
	s.ended = true
	if s.tick != nil {
		s.tick.Stop()
	}
	s.mu.Unlock()
	if s.limit != nil && !s.limit.Stop() {
		s.cuts.Wait()
	}
}
