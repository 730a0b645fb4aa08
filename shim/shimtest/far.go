package shimtest

import (
	"context"
	"net"
	"net/http"
	"strings"
)

// A Far is somebody on the internet: what he sends to https://Host arrives at
// Addr as a tunnel delivers it, in the clear and with his address appended to
// X-Forwarded-For. All else goes where it says.
type Far struct {
	Host string // the public host
	Addr string // of the listener that the tunnel leads to
	From string // his address

	base http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (f *Far) RoundTrip(r *http.Request) (*http.Response, error) {
	if f.base == nil {
		f.base = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if host, _, _ := net.SplitHostPort(addr); host == f.Host {
				addr = f.Addr
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}}
	}
	if !strings.EqualFold(r.URL.Hostname(), f.Host) {
		return f.base.RoundTrip(r)
	}
	out := r.Clone(r.Context())
	out.URL.Scheme = "http"
	if out.Host == "" {
		out.Host = r.URL.Host
	}
	if out.Header.Get("X-Forwarded-Proto") == "" {
		out.Header.Set("X-Forwarded-Proto", "https")
	}
	out.Header.Add("X-Forwarded-For", f.From)
	resp, err := f.base.RoundTrip(out)
	if resp != nil {
		resp.Request = r
	}
	return resp, err
}

// Client sends by f.
func (f *Far) Client() *http.Client {
	return &http.Client{Transport: f, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
