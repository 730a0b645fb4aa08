package shimtest

import (
	"context"
	"net"
	"net/http"
	"strings"
)

// A FarClient is a client on the internet: its requests to https://Host arrive at
// Addr as a tunnel delivers them, in the clear and with its address appended
// to X-Forwarded-For. Other requests go where they say.
type FarClient struct {
	Host string // the public host
	Addr string // address of the tunnel's listener
	From string // the client's IP address

	base http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (f *FarClient) RoundTrip(r *http.Request) (*http.Response, error) {
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

// Client returns an HTTP client that uses f.
func (f *FarClient) Client() *http.Client {
	return &http.Client{Transport: f, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
