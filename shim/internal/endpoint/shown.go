package endpoint

import "net/url"

// ShownURL is the upstream URL as it may be shown. Its query counts as a
// secret, and so does what looks like a key in its path.
func (e Endpoint) ShownURL() string {
	if e.HasQuery {
		return e.ShownBase() + "?" + hidden
	}
	return e.ShownBase()
}

// ShownBase is ShownURL without the query.
func (e Endpoint) ShownBase() string { return hidePath(e.BaseURL) }

// HidesPath reports whether a part of the path is not shown.
func (e Endpoint) HidesPath() bool { return e.ShownBase() != e.BaseURL }

// UpstreamHost is the host of the upstream URL, with its port if it names one.
func (e Endpoint) UpstreamHost() string {
	u, err := url.Parse(e.BaseURL)
	if err != nil {
		return e.BaseURL
	}
	return u.Host
}

// Unencrypted reports whether the key travels over a network without
// encryption. Within this computer it does not.
func (e Endpoint) Unencrypted() bool {
	u, err := url.Parse(e.BaseURL)
	if err != nil || u.Scheme != "http" {
		return false
	}
	switch u.Hostname() {
	case "localhost", "127.0.0.1", "::1":
		return false
	}
	return true
}
