package oauth

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// appSchemes are private-use schemes without a dot that well-known apps have
// registered with the operating system. RFC 8252, Section 7.1 wants the reverse
// of a domain name, which is what any other app has to use. There is no list of
// schemes to refuse: operating systems and browsers act on many hundred, which
// install packages, open settings or start programs that never asked for it.
var appSchemes = []string{
	"antigravity", "boltai", "cherrystudio", "claude", "cursor", "cursor-nightly", "goose", "jetbrains", "kiro", "lmstudio", "opencode",
	"raycast", "trae", "vscode", "vscode-insiders", "vscodium", "warp", "windsurf", "windsurf-next", "zed",
}

// topLabels are the top-level domains, besides those of countries, with which a
// reversed domain name may begin. It is no complete list. Without one, names of
// the operating system such as "microsoft.windows.camera" and
// "x-apple.systempreferences" would pass for domain names.
var topLabels = []string{"ai", "app", "cloud", "codes", "com", "dev", "edu", "info", "io", "me", "net", "org", "sh", "software", "systems", "tech", "tools", "xyz"}

// systemNames begin the reversed names under which operating systems have
// schemes of their own.
var systemNames = []string{"com.apple.", "com.microsoft.", "com.android.", "com.google.android.", "org.freedesktop.", "org.gnome.", "org.kde."}

var errScheme = errors.New("links with this scheme are not opened; use https, http to 127.0.0.1, or the reverse of a domain name of yours, such as com.example.app:/callback")

// isAppScheme reports whether a scheme is one that an app may have registered.
func isAppScheme(scheme string) bool {
	if slices.Contains(appSchemes, scheme) {
		return true
	}
	labels := strings.Split(scheme, ".")
	if len(labels) < 2 || slices.Contains(labels, "") || slices.ContainsFunc(systemNames, func(n string) bool { return strings.HasPrefix(scheme+".", n) }) {
		return false
	}
	country := len(labels[0]) == 2 && strings.Trim(labels[0], "abcdefghijklmnopqrstuvwxyz") == ""
	return country || slices.Contains(topLabels, labels[0])
}

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
	if !isAppScheme(u.Scheme) {
		return errScheme
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
