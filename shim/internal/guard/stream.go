package guard

import (
	"io"
	"slices"
	"sync"

	"github.com/key2oauth/key2oauth/shim/internal/sse"
)

// A Stream passes one body or event stream and strikes out the secrets. At the
// end of a chunk it holds back Guard.Hold bytes, in which a secret may have
// begun, until more arrives or the body ends; in an event stream, until the
// event ends. Use Next or Write, not both.
type Stream struct {
	Guard  *Guard
	Events bool // the body is an event stream
	Struck int  // how many secrets were struck so far

	parser sse.Parser
	blank  bool // the last line was blank, and perhaps its LF is still to come

	stars int // how many of the first bytes that are held belong to a struck secret
	spans []span

	held []byte // by Write
}

// rooms are for what was held together with what came after it.
var rooms = sync.Pool{New: func() any { return new([]byte) }}

// maxIdle is how much memory a Stream keeps while nothing is held.
const maxIdle = 256

// Next takes buf, which begins with the bytes that were held after the last
// call; from fresh on they are new. It returns how many bytes can go now, with
// the secrets in them struck out. The others are held, and must stay unchanged
// at the beginning of the next buf. end says that the body ends here.
func (s *Stream) Next(buf []byte, fresh int, end bool) (ready int) {
	if s.Guard == nil {
		return len(buf)
	}
	ready = max(0, len(buf)-s.Guard.Hold())
	if s.Events {
		if n := s.eventEnd(buf[fresh:]); n > 0 {
			ready = max(ready, fresh+n)
		}
	}
	if end {
		ready = len(buf)
	}
	s.spans = s.Guard.find(s.spans[:0], buf)
	s.spans = s.Guard.escapes.find(s.spans, buf, end)
	if len(s.spans) > 0 || s.stars > 0 {
		s.strike(buf, ready)
	}
	return ready
}

// eventEnd follows the next bytes of an event stream. It returns where in them
// the last event ends, 0 if nowhere. An LF that ends the blank line belongs to
// its event: some clients wait for it.
func (s *Stream) eventEnd(p []byte) (end int) {
	for at := 0; at < len(p); {
		n, token := s.parser.Next(p[at:])
		at += n
		if token == sse.Blank || token == sse.LF && s.blank {
			end = at
		}
		s.blank = token == sse.Blank
	}
	return end
}

// strike replaces the spans in the first ready bytes of buf. What is held stays
// as it is, since a secret that is not whole yet may overlap with one that is.
func (s *Stream) strike(buf []byte, ready int) {
	carried := s.stars
	if carried > 0 {
		s.spans = append(s.spans, span{0, carried})
	}
	slices.SortFunc(s.spans, func(a, b span) int { return a.from - b.from })
	s.stars = 0
	for i := 0; i < len(s.spans); {
		x := s.spans[i]
		for i++; i < len(s.spans) && s.spans[i].from < x.to; i++ {
			x.to = max(x.to, s.spans[i].to)
		}
		if x.from >= ready {
			break
		}
		if x.from > 0 || carried == 0 {
			s.Struck++
		}
		for j := x.from; j < min(x.to, ready); j++ {
			buf[j] = s.Guard.star
		}
		s.stars = max(0, x.to-ready)
	}
}

// Write takes the next bytes of the body, which it may change, and writes those
// that can go to w, in one piece.
func (s *Stream) Write(w io.Writer, p []byte) error { return s.pass(w, p, false) }

// End writes what is held to w: the body has ended.
func (s *Stream) End(w io.Writer) error { return s.pass(w, nil, true) }

func (s *Stream) pass(w io.Writer, p []byte, end bool) error {
	fresh := len(s.held)
	if fresh > 0 {
		room := rooms.Get().(*[]byte)
		defer rooms.Put(room)
		*room = append(append((*room)[:0], s.held...), p...)
		p = *room
	}
	ready := s.Next(p, fresh, end)
	s.held = append(s.held[:0], p[ready:]...)
	if len(s.held) == 0 && cap(s.held) > maxIdle {
		s.held = nil // an event stream may be silent for hours
	}
	if ready == 0 {
		return nil
	}
	_, err := w.Write(p[:ready])
	return err
}
