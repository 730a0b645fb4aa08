package control

import (
	"errors"
	"net/http"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// Disconnect ends a grant and cuts its streams.
func (c *Control) Disconnect(id string) error {
	err := c.cfg.Tokens.EndGrant(id)
	if errors.Is(err, oauth.ErrNotFound) {
		return httpx.New(http.StatusNotFound, web.TextNoGrant)
	}
	c.cfg.Timeline.Forget(id)
	c.Changed()
	return c.Explain(err)
}
