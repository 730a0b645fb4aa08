// Package sse follows event streams as they pass (WHATWG HTML, Section 9.2.6).
// A Parser is fed bytes in chunks of any size and finds the ends of lines and
// events; the proxy asks it where a comment or another event may be put in. A
// FirstEvent collects a stream up to the first event with data, which is where
// protocol revision 2024-11-05 says where messages go. Nothing here changes a
// byte of a stream unless it is asked to.
package sse

import "bytes"

// Comment is a comment, which every client ignores.
const Comment = ":\n\n"

// A Parser follows the bytes of an event stream. Lines end in LF, CR or CRLF,
// in any mix and split over any chunks. The zero value is the start of a
// stream.
type Parser struct {
	line    lineKind
	afterCR bool // a following LF belongs to the CR
	pending bool // lines of an event that no blank line has ended yet
	mark    int  // bytes of a byte order mark seen; -1 once there can be none
	early   bool // a comment went out before the stream's first byte
}

type lineKind uint8

const (
	lineStart lineKind = iota
	commentLine
	fieldLine
)

// A Token is what Parser.Next stopped at.
type Token uint8

// The tokens.
const (
	Part    Token = iota // the end of the chunk, within a line
	LineEnd              // the end of a comment or a field
	Blank                // the end of a blank line, and so of an event
	LF                   // the LF of a CRLF; the CR was the end of the line
)

var byteOrderMark = [3]byte{0xEF, 0xBB, 0xBF}

// Next follows p up to the next token and returns how many bytes that took.
func (s *Parser) Next(p []byte) (n int, t Token) {
	if s.mark >= 0 {
		n = s.markBytes(p)
	}
	for n < len(p) {
		if s.line != lineStart {
			if k := lineLength(p[n:]); k > 0 {
				s.afterCR = false
				n += k
				continue
			}
		}
		c := p[n]
		n++
		switch {
		case c == '\n' && s.afterCR:
			s.afterCR = false
			return n, LF
		case c == '\n' || c == '\r':
			s.afterCR = c == '\r'
			return n, s.endLine()
		case c == ':':
			s.line = commentLine
		default:
			s.line = fieldLine
		}
		s.afterCR = false
	}
	return n, Part
}

// endLine follows the end of a line.
func (s *Parser) endLine() Token {
	line := s.line
	s.line = lineStart
	switch line {
	case lineStart:
		s.pending = false
		return Blank
	case fieldLine:
		s.pending = true
	}
	return LineEnd
}

// markBytes follows the byte order mark that a stream may begin with.
func (s *Parser) markBytes(p []byte) (n int) {
	for n < len(p) && s.mark >= 0 {
		if p[n] != byteOrderMark[s.mark] {
			s.mark = -1
			break
		}
		n++
		s.line = fieldLine // part of a field's name, unless the mark is whole
		if s.mark++; s.mark == len(byteOrderMark) {
			s.line, s.mark = lineStart, -1
		}
	}
	return n
}

// lineLength is how many bytes at the beginning of p are within a line. It
// looks at few at a time: where lines end in CR alone, a search for an LF would
// otherwise go through everything that follows, for each line.
func lineLength(p []byte) int {
	p = p[:min(len(p), 256)]
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		p = p[:i]
	}
	if i := bytes.IndexByte(p, '\r'); i >= 0 {
		return i
	}
	return len(p)
}

// Follow follows all of p.
func (s *Parser) Follow(p []byte) {
	for len(p) > 0 {
		n, _ := s.Next(p)
		p = p[n:]
	}
}

// Between reports whether a comment or an event may be put here: at the start
// of a line, and not between the lines of one event.
func (s *Parser) Between() bool { return s.line == lineStart && !s.pending }

// Commented records that a comment was put here.
func (s *Parser) Commented() {
	if s.mark == 0 {
		s.early = true
	}
}

// Trim returns what has to be written for p, the next bytes of the stream,
// which Follow has not seen yet. That is p itself, except where a comment went
// out before the stream's first byte: a byte order mark counts only at the very
// start, so it is dropped then. held are bytes of an earlier p that looked like
// the beginning of a mark and were not.
func (s *Parser) Trim(p []byte) (held, rest []byte) {
	if !s.early {
		return nil, p
	}
	k := s.mark
	for k < len(byteOrderMark) && len(p) > 0 && p[0] == byteOrderMark[k] {
		k++
		p = p[1:]
	}
	switch {
	case k == len(byteOrderMark):
		s.early = false
		return nil, p
	case len(p) == 0:
		return nil, nil
	}
	s.early = false
	return byteOrderMark[:k], p
}
