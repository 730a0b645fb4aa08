package notify

import (
	"strconv"
	"strings"
)

// inert makes a text that may hold a stranger's name fit for the ways that
// notifications take on Windows and macOS. One way on Windows leads through a
// PowerShell script, as a string in which $(...) and the backtick are code,
// within XML's CDATA; that on macOS leads through an AppleScript string quoted
// as Go does, whose escapes AppleScript knows only for printable text.
func inert(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '$':
			return '\uff04' // which looks the same
		case r == '`':
			return '\''
		case !strconv.IsPrint(r):
			return -1
		}
		return r
	}, s)
	return strings.ReplaceAll(s, "]]>", "]] >")
}
