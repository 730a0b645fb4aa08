package endpoint

import (
	"encoding/base64"
	"fmt"
	"net/textproto"
	"slices"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/problem"
)

// maxHeader bounds the name of a key header, and its prefix.
const maxHeader = 64

// notForKeys are headers of the request itself, and headers that proxies on
// the way remove. A key in one of them would break everything.
var notForKeys = []string{
	"Host", "Connection", "Keep-Alive", "Te", "Trailer", "Trailers", "Transfer-Encoding", "Upgrade",
	"Cookie", "Cookie2", "Set-Cookie", "Origin", "Referer", "Expect", "Forwarded", "Via", "User-Agent",
	"Http2-Settings", "Last-Event-Id", "Date", "Range", "Cache-Control",
}

// notForKeysPrefix has the prefixes of more such headers.
var notForKeysPrefix = []string{
	"Content-", "Accept", "Mcp-", "Proxy-", "Sec-", "X-Forwarded-", "If-", "Access-Control-", "Ngrok-", "X-Ngrok-",
}

// ParseHeader checks the name of the key's header, and the text in front of
// the key. Errors are sentences for people.
func ParseHeader(name, prefix string) (Header, error) {
	name = strings.TrimSuffix(clean(name), ":")
	switch {
	case name == "":
		return Header{}, problem.Sentence("Enter the name of the header, for example Authorization or X-API-Key.")
	case len(name) > maxHeader:
		return Header{}, problem.Sentence(fmt.Sprintf("The header name is longer than %d characters.", maxHeader))
	case !isToken(name):
		return Header{}, problem.Sentence("The header name may contain only letters, digits and hyphens, for example X-API-Key.")
	}
	// The name stays as it was typed, on the wire and on the page: some servers
	// read CONTEXT7_API_KEY and not Context7_api_key, although case means
	// nothing by RFC 9110, Section 5.1.
	if strings.EqualFold(name, DefaultHeader.Name) {
		name = DefaultHeader.Name
	}
	// Servers behind CGI or WSGI can't distinguish '_' from '-'.
	folded := textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
	if slices.Contains(notForKeys, folded) || slices.ContainsFunc(notForKeysPrefix, func(p string) bool { return strings.HasPrefix(folded, p) }) {
		return Header{}, problem.Sentence(fmt.Sprintf("The header %s can't carry a key: the connection itself needs it. Most servers want Authorization or X-API-Key.", name))
	}
	prefix = strings.TrimLeft(strings.TrimRight(prefix, "\t\r\n"), " \t\r\n")
	if len(prefix) > maxHeader {
		return Header{}, problem.Sentence(fmt.Sprintf("The text in front of the key is longer than %d characters.", maxHeader))
	}
	for _, c := range prefix {
		if c < ' ' || c > '~' {
			return Header{}, problem.Sentence("The text in front of the key may contain only plain letters, digits and punctuation.")
		}
	}
	// RFC 9110, Section 11.4 requires a space after the scheme; people forget
	// it.
	if name == "Authorization" && prefix != "" && isToken(prefix) {
		prefix += " "
	}
	return Header{name, prefix}, nil
}

// isToken is RFC 9110, Section 5.6.2.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// MaxKey bounds an API key, in bytes.
const MaxKey = 8192

// ParseKey accepts a key as it was pasted: with spaces and line ends around
// it, in quotes, with "Bearer " or the whole header in front. Errors are
// sentences for people and never contain any of the key.
func ParseKey(pasted string, h Header) (Secret, error) {
	// Twice the limit leaves room for what is trimmed. Longer text is not
	// parsed.
	if len(pasted) > 2*MaxKey {
		return Secret{}, tooLong(len(pasted))
	}
	key := unwrap(pasted, h)
	if key == "" {
		return Secret{}, problem.Sentence("Paste the API key: the field is empty.")
	}
	for i, c := range key {
		switch {
		case c == '\r' || c == '\n':
			return Secret{}, problem.Sentence("The key contains a line break. Copy only the key, without the lines around it.")
		case c < ' ' || c == 0x7f:
			return Secret{}, problem.Sentence(fmt.Sprintf("The key contains an invisible control character, after %s. Copy it again.", characters(i)))
		case c > '~':
			return Secret{}, problem.Sentence(fmt.Sprintf("The key contains a character that keys never have: %s, after %s. Copy it again, with the server's copy button if it has one.",
				describe(c), characters(len([]rune(key[:i])))))
		}
	}
	if len(key) > MaxKey {
		return Secret{}, tooLong(len(key))
	}
	// RFC 7617, Section 2: user name and password are sent encoded. An encoded
	// key has no colon.
	if strings.EqualFold(h.Prefix, "Basic ") && strings.Contains(key, ":") {
		key = base64.StdEncoding.EncodeToString([]byte(key))
	}
	return NewSecret(key), nil
}

// unwrap removes what people copy along with a key.
func unwrap(s string, h Header) string {
	fronts := []string{h.Name + ":", "Authorization:", h.Prefix, "Bearer "}
	for range 4 {
		before := s
		s = clean(s)
		for _, q := range []string{`"`, `'`, "`"} {
			if len(s) >= 2 && strings.HasPrefix(s, q) && strings.HasSuffix(s, q) {
				s = clean(s[1 : len(s)-1])
			}
		}
		for _, f := range fronts {
			if strings.TrimSpace(f) == "" || strings.TrimSpace(f) == ":" {
				continue
			}
			if len(s) > len(f) && strings.EqualFold(s[:len(f)], f) {
				s = clean(s[len(f):])
			}
		}
		if s == before {
			break
		}
	}
	// "Bearer" alone is not a key.
	for _, f := range fronts {
		if f = strings.TrimSpace(f); f != "" && strings.EqualFold(s, f) {
			return ""
		}
	}
	return s
}

func tooLong(n int) error {
	return problem.Sentence(fmt.Sprintf("The key is too long: %d bytes, but at most %d can be sent. Did you copy more than the key?", n, MaxKey))
}

func characters(n int) string {
	if n == 1 {
		return "1 character"
	}
	return fmt.Sprintf("%d characters", n)
}

// describe names a character without showing more of the key.
func describe(c rune) string {
	for _, known := range []struct {
		chars, name string
	}{
		{"\u200b\u200c\u200d\u2060\ufeff\u00ad", "an invisible character"},
		{"\u00a0\u2007\u202f", "a special space"},
		{"\u2010\u2011\u2012\u2013\u2014\u2212", "a long dash"},
		{"\u2018\u2019\u201c\u201d", "a curly quotation mark"},
		{"\u2026", "an ellipsis (the key was shown shortened)"},
		{"\u2022\u25cf\u00b7\u2219", "a dot that hides a character (the key was shown hidden)"},
		{"\ufffd", "a broken character"},
	} {
		if strings.ContainsRune(known.chars, c) {
			return fmt.Sprintf("%s (U+%04X)", known.name, c)
		}
	}
	return fmt.Sprintf("U+%04X", c)
}
