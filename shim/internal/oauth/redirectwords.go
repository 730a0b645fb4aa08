package oauth

import "net/url"

// RedirectHost is where an answer to a redirect URI goes, as a person would
// name it: the host, or for a custom scheme the scheme and a colon.
func RedirectHost(redirect string) string {
	u, err := url.Parse(redirect)
	switch {
	case err != nil:
		return ""
	case u.Scheme == "http" || u.Scheme == "https":
		return u.Host
	}
	return u.Scheme + ":"
}

// IsLoopbackHost reports whether a host name, without its port, is this
// computer's own.
func IsLoopbackHost(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// The kinds of redirect URIs, by who gets the answer.
const (
	RedirectLoopback = "loopback" // an app on the computer of the browser
	RedirectWebsite  = "https"
	RedirectCustom   = "custom" // an app that has registered a scheme
)

// RedirectKind sorts redirect URIs by who gets the answer. It is empty for what
// is no URI.
func RedirectKind(redirect string) string {
	u, err := url.Parse(redirect)
	switch {
	case err != nil:
		return ""
	case u.Scheme == "http" && IsLoopbackHost(u.Hostname()):
		return RedirectLoopback
	case u.Scheme == "https" || u.Scheme == "http":
		return RedirectWebsite
	}
	return RedirectCustom
}
