package endpoint

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"unicode"

	"github.com/key2oauth/key2oauth/shim/display"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/safedial"
)

// slugLen characters of 36 are 62 bits, too many to guess.
const slugLen = 12

const slugAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789"

// NewSlug returns a random path segment. It reveals nothing about the
// endpoint, since metadata is public.
func NewSlug() string {
	// 252 is the largest multiple of 36 in a byte. Larger bytes would favor
	// the first letters, so they are drawn again.
	const limit = 256 - 256%len(slugAlphabet)
	slug := make([]byte, 0, slugLen)
	var draw [2 * slugLen]byte
	for {
		rand.Read(draw[:])
		for _, b := range draw {
			if int(b) >= limit {
				continue
			}
			slug = append(slug, slugAlphabet[int(b)%len(slugAlphabet)])
			if len(slug) == slugLen {
				return string(slug)
			}
		}
	}
}

// MCPURL returns the address that people paste into a client.
func MCPURL(origin, slug string) string { return origin + "/" + slug + "/mcp" }

// maxURL bounds an upstream URL.
const maxURL = 2048

var errLongURL = problem.Sentence(fmt.Sprintf("The URL is longer than %d characters.", maxURL))

// plainNote comes with an http upstream on the network.
const plainNote = "This address is not encrypted. Others on this network could read the key."

// TextUseHTTPS is what is wrong with an http upstream on the internet. Tests
// compare with it.
const TextUseHTTPS = "Use https:// for this address: it is public, and http would send the key unencrypted."

// ParseUpstream checks a typed upstream URL. Errors and note are sentences for
// people. note is not empty if the key will cross the network unencrypted.
// Whether a name really leads to the private network is decided when
// connecting, by its address.
func ParseUpstream(s string) (u *url.URL, note string, err error) {
	if hides(s) {
		return nil, "", problem.Sentence("A part of this URL is hidden (\u2026). Enter the whole URL.")
	}
	return ParseStored(s)
}

// ParseStored is ParseUpstream for a URL that comes from a file of ours, where a
// part may be hidden.
func ParseStored(s string) (u *url.URL, note string, err error) {
	s = clean(s)
	switch {
	case s == "":
		return nil, "", problem.Sentence("Enter the URL of the MCP server, for example https://mcp.example.com/mcp.")
	case len(s) > maxURL:
		return nil, "", errLongURL
	}
	if !strings.Contains(s, "://") {
		return nil, "", problem.Sentence("The URL must begin with https:// (or http:// for a server on this computer or network).")
	}
	u, err = url.Parse(s)
	if err != nil || u.Opaque != "" {
		// The error of url.Parse repeats the URL, whose query may be a secret.
		return nil, "", problem.Sentence("This is not a valid URL. Copy it again from the server's documentation.")
	}
	u.Scheme = strings.ToLower(u.Scheme)
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, "", problem.Sentence("The URL must begin with https:// (or http:// for a server on this computer or network).")
	case u.User != nil:
		return nil, "", problem.Sentence("The URL must not contain a user name or password. Remove the part before the @, and paste the key into the key field.")
	case u.Fragment != "" || strings.Contains(s, "#"):
		return nil, "", problem.Sentence("The URL must not contain a #. Remove it and everything after it.")
	}
	if u.Host, err = parseHost(u); err != nil {
		return nil, "", err
	}
	if u.Path == "" {
		u.Path = "/"
	}
	u.RawQuery = escapeQuery(u.RawQuery)
	if len(u.String()) > maxURL {
		return nil, "", errLongURL // other scripts grow when they are escaped
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		note = plainNote
	}
	return u, note, nil
}

// isLoopback reports whether a host is this computer by its name alone.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// escapeQuery escapes characters that a request line must not contain. The
// rest of a query stays as typed: only the upstream knows what it means.
func escapeQuery(q string) string {
	var b strings.Builder
	for _, c := range []byte(q) {
		if c <= ' ' || c > '~' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// parseHost checks the host and port of u and returns them in normal form.
func parseHost(u *url.URL) (string, error) {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if host == "" {
		return "", problem.Sentence("The URL has no server name. It should look like https://mcp.example.com/mcp.")
	}
	if n := strings.TrimLeft(port, "0123456789"); n != "" || len(port) > 5 || strings.HasSuffix(u.Host, ":") {
		return "", problem.Sentence("The number after the colon (the port) is not valid.")
	}
	if p := atoi(port); port != "" && (p < 1 || p > 65535) {
		return "", problem.Sentence("The number after the colon (the port) must be between 1 and 65535.")
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return "", problem.Sentence("The address must not contain a zone (the part after %).")
		}
		if why := safedial.Judge(addr, u.Scheme); why != "" {
			if safedial.Judge(addr, "https") == "" && !safedial.IsShared(addr) {
				return "", problem.Sentence(TextUseHTTPS)
			}
			return "", problem.Sentence(fmt.Sprintf("Key2OAuth does not connect to %s: %s.", addr, why))
		}
	} else if !isName(host) {
		return "", problem.Sentence("The server's name is not valid. Names with letters beyond a to z must be written in their xn-- form.")
	}
	if u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		port = ""
	}
	if port != "" {
		return net.JoinHostPort(host, port), nil
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]", nil
	}
	return host, nil
}

// isName reports whether host can be a DNS name. Names that end in a number
// cannot: some resolvers read 0x7f.1 or 2130706433 as an address.
func isName(host string) bool {
	if len(host) > 253 {
		return false
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		if strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	last := labels[len(labels)-1]
	return strings.Trim(last, "0123456789") != "" && !strings.HasPrefix(last, "0x")
}

func atoi(s string) (n int) {
	for _, c := range []byte(s) {
		n = n*10 + int(c-'0')
	}
	return n
}

// MaxName bounds a display name, in characters.
const MaxName = 80

// ParseName checks a display name. If nothing is left of s, the name is the
// upstream's host.
func ParseName(s, fallbackHost string) (string, error) {
	s = oneLine(s)
	if s == "" {
		s = oneLine(fallbackHost)
	}
	if s == "" {
		return "", problem.Sentence("Enter a name.")
	}
	if display.Text(s, MaxName) != s {
		return "", problem.Sentence(fmt.Sprintf("The name is longer than %d characters.", MaxName))
	}
	return s, nil
}

// ParseLabel checks the owner's name for a key.
func ParseLabel(s string) (string, error) {
	s = oneLine(s)
	switch {
	case s == "":
		return "", problem.Sentence("Enter a name for the key.")
	case display.Text(s, MaxName) != s:
		return "", problem.Sentence(fmt.Sprintf("The name is longer than %d characters.", MaxName))
	}
	return s, nil
}

// oneLine returns the visible part of a typed name.
func oneLine(s string) string { return display.Text(s, display.NoLimit) }

// clean trims spaces, line ends and invisible characters that copying leaves
// around a value.
func clean(s string) string {
	return strings.TrimFunc(s, func(r rune) bool {
		return r == 0 || unicode.IsSpace(r) || unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
	})
}
