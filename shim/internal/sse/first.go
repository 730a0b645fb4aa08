package sse

import (
	"bytes"
	"io"
	"slices"
)

// MaxFirst is how many bytes of a stream a FirstEvent looks at.
const MaxFirst = 16 << 10

// A FirstEvent collects the bytes of a stream up to the end of its first event
// that has data. The zero value is the start of a stream.
type FirstEvent struct {
	parser  Parser
	seen    int    // bytes of the stream
	started bool   // the stream's first line is over
	held    []byte // of the present event; may begin with an LF that ends a CRLF
	line    int    // where in held the present line begins
	name    []byte // the event's, as far as it is known
	data    []span // its data lines, without their ends
}

// A span is a part of FirstEvent.held.
type span struct{ from, to int }

// Write takes the next bytes of the stream. skipped is what was taken so far
// and belongs to no event with data; n is how much of p was taken. found says
// that the event is whole. If it is not and n is less than len(p), the event is
// too far on, and Held has what was taken of it.
func (e *FirstEvent) Write(p []byte) (skipped []byte, n int, found bool) {
	p = p[:min(len(p), MaxFirst-e.seen)]
	for n < len(p) {
		k, token := e.parser.Next(p[n:])
		e.held = append(e.held, p[n:n+k]...)
		e.seen += k
		n += k
		switch token {
		case LF:
			e.line = len(e.held)
		case LineEnd:
			e.endLine()
		case Blank:
			if len(e.data) > 0 {
				return skipped, n, true
			}
			skipped = append(skipped, e.held...) // no event: comments, an id, a retry time
			e.held, e.line, e.name, e.started = e.held[:0], 0, nil, true
		}
	}
	return skipped, n, false
}

// endLine takes in the line whose end was just added to held.
func (e *FirstEvent) endLine() {
	l := span{e.line, len(e.held) - 1}
	e.line = len(e.held)
	if !e.started && bytes.HasPrefix(e.held, byteOrderMark[:]) {
		l.from += len(byteOrderMark)
	}
	e.started = true
	field, value := e.field(l)
	switch string(field) {
	case "event":
		e.name = bytes.Clone(value)
	case "data":
		e.data = append(e.data, l)
	}
}

// field takes a line apart.
func (e *FirstEvent) field(l span) (name, value []byte) {
	name, value, _ = bytes.Cut(e.held[l.from:l.to], []byte(":"))
	return name, bytes.TrimPrefix(value, []byte(" "))
}

// Held returns the bytes of the event, or of its beginning.
func (e *FirstEvent) Held() []byte { return e.held }

// Name returns the name of an event that was found.
func (e *FirstEvent) Name() string { return string(e.name) }

// Data returns the data of an event that was found.
func (e *FirstEvent) Data() string {
	var data []byte
	for i, l := range e.data {
		if i > 0 {
			data = append(data, '\n')
		}
		_, value := e.field(l)
		data = append(data, value...)
	}
	return string(data)
}

// WithData returns the bytes of an event that was found, with other data, which
// is one line. Where the event has several lines of data, the new one takes the
// place of the last of them: a line may be left out only in front of one that
// is not blank, since the end of the line before it could be a CR and the end
// of a blank one an LF.
func (e *FirstEvent) WithData(data string) []byte {
	var kept []byte
	at := 0
	for i, l := range e.data {
		kept = append(kept, e.held[at:l.from]...)
		at = l.to
		if i < len(e.data)-1 {
			at += endLength(e.held[at:])
		}
	}
	kept = append(kept, "data: "...)
	kept = append(kept, data...)
	return slices.Concat(kept, e.held[at:])
}

// endLength returns how long the end of a line is that p begins with.
func endLength(p []byte) int {
	if bytes.HasPrefix(p, []byte("\r\n")) {
		return 2
	}
	return 1
}

// ReadFirst reads a stream up to the end of its first event that has data. Both
// results are empty if that does not come within MaxFirst bytes.
func ReadFirst(r io.Reader) (name, data string) {
	var e FirstEvent
	buf := make([]byte, 1<<10)
	for e.seen < MaxFirst {
		n, err := r.Read(buf)
		if _, _, found := e.Write(buf[:n]); found {
			return e.Name(), e.Data()
		}
		if err != nil {
			break
		}
	}
	return "", ""
}
