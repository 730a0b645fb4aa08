package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/key2oauth/key2oauth/shim/internal/safedial"
)

// ProxyVariable is the name of the environment variable that names an HTTP proxy
// for https, or "" if there is none.
func ProxyVariable() string {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
		if os.Getenv(name) != "" {
			return name
		}
	}
	return ""
}

// UseProxy makes https upstreams be reached through the proxy that the
// environment names, or directly, which is the default: the proxy learns which
// upstreams there are. It does not learn the key, because TLS goes through it
// (CONNECT; RFC 9110, Section 9.3.6). Plain http never goes through a proxy.
func (c *Client) UseProxy(on bool) {
	if c.proxied.Swap(on) != on {
		c.Renew()
	}
}

// proxyFor returns the proxy for a request to an https upstream, nil for none.
func (c *Client) proxyFor(g *safedial.Guard) func(*http.Request) (*url.URL, error) {
	return func(req *http.Request) (*url.URL, error) {
		if !c.proxied.Load() {
			return nil, nil
		}
		find := c.FindProxy
		if find == nil {
			find = http.ProxyFromEnvironment // NO_PROXY counts too
		}
		proxy, err := find(req)
		if proxy == nil || err != nil {
			return nil, err
		}
		return proxy, g.CheckName("https", req.URL.Hostname(), cmp.Or(req.URL.Port(), "443"))
	}
}

// A directError is the error of a direct connection on a computer that may only
// have one through a proxy.
type directError struct {
	err      error
	variable string
}

func (e *directError) Error() string {
	return fmt.Sprintf("connecting without the proxy of %s: %v", e.variable, e.err)
}

func (e *directError) Unwrap() error { return e.err }

// direct notes that a connection failed which was made without a proxy although
// the environment names one.
func (c *Client) direct(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); !ok || e.Op != "dial" || c.proxied.Load() {
		return err
	}
	if _, ok := errors.AsType[*safedial.RefusedError](err); ok {
		return err
	}
	if name := ProxyVariable(); name != "" {
		return &directError{err, name}
	}
	return err
}
