package web

import (
	"html/template"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of what strangers may put on a page, in runes.
const (
	maxName  = 80
	maxHost  = 253 // RFC 1035, Section 3.1
	maxURL   = 300
	maxShort = 120 // of a URL where it only reminds
	maxWords = 600
)

// maxMarks is how many combining marks may follow each other. Living scripts
// need three; towers of them are drawn over the lines above and below.
const maxMarks = 3

// Clean makes a stranger's text fit to be shown in one line: characters that
// cannot be seen or that turn the reading direction are dropped, white space
// is folded, and what is longer than max runes is cut.
func Clean(s string, max int) string {
	return cut(max, strings.Join(strings.Fields(strip(s)), " "))
}

// strip drops what can hide, reorder or fake the text around it. Newlines and
// tabs stay.
func strip(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	marks := 0
	for _, r := range s {
		if r == utf8.RuneError || invisible(r) {
			continue // and what it stood between is together now
		}
		if !unicode.Is(unicode.Mn, r) && !unicode.Is(unicode.Me, r) {
			marks = 0
		} else if marks++; marks > maxMarks {
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// invisible reports whether r draws nothing or acts on its neighbors: controls,
// all of category Cf (bidi marks, zero-width characters, tags), separators that
// break lines, variation selectors, and letters that are blank by design.
func invisible(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Variation_Selector, r):
		return true
	}
	switch r {
	case 0x2028, 0x2029, 0x034f, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x2800, 0x3164, 0xffa0:
		return true
	}
	return false
}

// cut shortens s to max runes. The argument order suits template pipelines.
func cut(max int, s string) string {
	if len(s) <= max || utf8.RuneCountInString(s) <= max {
		return s
	}
	r := []rune(s)
	return strings.TrimRight(string(r[:max-1]), " ") + "\u2026"
}

func name(s string) string  { return Clean(s, maxName) }
func words(s string) string { return Clean(s, maxWords) }
func long(s string) string  { return Clean(s, maxURL) }
func short(s string) string { return Clean(s, maxShort) }

// host prepares a host that the reader has to judge. What is too long loses
// its front, never its end: the end says whose host it is. Letters that are
// not ASCII are spelled out, since many look like ones that are.
func host(s string) string {
	var b strings.Builder
	for _, r := range Clean(s, 4*maxHost) {
		if r < utf8.RuneSelf || r == '\u2026' {
			b.WriteRune(r)
			continue
		}
		q := strconv.QuoteRuneToASCII(r)
		b.WriteString(q[1 : len(q)-1])
	}
	r := []rune(b.String())
	if len(r) <= maxHost {
		return string(r)
	}
	return "\u2026" + string(r[len(r)-maxHost+1:])
}

// hostHTML is host in large type: lines break after its dots, so that no label
// is torn in two and read as another one.
func hostHTML(s string) template.HTML {
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(host(s)), ".", ".<wbr>"))
}
