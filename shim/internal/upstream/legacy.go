package upstream

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/key2oauth/key2oauth/shim/display"
)

// TextElsewhere is what people read of an ElsewhereError: the server, and where it
// wants messages. Tests compare with it.
const TextElsewhere = "%s wants messages sent to another place, %s. Keys are sent only to the address that you entered, so this server cannot be used."

// An ElsewhereError reports that an upstream of protocol revision 2024-11-05
// wants messages sent to another origin, where its key may not go.
type ElsewhereError struct {
	To *url.URL // without query
}

func (e *ElsewhereError) Error() string {
	return fmt.Sprintf("the upstream wants messages sent to %s", e.To)
}

// Explain describes the problem in a sentence for people. server begins it.
func (e *ElsewhereError) Explain(server string) string {
	return fmt.Sprintf(TextElsewhere, server, display.Text(e.To.Host, 100))
}

// MessageURL resolves ref, the data of an endpoint event, against base, the URL
// of its stream. A URL of another origin than t's, or no URL at all, is an
// *ElsewhereError.
//
// ref is read as browsers read URLs, because upstreams were tested with those
// (WHATWG URL, Section 4.4): spaces around it and line breaks in it are dropped,
// and characters that a query may not contain are escaped.
func (t *Target) MessageURL(base *url.URL, ref string) (*url.URL, error) {
	ref = strings.TrimFunc(ref, func(r rune) bool { return r <= ' ' })
	ref = strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' {
			return -1
		}
		return r
	}, ref)
	to, err := base.Parse(ref)
	if err != nil {
		return nil, &ElsewhereError{&url.URL{Path: "nowhere"}}
	}
	if !sameOrigin(to, t.URL) || to.Opaque != "" {
		return nil, &ElsewhereError{shown(to, t)}
	}
	u := *to
	u.Scheme, u.Host, u.User, u.Fragment, u.RawFragment = t.URL.Scheme, t.URL.Host, nil, "", ""
	u.RawQuery = escapeQuery(u.RawQuery)
	return &u, nil
}

// escapeQuery escapes the bytes that would break a request line.
func escapeQuery(q string) string {
	const hex = "0123456789ABCDEF"
	var out []byte
	for i := range len(q) {
		c := q[i]
		switch {
		case c <= ' ' || c >= 0x7F:
			if out == nil {
				out = append(out, q[:i]...)
			}
			out = append(out, '%', hex[c>>4], hex[c&15])
		case out != nil:
			out = append(out, c)
		}
	}
	if out == nil {
		return q
	}
	return string(out)
}
