package oauth

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Parameters that the answer adds. A redirect URI that already has one would
// make it occur twice.
var answerParams = []string{"code", "state", "iss", "error", "error_description", "error_uri"}

// checkRedirectURI returns what is wrong with a redirect URI, if anything.
// https, http to this computer, and the schemes of apps are allowed, RFC 8252,
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
	if !isPort(u.Port()) {
		return errors.New("the port must be a number up to 65535, without zeros in front")
	}
	switch u.Scheme { // url.Parse lowers the case
	case "https":
		if u.Hostname() == "" || strings.Contains(u.Host, "%") {
			return errors.New("the host is missing or escaped")
		}
		return nil
	case "http":
		if !IsLoopbackHost(u.Hostname()) {
			return errors.New("http is allowed for 127.0.0.1, [::1] and localhost only; use https")
		}
		return nil
	}
	if !isAppScheme(u.Scheme) {
		return errScheme
	}
	if u.Opaque != "" || !strings.HasPrefix(s[len(u.Scheme):], ":/") {
		return errors.New("a private-use scheme must be followed by :/")
	}
	if slices.Contains(appSchemes, u.Scheme) {
		return checkAppLink(u)
	}
	return nil
}

// isPort reports whether a port, if there is any, has its one usual spelling.
// Browsers take 07450 for 7450.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return s == "" || err == nil && strconv.FormatUint(n, 10) == s
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

// loopbackHosts are the hosts of redirect URIs that are this computer: the
// literals of RFC 8252, Section 7.3, and the name that Claude Code and others use.
// No other spelling of them is taken, so that none is one thing when it is
// registered and another when a person reads where an answer goes.
var loopbackHosts = []string{"127.0.0.1", "[::1]", "localhost"}

// IsLoopbackHost reports whether a host name, without its port and brackets, is
// this computer.
func IsLoopbackHost(host string) bool {
	return slices.ContainsFunc(loopbackHosts, func(h string) bool { return strings.Trim(h, "[]") == host })
}

// ownRedirect reports whether the answer would come to ourselves: our pages must
// not be opened with what a stranger chose. A registered loopback address without
// a port stands for any port.
func (s *Server) ownRedirect(uri string, registered bool) bool {
	u, err := url.Parse(uri)
	if err != nil || s.Own == nil || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	port := strings.TrimLeft(u.Port(), "0")
	if port == "" && !(registered && u.Scheme == "http") {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return s.Own(strings.TrimSuffix(u.Hostname(), "."), port)
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
	for _, host = range loopbackHosts {
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
