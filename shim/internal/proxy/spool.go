package proxy

import (
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// spoolTime is how long a body of unknown length may take to arrive and still
	// go out with a length. Upstreams may answer before a request ends, so it is
	// not held back for longer.
	spoolTime = time.Second
	// maxSpool bounds what waits for an upstream that does not read.
	maxSpool = 1 << 20
)

// A spool holds a body of unknown length between the client and the upstream.
// Messages are whole in most cases, and then go out with a length: some
// upstreams answer 411 to what has none (RFC 9110, Section 15.5.12), and others
// read nothing.
type spool struct {
	mu    sync.Mutex
	moved sync.Cond // buf, err or over changed
	buf   []byte    // not yet read by the transport
	err   error     // why nothing comes after buf; io.EOF if that was all
	over  bool      // the reader is gone
	done  chan struct{}
}

// gatherUnknown reads a body of unknown length. If it is whole in time, it
// becomes a.body; else what came of it is in a.spool, and the rest follows.
func (a *activeCall) gatherUnknown() error {
	s := &spool{done: make(chan struct{})}
	s.moved.L = &s.mu
	a.spool = s
	go a.fill(s)
	late := time.AfterFunc(spoolTime, s.moved.Broadcast)
	defer late.Stop()
	begin := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil && len(s.buf) < maxSpool && time.Since(begin) < spoolTime {
		s.moved.Wait()
	}
	switch s.err {
	case nil:
	case io.EOF:
		a.spool, a.body = nil, s.buf // nil if there is nothing
	default:
		return s.err
	}
	return nil
}

// fill reads the client's body into s.
func (a *activeCall) fill(s *spool) {
	defer close(s.done)
	buf := make([]byte, 16<<10)
	for {
		s.mu.Lock()
		for len(s.buf) >= maxSpool && !s.over {
			s.moved.Wait()
		}
		over := s.over
		s.mu.Unlock()
		a.bodyMu.Lock()
		if over || a.taken || a.left.Load() {
			a.bodyMu.Unlock()
			return
		}
		n, err := a.read(buf)
		a.bodyMu.Unlock()
		s.mu.Lock()
		s.buf = append(s.buf, buf[:n]...)
		s.err = err
		s.moved.Broadcast()
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Read reads what came, and waits for more.
func (s *spool) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.buf) == 0 && s.err == nil && !s.over {
		s.moved.Wait()
	}
	if s.over {
		return 0, errTaken
	}
	n := copy(p, s.buf)
	s.buf = s.buf[n:]
	s.moved.Broadcast()
	if n == 0 {
		return 0, s.err
	}
	return n, nil
}

// stop makes readers give up.
func (s *spool) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.moved.Broadcast()
}

// endSpool waits until the client's body is read no more: the HTTP server does not
// allow that after the handler has returned.
func (a *activeCall) endSpool() {
	if a.spool == nil {
		return
	}
	a.spool.stop()
	if !a.eof.Load() {
		http.NewResponseController(a.w).SetReadDeadline(time.Unix(1, 0))
	}
	<-a.spool.done
}
