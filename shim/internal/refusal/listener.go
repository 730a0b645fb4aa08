package refusal

import "bytes"

// A Listener hears an answer to a call and finds out whether it may say that the
// key is no good. A probe has to confirm it, because the same words may be about
// one tool. What it finds depends on the bytes alone, and not on where they are
// cut. It keeps the beginning of an error, and nothing of any other answer: it
// looks for the JSON-RPC error without reading the JSON around it.
type Listener struct {
	Status int
	Type   string // the answer's Content-Type

	heard  int
	at     place
	tail   [len(errorMember) - 1]byte // what was heard last, while an error is looked for
	tailed int                        // bytes in tail
	said   []byte                     // the body of an error, or the value of its member
	doubt  bool
}

// A place is how far in a JSON-RPC error a Listener is.
type place uint8

const (
	before  place = iota // no member was found
	inName               // after the name of the member, before the colon
	inColon              // after the colon, before the value
	inValue
)

const (
	errorMember = `"error"`
	// mostValue is how much of an error is read: its message comes early.
	mostValue = 2 << 10
)

// Hear takes the next part of the answer.
func (l *Listener) Hear(part []byte) {
	switch {
	case l.doubt:
	case refuses(l.Status):
		l.said = append(l.said, part[:min(len(part), Most-len(l.said))]...)
	case l.Status/100 != 2:
	case IsEvents(l.Type):
		l.follow(part, true)
	case l.heard+len(part) <= Most:
		l.follow(part, false)
	default:
		l.said = nil
	}
	l.heard = min(l.heard+len(part), Most+1)
}

// refuses reports whether a status says no in a way that needs a look at the
// words. 401 needs none.
func refuses(status int) bool { return status/100 == 4 && status != 401 }

// Doubts reports whether the answer may say that the key is no good. whole says
// that it was heard to its end.
func (l *Listener) Doubts(whole bool) bool {
	switch {
	case l.Status/100 == 2:
		if l.heard > Most && !IsEvents(l.Type) {
			return false // a result, since it is so long
		}
		return l.doubt || l.at == inValue && aboutKey.Match(l.said)
	case !refuses(l.Status), !whole && len(bytes.TrimSpace(l.said)) == 0:
		return false
	}
	return Judge(l.Status, l.Type, l.said) == Refused
}

// follow looks for a JSON-RPC error.
func (l *Listener) follow(part []byte, events bool) {
	for len(part) > 0 && !l.doubt {
		switch l.at {
		case before:
			n := l.find(part)
			if n < 0 {
				return
			}
			part, l.at = part[n:], inName
		case inName, inColon:
			part = bytes.TrimLeft(part, " \t\r\n")
			switch {
			case len(part) == 0:
			case l.at == inName && part[0] == ':':
				part, l.at = part[1:], inColon
			case l.at == inColon && part[0] == '{':
				l.at = inValue
			default:
				l.at = before
			}
		case inValue:
			part = l.read(part, events)
		}
	}
}

// find returns where in part the name of the member ends, or -1. The name may
// have begun in an earlier part.
func (l *Listener) find(part []byte) int {
	var joined [2 * len(l.tail)]byte
	n := copy(joined[:], l.tail[:l.tailed])
	n += copy(joined[n:], part[:min(len(part), len(l.tail))])
	end := bytes.Index(joined[:n], []byte(errorMember)) - l.tailed
	if end+l.tailed < 0 {
		if end = bytes.Index(part, []byte(errorMember)); end < 0 {
			if len(part) >= len(l.tail) {
				l.tailed = copy(l.tail[:], part[len(part)-len(l.tail):])
			} else {
				l.tailed = copy(l.tail[:], joined[max(0, n-len(l.tail)):n])
			}
			return -1
		}
	}
	l.tailed = 0
	return end + len(errorMember)
}

// read takes more of the value, up to the end of its event, and returns what is
// left. The value may end earlier, but reading on does no harm in so short an
// answer.
func (l *Listener) read(part []byte, events bool) []byte {
	known := len(l.said)
	l.said = append(l.said, part[:min(len(part), mostValue-known)]...)
	over := len(l.said) == mostValue
	if events {
		from := max(0, known-3)
		for _, blank := range []string{"\n\n", "\r\r", "\r\n\r\n"} {
			if i := bytes.Index(l.said[from:], []byte(blank)); i >= 0 {
				l.said, over = l.said[:max(known, from+i+len(blank))], true
			}
		}
	}
	part = part[len(l.said)-known:]
	if over {
		l.doubt = aboutKey.Match(l.said)
		l.at, l.said = before, l.said[:0]
	}
	return part
}
