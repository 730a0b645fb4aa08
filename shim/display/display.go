// Package display makes text that a stranger wrote harmless to show: names
// that apps give themselves, words of servers, names of tools. Such a text must
// not hide a part of itself, reorder or cover the line that it stands in, or
// act on a terminal. Everything that a person reads, on a page, in the tray, in
// a terminal or in a notification, goes through [Text], so that a name looks
// the same everywhere.
package display

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// NoLimit is the limit for a text that may have any length.
const NoLimit = math.MaxInt

const (
	ellipsis = "\u2026"

	// maxMarks is how many combining marks may follow each other. Living scripts
	// need three; a taller stack is drawn over the lines above and below.
	maxMarks = 3

	// maxRunes bounds a character, as a person counts them. The longest emoji in
	// use has 11 runes.
	maxRunes = 16
)

// Text returns s as one line that shows what it holds. Controls, format
// characters, blanks that look like nothing, private use characters, broken
// UTF-8 and stacks of combining marks are removed, and white space is folded
// to single spaces. Joiners and selectors stay where they shape what is seen:
// in emoji, and where RFC 5892, Appendix A.1 and A.2 permit them.
//
// The result has at most limit characters, as a person counts them (grapheme
// clusters, each of a few runes). A longer text is cut between two of them and
// ends with an ellipsis. Text leaves its own result as it is.
func Text(s string, limit int) string {
	if plain(s, limit) {
		return s
	}
	if limit < 1 {
		return ""
	}
	l := line{limit: limit}
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		s = s[n:]
		if unicode.IsSpace(r) {
			l.blank()
			continue
		}
		if !l.fits(r, s) {
			continue
		}
		tags := ""
		if r == blackFlag {
			tags = flagTags(s)
			s = s[len(tags):]
		}
		if !l.add(r, tags) {
			return l.cut()
		}
	}
	return string(l.text)
}

// Bounded is Text for what is stored: it takes fewer characters than limit until
// they have at most size bytes.
func Bounded(s string, limit, size int) string {
	for ; ; limit -= max(1, limit/8) {
		if text := Text(s, limit); len(text) <= size {
			return text
		}
	}
}

// plain reports whether s is printable ASCII that needs no change.
func plain(s string, limit int) bool {
	if len(s) > limit {
		return false
	}
	before := byte(' ')
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' || s[i] == ' ' && before == ' ' {
			return false
		}
		before = s[i]
	}
	return s == "" || before != ' '
}

const (
	firstMark   = '\u0300' // before it nothing joins anything
	zwnj        = '\u200c'
	zwj         = '\u200d'
	emojiStyle  = '\ufe0f'     // variation selector 16
	keycap      = '\u20e3'     // encloses a digit
	blackFlag   = '\U0001f3f4' // base of the flags of subdivisions
	noCharacter = '\ufffc'     // stands for an object
	blankDots   = '\u2800'     // a Braille cell without dots
	blankNote   = '\U0001d159' // a note without a head
)

// A line is the text so far. Its last cluster is what the next rune may join.
type line struct {
	limit int

	text     []byte
	fit      int // length of the text that leaves room for an ellipsis
	clusters int
	space    bool // white space was seen and is not yet in text

	prev     rune // last rune of the cluster, or 0
	runes    int  // of the cluster
	marks    int  // combining marks in a row
	pict     bool // the cluster is an emoji, with what extends it
	glue     bool // the emoji continues: its last rune joins the next one
	dual     bool // the last letter can join the letter after it
	conjunct *unicode.RangeTable
}

func (l *line) blank() {
	l.space = true
	l.prev, l.runes, l.marks = 0, 0, 0
	l.pict, l.glue, l.dual, l.conjunct = false, false, false, nil
}

// fits reports whether r may stand after the cluster and before rest.
func (l *line) fits(r rune, rest string) bool {
	next, _ := utf8.DecodeRuneInString(rest)
	room := maxRunes - l.runes
	switch r {
	case zwj:
		return room >= 2 && (unicode.Is(virama, l.prev) || l.pict && unicode.Is(pictographic, next))
	case zwnj:
		return room >= 1 && (unicode.Is(virama, l.prev) || l.dual && unicode.In(next, rightJoining, dualJoining))
	case emojiStyle:
		return room >= 1 && (unicode.Is(pictographic, l.prev) || keycapBase(l.prev) && next == keycap)
	case utf8.RuneError, noCharacter, blankDots, blankNote:
		return false
	}
	if r < firstMark {
		return unicode.IsPrint(r)
	}
	switch {
	case unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
		return false
	case unicode.Is(unicode.M, r):
		return l.prev != 0 && room >= 1 && (unicode.Is(unicode.Mc, r) || l.marks < maxMarks)
	}
	// New emoji are in the table before they are in package unicode.
	return unicode.IsPrint(r) || unicode.Is(pictographic, r)
}

