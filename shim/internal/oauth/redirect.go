package oauth

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Schemes that a browser or an operating system acts on directly, and hosts
// whose scheme was forgotten. A redirect to one of them would run the answer
// as a script, open a file, or start a program that never asked for it.
var deniedSchemes = []string{
	"about", "acap", "blob", "cid", "chrome", "chrome-extension", "chrome-untrusted", "data", "edge", "feed",
	"file", "filesystem", "ftp", "ftps", "gopher", "hcp", "imap", "intent", "jar", "javascript", "ldap", "ldaps",
	"livescript", "localhost", "mailto", "mhtml", "mid", "mocha", "moz-extension", "ms-msdt", "ms-officecmd", "ms-search",
	"ms-settings", "nfs", "nntp", "news", "res", "resource", "search", "search-ms", "sftp", "shell", "sip", "sips",
	"smb", "sms", "ssh", "tel", "telnet", "urn", "vbscript", "view-source", "ws", "wss",
}

// Parameters that the answer adds. A redirect URI that already has one would
// make it occur twice.
var answerParams = []string{"code", "state", "iss", "error", "error_description", "error_uri"}

// checkRedirectURI returns what is wrong with a redirect URI, if anything.
// https, http to this computer, and private-use schemes are allowed, RFC 8252,
// Section 7.1.
func checkRedirectURI(s string) error {
	if len(s) > maxURI {
		return errors.New("longer than 2,048 bytes")
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ' || c >= 0x7f:
			return errors.New("white space, control and non-ASCII characters are not allowed")
		case strings.IndexByte("\\*<>\"^`{|}", c) >= 0:
			return errors.New("wildcards, quotes and backslashes are not allowed")
		case c == '#':
			return errors.New("a fragment is not allowed")
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" {
		return errors.New("not an absolute URI")
	}
	if u.User != nil {
		return errors.New("user information is not allowed")
	}
	if err := checkQuery(u.RawQuery); err != nil {
		return err
	}
	switch u.Scheme { // url.Parse lowers the case
	case "https":
		if u.Hostname() == "" || strings.Contains(u.Host, "%") {
			return errors.New("the host is missing or escaped")
		}
		return nil
	case "http":
		if !isLoopback(u.Hostname()) {
			return errors.New("http is allowed for 127.0.0.1, [::1] and localhost only; use https")
		}
		return nil
	}
	if slices.Contains(deniedSchemes, u.Scheme) {
		return errors.New("this scheme is not allowed")
	}
	if u.Opaque != "" || !strings.HasPrefix(s[len(u.Scheme):], ":/") {
		return errors.New("a private-use scheme must be followed by :/")
	}
	return nil
}

func checkQuery(raw string) error {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return errors.New("the query is not correctly encoded")
	}
	for _, p := range answerParams {
		if q.Has(p) {
			return errors.New("the query must not contain " + p)
		}
	}
	return nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Zone() == "" && a.IsLoopback() && !a.Is4In6()
}

// redirectMatches reports whether a requested redirect URI is one the client
// registered. RFC 9700, Section 2.1 requires an exact match, with one
// exception: RFC 8252, Section 7.3 lets a native app choose its loopback port
// at request time. The RFC speaks of IP literals, but Claude Code and others
// register "localhost", so that name counts too. It is not the same as
// 127.0.0.1.
func redirectMatches(registered, requested string) bool {
	if registered == requested {
		return true
	}
	host1, rest1, ok1 := splitLoopback(registered)
	host2, rest2, ok2 := splitLoopback(requested)
	return ok1 && ok2 && host1 == host2 && rest1 == rest2
}

// splitLoopback removes the port from a loopback http URI.
func splitLoopback(s string) (host, rest string, ok bool) {
	s, ok = strings.CutPrefix(s, "http://")
	if !ok {
		return "", "", false
	}
	for _, host = range []string{"127.0.0.1", "[::1]", "localhost"} {
		if rest, ok = strings.CutPrefix(s, host); ok {
			break
		}
	}
	if !ok {
		return "", "", false
	}
	if port, ok := strings.CutPrefix(rest, ":"); ok {
		n := 0
		for n < len(port) && '0' <= port[n] && port[n] <= '9' {
			n++
		}
		if n == 0 || n > 5 {
			return "", "", false
		}
		rest = port[n:]
	}
	if rest != "" && rest[0] != '/' && rest[0] != '?' {
		return "", "", false
	}
	return host, rest, true
}

// matchesAny reports whether requested matches one of the client's redirect
// URIs.
func (c *Client) matchesAny(requested string) bool {
	return checkRedirectURI(requested) == nil &&
		slices.ContainsFunc(c.RedirectURIs, func(r string) bool { return redirectMatches(r, requested) })
}

// addQuery appends parameters to a redirect URI and keeps its query, RFC 6749,
// Section 3.1.2. It works on the text, because parsing and printing would
// change URIs of private-use schemes. pairs are names and values; a pair with
// an empty value is left out.
func addQuery(uri string, pairs ...string) string {
	var b strings.Builder
	b.WriteString(uri)
	sep := byte('?')
	if i := strings.IndexByte(uri, '?'); i >= 0 {
		sep = '&'
		if last := uri[len(uri)-1]; last == '?' || last == '&' {
			sep = 0
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		if sep != 0 {
			b.WriteByte(sep)
		}
		sep = '&'
		b.WriteString(pairs[i])
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(pairs[i+1]))
	}
	return b.String()
}
