package web

import (
	"html/template"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/key2oauth/key2oauth/shim/display"
)

// Limits of what strangers may put on a page, in characters.
const (
	maxName  = 80
	maxTitle = 140
	maxHost  = 253 // RFC 1035, Section 3.1
	maxURL   = 300
	maxShort = 120 // of a URL where it only reminds
	maxWords = 600
)

func name(s string) string  { return display.Text(s, maxName) }
func words(s string) string { return display.Text(s, maxWords) }
func long(s string) string  { return display.Text(s, maxURL) }
func short(s string) string { return display.Text(s, maxShort) }

// strip cleans a whole page, whose white space stays as it is.
func strip(page string) string {
	var b strings.Builder
	b.Grow(len(page))
	space := func(r rune) bool { return r == ' ' || r == '\n' || r == '\t' || r == '\u00a0' }
	for page != "" {
		n := strings.IndexFunc(page, space)
		if n < 0 {
			n = len(page)
		}
		b.WriteString(display.Text(page[:n], display.NoLimit))
		_, size := utf8.DecodeRuneInString(page[n:])
		b.WriteString(page[n : n+size])
		page = page[n+size:]
	}
	return b.String()
}

// host prepares a host that the reader has to judge. What is too long loses
// its front, never its end: the end says whose host it is. Letters that are
// not ASCII are spelled out, since many look like ones that are.
func host(s string) string {
	var b strings.Builder
	for _, r := range display.Text(s, 4*maxHost) {
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
