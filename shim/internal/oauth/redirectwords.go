package oauth

import "net/url"

// RedirectHost returns where a redirect URI leads, as a person would name it:
// the host, or for a custom scheme the scheme and a colon.
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

// The kinds of redirect URIs, by who gets the answer.
const (
	RedirectLoopback = "loopback" // an app on the computer of the browser
	RedirectWebsite  = "https"
	RedirectCustom   = "custom" // an app that has registered a scheme
)

// RedirectKind returns the kind of a redirect URI, by who gets the answer, or
// "" if it is not a URI.
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
