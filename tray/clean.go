package tray

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// How long a name and a sentence in the menu are at most, in characters.
const (
	maxName   = 40
	maxWords  = 70
	maxReason = 300 // in a notification, which breaks lines
)

// name makes a name fit for a line of the menu. Names of clients are chosen by
// strangers.
func name(s string) string {
	if s = clean(s, maxName); !strings.ContainsFunc(s, visible) {
		return t("unnamed")
	}
	return s
}

// clean makes one line of s that shows what it says: without control
// characters, without the invisible ones that turn the rest of a line around
// or hide a part of it, and at most limit characters long.
func clean(s string, limit int) string {
	var b strings.Builder
	space, marks := false, 0
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = true
			continue
		case r == utf8.RuneError, unicode.IsControl(r), invisible(r):
			continue
		case unicode.Is(unicode.Mn, r) && r != emojiStyle:
			// Scripts stack two or three marks; more are drawn over other lines.
			if marks++; marks > 3 {
				continue
			}
		default:
			marks = 0
		}
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space = false
		b.WriteRune(r)
	}
	return shorten(b.String(), limit)
}

const (
	joiner     = '\u200d' // makes one emoji of several, and shapes Indic scripts
	nonJoiner  = '\u200c' // shapes Persian
	emojiStyle = '\ufe0f'
)

// invisible reports whether r is drawn as nothing: format characters, among
// them all that turn the direction of text, and letters that are blanks.
func invisible(r rune) bool {
	switch r {
	case joiner, nonJoiner, emojiStyle:
		return false
	case '\u115f', '\u1160', '\u3164', '\uffa0', '\u2800', '\u034f':
		return true
	}
	return unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}

// visible reports whether r alone leaves a mark.
func visible(r rune) bool {
	return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S)
}

// shorten cuts s to limit characters, the last of which is then an ellipsis.
func shorten(s string, limit int) string {
	r := []rune(s)
	if len(r) <= limit {
		return s
	}
	return strings.TrimRight(string(r[:limit-1]), " \u200d\u200c") + "\u2026"
}

// sentence is words without the full stop, to go on with a dash.
func sentence(words string) string { return strings.TrimSuffix(words, ".") }
