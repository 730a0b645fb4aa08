package notify

import (
	"strconv"
	"strings"
)

// inert makes a text with a stranger's name safe for Windows. If the runtime's
// interface for toasts fails, go-toast runs a PowerShell script that contains
// the text as a string, in which $(...) and the backtick are code, within
// XML's CDATA.
func inert(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '$':
			return '\uff04' // looks the same
		case r == '`':
			return '\''
		case !strconv.IsPrint(r):
			return -1
		}
		return r
	}, s)
	return strings.ReplaceAll(s, "]]>", "]] >")
}
