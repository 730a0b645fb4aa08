package display

import (
	"strings"
	"unicode/utf8"
)

// MaxName is how many characters of an app's name are shown, quotation marks
// included.
const MaxName = 40

// An App is what is known of who an app is. Its name is what it calls itself,
// which may be anything.
type App struct {
	Name string // as the app calls itself; "" if it does not say
	// Host is the host that served the document of the client's id. It is what
	// that document proves; the name in it is the host's word alone.
	Host string
	// Known says that the document is one of those that came with the program,
	// so the name is the app's.
	Known bool
}

// String names an app wherever a person reads: the name of a known one, the
// host of one that has a document, and what any other calls itself, in
// quotation marks. It has at most MaxName characters.
func (a App) String() string {
	switch name := Text(a.Name, MaxName); {
	case a.Known && name != "":
		return name
	case a.Host != "":
		return shortHost(a.Host)
	case name != "":
		return Quote(a.Name)
	}
	return "An unnamed app"
}

// Claim is the name that an app gives itself, in quotation marks, where its
// identity is another; else "".
func (a App) Claim() string {
	if a.Known || a.Host == "" || Text(a.Name, MaxName) == "" {
		return ""
	}
	return Quote(a.Name)
}

// Full is String with the Claim, for lists that have the room.
func (a App) Full() string {
	if c := a.Claim(); c != "" {
		return a.String() + ", calls itself " + c
	}
	return a.String()
}

// Quote puts a text that a stranger chose into quotation marks, so that it
// cannot be taken for a sentence of ours. Quotation marks inside it become
// apostrophes, or it could end the quotation itself.
func Quote(s string) string {
	return "\u201c" + Text(strings.Map(innerQuote, s), MaxName-2) + "\u201d"
}

// innerQuote replaces what looks like a double quotation mark.
func innerQuote(r rune) rune {
	switch r {
	case '"', '\u00ab', '\u00bb', '\u02ba', '\u02dd', '\u02ee', '\u05f4', '\u201c', '\u201d', '\u201e', '\u201f', '\u2033', '\u2036', '\u275d', '\u275e', '\u2e42', '\u3003', '\u301d', '\u301e', '\u301f', '\uff02':
		return '\''
	}
	return r
}

// shortHost cuts a host at its front: its end says whose it is.
func shortHost(s string) string {
	s = Text(s, NoLimit)
	if n := utf8.RuneCountInString(s); n > MaxName {
		s = ellipsis + string([]rune(s)[n-MaxName+1:])
	}
	return s
}
