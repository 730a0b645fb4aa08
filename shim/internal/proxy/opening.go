package proxy

import (
	"bytes"
	"slices"
)

// maxOpening bounds what of a stream is looked at, and held back, before the
// end of its first event.
const maxOpening = 16 << 10

// An opening reads an event stream up to the end of its first event (WHATWG
// HTML, Section 9.2.6). If that is the endpoint event of protocol revision
// 2024-11-05, its data is replaced; nothing else of the stream ever is. An
// event is held back until it is whole, which no parser notices: it would do
// nothing with a part.
type opening struct {
	// rename returns what stands in place of an endpoint event's data.
	rename func(data string) (string, error)

	over    bool   // what follows is none of its business
	seen    int    // bytes of the stream
	begun   bool   // the stream's first line is over
	afterCR bool   // a following LF belongs to the CR
	held    []byte // of the present event; may begin with such an LF
	line    int    // where in held the present line begins
	name    []byte // the event's, as far as is known
	data    []span // its data lines, without their ends
}

// A span is a part of opening.held.
type span struct{ from, to int }

// write follows the bytes p and returns what can be passed on now.
func (o *opening) write(p []byte) (out []byte, err error) {
	for i, c := range p {
		if o.seen == maxOpening {
			o.over = true
			return append(append(out, o.held...), p[i:]...), nil
		}
		o.seen++
		o.held = append(o.held, c)
		switch {
		case c == '\n' && o.afterCR:
			o.afterCR = false
			o.line = len(o.held)
			continue
		case c != '\n' && c != '\r':
			o.afterCR = false
			continue
		}
		o.afterCR = c == '\r'
		if !o.endLine() {
			continue
		}
		if len(o.data) > 0 {
			o.over = true
			if string(o.name) == "endpoint" {
				if err := o.replace(); err != nil {
					return nil, err
				}
			}
			return append(append(out, o.held...), p[i+1:]...), nil
		}
		out = append(out, o.held...) // no event: comments, an id, a retry time
		o.held, o.line, o.name = o.held[:0], 0, nil
	}
	return out, nil
}

// endLine takes in the line whose end was just added to held. It reports
// whether the line is blank, which is what ends an event.
func (o *opening) endLine() (blank bool) {
	l := span{o.line, len(o.held) - 1}
	o.line = len(o.held)
	if !o.begun {
		o.begun = true
		if bytes.HasPrefix(o.held, byteOrderMark[:]) {
			l.from += len(byteOrderMark)
		}
	}
	if l.from == l.to {
		return true
	}
	field, value, _ := bytes.Cut(o.held[l.from:l.to], []byte(":"))
	switch string(field) {
	case "event":
		o.name = bytes.Clone(bytes.TrimPrefix(value, []byte(" ")))
	case "data":
		o.data = append(o.data, l)
	}
	return false
}

// replace puts what rename says in place of the event's data. Where the data
// has several lines it goes into the last of them: to leave out a line is safe
// only in front of one that is not blank, since the end of the line before it
// could be a CR and the end of a blank one an LF.
func (o *opening) replace() error {
	var data, kept []byte
	at := 0
	for i, l := range o.data {
		if i > 0 {
			data = append(data, '\n')
		}
		_, value, _ := bytes.Cut(o.held[l.from:l.to], []byte(":"))
		data = append(data, bytes.TrimPrefix(value, []byte(" "))...)
		kept = append(kept, o.held[at:l.from]...)
		at = l.to
		if i < len(o.data)-1 {
			at += lineEnd(o.held[at:])
		}
	}
	name, err := o.rename(string(data))
	if err != nil {
		return err
	}
	kept = append(kept, "data: "...)
	kept = append(kept, name...)
	o.held = slices.Concat(kept, o.held[at:])
	return nil
}

// lineEnd returns how long the end of a line is that p begins with.
func lineEnd(p []byte) int {
	if bytes.HasPrefix(p, []byte("\r\n")) {
		return 2
	}
	return 1
}
