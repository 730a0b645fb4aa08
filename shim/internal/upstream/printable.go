package upstream

import (
	"strings"
	"unicode"
)

// Printable makes one line of at most limit characters out of s and drops what
// is not seen.
func Printable(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return -1
		case r == '"':
			return '\''
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > limit {
		s = string(runes[:limit-1]) + "\u2026"
	}
	return s
}
