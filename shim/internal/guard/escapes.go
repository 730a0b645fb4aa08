package guard

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// The escapes find texts in which some characters are escaped: for JSON (RFC
// 8259, Section 7), once or twice, or percent-encoded (RFC 3986, Section 2.1).
// Encoders differ in which characters they escape and how, so there is no list
// of what comes out: a character is decoded when it is compared.
//
// They also find a text that is torn: the end of a body that is most of one.
type escapes struct {
	texts   []text
	longest int
	has     [128]bool // the characters in the texts
	grams   filter    // of the texts, at every place
	blind   bool      // a text has characters that escapes begin with, so grams tell nothing
	begins  [256]bool // what a text begins with, and escapes
	follows [256]bool // what comes after a backslash in escapes of the characters
}

// A text is a secret or another form of it that has no such escapes.
type text struct {
	form  string
	whole bool // it does not count where it is torn
}

const (
	// maxSlashes is how many backslashes one escape may begin with: those of a
	// backslash that is escaped twice.
	maxSlashes = 4
	// maxWidth is the length of the longest escape, \\u002f.
	maxWidth = 7
)

func (e *escapes) init(texts []text) {
	e.texts = texts
	for _, t := range texts {
		e.longest = max(e.longest, len(t.form))
		for i := range len(t.form) {
			if c := t.form[i]; c < 128 {
				e.has[c] = true
			}
			if i+gramLength <= len(t.form) {
				e.grams.add(binary.LittleEndian.Uint32([]byte(t.form[i : i+gramLength])))
			}
		}
	}
	e.blind = e.has['\\'] || e.has['%']
	e.begins['\\'], e.begins['%'] = true, true
	for _, t := range texts {
		e.begins[t.form[0]] = true
	}
	for c := range e.follows {
		e.follows[c] = e.has['\\'] || c == '\\' || c == 'u'
	}
	e.follows['/'], e.follows['"'] = e.has['/'], e.has['"']
}

// find appends where in p a text stands that has escapes. end says that the body
// ends with p.
func (e *escapes) find(spans []span, p []byte, end bool) []span {
	spans = e.findEscaped(spans, p, '\\', end)
	spans = e.findEscaped(spans, p, '%', end)
	if end {
		spans = e.findTorn(spans, p)
	}
	return spans
}

// findEscaped looks at each escape that begins with this character. Where it may
// be the first one in a text, the places before it are tried at which that text
// may begin.
func (e *escapes) findEscaped(spans []span, p []byte, first byte, end bool) []span {
	tried := 0 // the places before this one were
	for at := 0; ; {
		i := bytes.IndexByte(p[at:], first)
		if i < 0 {
			return spans
		}
		at += i
		if first == '\\' {
			if at+1 < len(p) && !e.follows[p[at+1]] {
				at += 2
				continue
			}
			at += surplus(p[at:])
		}
		c, n := decode(p[at:])
		if n == 0 {
			at = min(at+slashes(p[at:])+1, len(p))
			continue
		}
		if c < 128 && e.has[c] && e.maybe(p, at, c, n) {
			for from := max(tried, at-e.longest); from < at+n; from++ {
				if e.begins[p[from]] {
					spans = e.try(spans, p, from, end)
				}
			}
			tried = at + n
		}
		at += n
	}
}

// maybe reports whether an escape of c at a place, n bytes long, may be the
// first one in a text. Either it has three characters after it there, or it has
// three before it, and these have no escapes.
func (e *escapes) maybe(p []byte, at int, c byte, n int) bool {
	if e.blind {
		return true
	}
	if at >= 3 && e.grams.has(uint32(p[at-3])|uint32(p[at-2])<<8|uint32(p[at-1])<<16|uint32(c)<<24) {
		return true
	}
	gram := uint32(c)
	at += n
	for shift := 8; shift < 32; shift += 8 {
		if at >= len(p) {
			return false
		}
		c, n := decode(p[at:])
		if n == 0 {
			c, n = p[at], 1
		}
		gram |= uint32(c) << shift
		at += n
	}
	return e.grams.has(gram)
}

