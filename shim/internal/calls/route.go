package calls

import (
	"sync/atomic"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
)

// A route is all that a call needs of one credential, ready to use: it is read,
// decrypted and parsed once, and remembered until the state changes.
type route struct {
	credential string
	name       string // of the endpoint
	target     upstream.Target
	rejected   atomic.Bool
	tries      *tries           // nil if there is no key to try
	trouble    endpoint.Trouble // why the key cannot be used
}

// route finds or makes the route of a credential.
func (c *Calls) route(slug, credential string) (*route, error) {
	if known, ok := c.routes.Load(credential); ok {
		return known.(*route), nil
	}
	e, ok := c.cfg.Vault.Endpoint(slug)
	if !ok {
		return nil, vault.ErrNotFound
	}
	cred, ok := c.cfg.Vault.Credential(credential)
	if !ok {
		return nil, vault.ErrNotFound
	}
	key, err := c.cfg.Vault.Key(credential)
	if err != nil {
		return nil, err
	}
	u, err := c.cfg.Vault.UpstreamURL(slug)
	if err != nil {
		return nil, err
	}
	way := &route{credential: credential, name: e.Name, target: upstream.Target{URL: u, Header: e.Header, Key: key}}
	way.target.Ready()
	way.rejected.Store(cred.State == endpoint.Rejected)
	way.tries = c.triesOf(credential, key, cred.State == endpoint.Rejected)
	c.routes.Store(credential, way)
	return way, nil
}

// deadEnd is the route of a credential whose key cannot be used: its calls are
// answered like those of a rejected key, with other words, and the upstream is
// never asked.
func deadEnd(credential, name string, trouble endpoint.Trouble) *route {
	way := &route{credential: credential, name: name, trouble: trouble}
	way.rejected.Store(true)
	return way
}

// refuses reports whether calls are answered without asking the upstream,
// because it rejected the key not long ago, or whether this call tries again.
func (way *route) refuses() (refuse, retry bool) {
	if !way.rejected.Load() {
		return false, false
	}
	retry = way.tries != nil && way.tries.due()
	return !retry, retry
}
