package proxy

import "bytes"

// keepAlive is what a silent event stream gets: a comment, which every parser
// ignores (WHATWG HTML, Section 9.2.6).
const keepAlive = ":\n\n"

// A boundary follows the bytes of an event stream and knows whether a comment
// may be put after the last of them. Lines end in LF, CR or CRLF, in any mix
// and split over any chunks. The zero value is the start of a stream.
type boundary struct {
	line    linePart
	afterCR bool // a following LF belongs to the CR
	pending bool // lines of an event that is not ended by a blank line yet
	bom     int  // bytes of a byte order mark seen; -1 once there can be none
	early   bool // a comment went out before the stream's first byte
}

type linePart uint8

const (
	lineStart linePart = iota
	inComment
	inField
)

var byteOrderMark = [3]byte{0xEF, 0xBB, 0xBF}

// write follows the bytes p.
func (b *boundary) write(p []byte) {
	for len(p) > 0 && b.bom >= 0 {
		if p[0] != byteOrderMark[b.bom] {
			b.bom = -1
			break
		}
		b.line = inField // part of a field's name, unless the mark is whole
		if b.bom++; b.bom == len(byteOrderMark) {
			b.line, b.bom = lineStart, -1
		}
		p = p[1:]
	}
	for len(p) > 0 {
		if b.line != lineStart {
			if n := restOfLine(p); n > 0 {
				b.afterCR = false
				p = p[n:]
				continue
			}
		}
		c := p[0]
		p = p[1:]
		switch {
		case c == '\n' && b.afterCR:
			b.afterCR = false
			continue
		case c == '\n' || c == '\r':
			switch b.line {
			case lineStart:
				b.pending = false
			case inField:
				b.pending = true
			}
			b.line = lineStart
		case b.line == lineStart && c == ':':
			b.line = inComment
		case b.line == lineStart:
			b.line = inField
		}
		b.afterCR = c == '\r'
	}
}

// restOfLine is how many bytes p begins with that are within a line. It looks
// at few at once: an upstream that ends its lines with CR alone must not make
// it look for an LF through all that follows, line after line.
func restOfLine(p []byte) int {
	p = p[:min(len(p), 256)]
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		p = p[:i]
	}
	if i := bytes.IndexByte(p, '\r'); i >= 0 {
		return i
	}
	return len(p)
}

// open reports whether a comment may be put here: at the start of a line, and
// not between the lines of one event.
func (b *boundary) open() bool { return b.line == lineStart && !b.pending }

// commented says that a comment was put here.
func (b *boundary) commented() {
	if b.bom == 0 {
		b.early = true
	}
}

// trim returns what has to be written for p, the next bytes of the stream,
// which write has not followed yet. That is p itself, except where a comment
// went out before the stream's first byte: a byte order mark is one only at
// the very start, so it is dropped then. held are bytes that an earlier p
// began a mark with, in vain.
func (b *boundary) trim(p []byte) (held, rest []byte) {
	if !b.early {
		return nil, p
	}
	k := b.bom
	for k < len(byteOrderMark) && len(p) > 0 && p[0] == byteOrderMark[k] {
		k++
		p = p[1:]
	}
	switch {
	case k == len(byteOrderMark):
		b.early = false
		return nil, p
	case len(p) == 0:
		return nil, nil
	}
	b.early = false
	return byteOrderMark[:k], p
}