func keycapBase(r rune) bool { return '0' <= r && r <= '9' || r == '#' || r == '*' }

// add appends r and its tags. It returns false if they are past the limit.
func (l *line) add(r rune, tags string) bool {
	if !l.joins(r) {
		if l.space && len(l.text) > 0 {
			if !l.begin() {
				return false
			}
			l.text = append(l.text, ' ')
		}
		l.space = false
		if !l.begin() {
			return false
		}
		l.runes, l.pict, l.conjunct = 0, unicode.Is(pictographic, r), nil
	}
	l.text = utf8.AppendRune(l.text, r)
	l.text = append(l.text, tags...)
	l.runes += 1 + utf8.RuneCountInString(tags)
	l.note(r)
	if tags != "" {
		l.prev, _ = utf8.DecodeLastRuneInString(tags)
	}
	return true
}

// begin starts a cluster.
func (l *line) begin() bool {
	if l.clusters < l.limit {
		l.fit = len(l.text)
	}
	l.clusters++
	return l.clusters <= l.limit
}

// note keeps what of r matters to the runes that follow.
func (l *line) note(r rune) {
	mark := r >= firstMark && unicode.Is(unicode.M, r)
	l.glue = r == zwj && l.pict
	switch {
	case r == zwnj:
		l.conjunct, l.dual = nil, false
	case r == zwj || r == emojiStyle:
		l.dual = false
	case !mark:
		l.conjunct, l.dual = nil, unicode.Is(dualJoining, r)
	case linkers[r] != nil:
		l.conjunct = linkers[r]
	}
	if !mark || unicode.Is(unicode.Mc, r) {
		l.marks = 0
	} else if r != emojiStyle {
		l.marks++
	}
	l.prev = r
}

// joins reports whether r belongs to the cluster that was begun. These are the
// rules of Unicode Standard Annex 29, as far as fits lets their runes through.
func (l *line) joins(r rune) bool {
	if r < firstMark || l.prev == 0 || l.runes >= maxRunes {
		return false
	}
	switch {
	case unicode.Is(unicode.M, r), r == zwj, r == zwnj, r == '\u0e33', r == '\u0eb3':
		return true
	case l.glue && unicode.Is(pictographic, r):
		return true
	case l.conjunct != nil && unicode.Is(l.conjunct, r) && unicode.Is(unicode.Lo, r):
		return true
	case isTone(r):
		return l.pict && !isTone(l.prev)
	case isRegional(r):
		return isRegional(l.prev) && l.runes == 1
	}
	return joinsHangul(l.prev, r)
}

func isTone(r rune) bool     { return '\U0001f3fb' <= r && r <= '\U0001f3ff' }
func isRegional(r rune) bool { return '\U0001f1e6' <= r && r <= '\U0001f1ff' }

// joinsHangul reports whether two parts of Hangul make one syllable.
func joinsHangul(a, b rune) bool {
	lead := func(r rune) bool { return '\u1100' <= r && r <= '\u115f' || '\ua960' <= r && r <= '\ua97c' }
	vowel := func(r rune) bool { return '\u1160' <= r && r <= '\u11a7' || '\ud7b0' <= r && r <= '\ud7c6' }
	tail := func(r rune) bool { return '\u11a8' <= r && r <= '\u11ff' || '\ud7cb' <= r && r <= '\ud7fb' }
	whole := func(r rune) bool { return '\uac00' <= r && r <= '\ud7a3' }
	open := func(r rune) bool { return whole(r) && (r-'\uac00')%28 == 0 } // without a tail
	switch {
	case lead(b), whole(b):
		return lead(a)
	case vowel(b):
		return lead(a) || vowel(a) || open(a)
	case tail(b):
		return vowel(a) || tail(a) || whole(a)
	}
	return false
}

// flags are the tags that turn a black flag into that of England, Scotland or
// Wales, the only ones in use. Other tags are a way to hide text.
var flags = [...]string{
	"\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
	"\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
	"\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",
}

func flagTags(s string) string {
	for _, tags := range flags {
		if strings.HasPrefix(s, tags) {
			return tags
		}
	}
	return ""
}

// cut ends the text where there is room for an ellipsis.
func (l *line) cut() string {
	return strings.TrimRight(string(l.text[:l.fit]), " \u200c\u200d") + ellipsis
}
