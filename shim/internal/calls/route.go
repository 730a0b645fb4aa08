package calls

import (
	"math"
	"sync/atomic"
	"time"

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
	nextTry    atomic.Int64 // Unix nanoseconds; a rejected credential is not tried before
}

// retryRejected is how long a rejected credential is left alone between tries.
const retryRejected = 30 * time.Second

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
	c.routes.Store(credential, way)
	return way, nil
}

// deadEnd is the route of a credential whose key is gone: its calls are
// answered like those of a rejected key, and the upstream is never asked.
func deadEnd(credential, name string) *route {
	way := &route{credential: credential, name: name}
	way.rejected.Store(true)
	way.nextTry.Store(math.MaxInt64)
	return way
}

// refuses reports whether calls are answered without asking the upstream,
// because it rejected the key moments ago.
func (way *route) refuses() bool {
	if !way.rejected.Load() {
		return false
	}
	now, next := time.Now().UnixNano(), way.nextTry.Load()
	return now < next || !way.nextTry.CompareAndSwap(next, now+int64(retryRejected))
}