// try appends the texts that begin at a place.
func (e *escapes) try(spans []span, p []byte, from int, end bool) []span {
	raw := p[from]
	decoded, n := decode(p[from:])
	if n == 0 {
		decoded = raw
	}
	for i := range e.texts {
		t := &e.texts[i]
		if c := t.form[0]; c != raw && c != decoded {
			continue
		}
		length, done := compare(p[from:], t.form)
		if done == len(t.form) || end && from+length == len(p) && t.torn(done) {
			spans = append(spans, span{from, from + length})
		}
	}
	return spans
}

// compare compares p with a text. It returns how many characters of the text it
// begins with, and how long these are in p.
func compare(p []byte, form string) (length, done int) {
	for done < len(form) && length < len(p) {
		c := form[done]
		n := width(p[length:], c)
		if n == 0 && p[length] == c {
			n = 1
		}
		if n == 0 {
			break
		}
		length += n
		done++
	}
	return length, done
}

// width returns the length of an escape of c with which p begins, 0 if with
// none.
func width(p []byte, c byte) int {
	switch p[0] {
	case '\\':
	case '%':
		if got, n := decode(p); n > 0 && got == c {
			return n
		}
		return 0
	default:
		return 0
	}
	k := slashes(p)
	if c == '\\' {
		switch {
		case k >= maxSlashes:
			return maxSlashes
		case k >= 2 && !(k == 2 && isUnicode(p[k:])):
			return 2
		}
	}
	if k > maxSlashes {
		return 0
	}
	got, n := decode(p)
	if n == 0 || got != c || c == '\\' && n == k {
		return 0
	}
	return n
}

// decode decodes an escape with which p begins. n is its length, 0 if there is
// none, or none that is whole.
func decode(p []byte) (c byte, n int) {
	if len(p) >= 3 && p[0] == '%' {
		if high, low := digit(p[1]), digit(p[2]); high >= 0 && low >= 0 {
			return byte(high<<4 | low), 3
		}
		return 0, 0
	}
	k := slashes(p)
	switch {
	case k == 0 || k > maxSlashes || k == len(p):
		return 0, 0
	case p[k] == 'u':
		if k > 2 || !isUnicode(p[k:]) {
			return 0, 0
		}
		return byte(digit(p[k+3])<<4 | digit(p[k+4])), k + 5
	case (p[k] == '/' || p[k] == '"') && k <= 3:
		return p[k], k + 1
	}
	return '\\', k
}

// surplus returns how many of the backslashes with which p begins are more than
// an escape has.
func surplus(p []byte) int {
	k := slashes(p)
	most := maxSlashes
	switch {
	case k == len(p):
	case p[k] == 'u':
		most = 2
	case p[k] == '/', p[k] == '"':
		most = 3
	}
	return max(0, k-most)
}

// isUnicode reports whether p begins with the rest of an escape such as \u002f.
func isUnicode(p []byte) bool {
	return len(p) >= 5 && p[0] == 'u' && p[1] == '0' && p[2] == '0' && '0' <= p[3] && p[3] <= '7' && digit(p[4]) >= 0
}

// slashes counts the backslashes with which p begins.
func slashes(p []byte) (n int) {
	for n < len(p) && p[n] == '\\' {
		n++
	}
	return n
}

// digit returns the value of a hexadecimal digit, -1 of anything else.
func digit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c - 'a' + 10)
	case 'A' <= c && c <= 'F':
		return int(c - 'A' + 10)
	}
	return -1
}

// torn reports whether so many characters of a text, at the end of a body, are
// struck. Stars tell who has the server echo a guess that it is right. A guess
// of three quarters is as hard as one of the whole; if less counted, it could be
// made character by character. With its prefix a text counts only whole: the
// same characters without it count. In HTML three quarters may be few characters
// of the secret.
func (t text) torn(done int) bool { return !t.whole && done >= shortestTorn(len(t.form)) }

func shortestTorn(length int) int { return (3*length + 3) / 4 }

// findTorn appends where at the end of p most of a text stands without escapes.
func (e *escapes) findTorn(spans []span, p []byte) []span {
	if len(p) < gramLength || !e.grams.has(binary.LittleEndian.Uint32(p[len(p)-gramLength:])) {
		return spans
	}
	for _, t := range e.texts {
		for n := min(len(t.form)-1, len(p)); t.torn(n); n-- {
			if from := len(p) - n; strings.HasPrefix(t.form, string(p[from:])) {
				spans = append(spans, span{from, len(p)})
				break
			}
		}
	}
	return spans
}
