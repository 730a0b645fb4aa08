package notify

import (
	"strconv"
	"strings"
)

// inert makes a text that may hold a stranger's name fit for Windows. Where the
// runtime's interface for toasts fails, go-toast runs a PowerShell script that
// holds the text as a string, in which $(...) and the backtick are code, within
// XML's CDATA.
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
