package sse

import (
	"bytes"
	"errors"
	"io"
)

// ErrTooLong reports an event that is longer than its Reader allows.
var ErrTooLong = errors.New("it is too long")

// A Reader reads an event stream, event by event.
type Reader struct {
	src    io.Reader
	parser Parser
	buf    []byte // read and not yet parsed
	event  []byte // the present event so far
	first  bool   // nothing has been parsed yet
	limit  int
	err    error
}

// NewReader returns a Reader of r. An event longer than limit, in bytes, is an
// error: ErrTooLong.
func NewReader(r io.Reader, limit int) *Reader { return &Reader{src: r, first: true, limit: limit} }

// Next returns the name and the data of the next event that has data. What the
// stream ends within is no event.
func (e *Reader) Next() (name string, data []byte, err error) {
	for {
		for len(e.buf) > 0 {
			n, token := e.parser.Next(e.buf)
			e.event = append(e.event, e.buf[:n]...)
			e.buf = e.buf[n:]
			if len(e.event) > e.limit {
				return "", nil, ErrTooLong
			}
			if token != Blank {
				continue
			}
			whole := e.event
			e.event = nil
			if e.first {
				whole, e.first = bytes.TrimPrefix(whole, byteOrderMark[:]), false
			}
			if name, data := fields(whole); len(data) > 0 {
				return name, data, nil
			}
		}
		if e.err != nil {
			return "", nil, e.err
		}
		chunk := make([]byte, 16<<10)
		var n int
		n, e.err = e.src.Read(chunk)
		e.buf = chunk[:n]
	}
}

// fields returns name and data of an event.
func fields(event []byte) (name string, data []byte) {
	event = bytes.ReplaceAll(event, []byte("\r\n"), []byte("\n"))
	event = bytes.ReplaceAll(event, []byte("\r"), []byte("\n"))
	for line := range bytes.SplitSeq(event, []byte("\n")) {
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			name = string(value)
		case "data":
			if data != nil {
				data = append(data, '\n')
			}
			data = append(data, value...)
		}
	}
	return name, data
}
