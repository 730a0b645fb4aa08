package control

import (
	"errors"
	"net/http"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/sealed"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// DeletedServers lists the servers that can be restored, the last deleted first.
func (c *Control) DeletedServers() ([]sealed.Deleted, error) { return c.cfg.Vault.DeletedEndpoints() }

// Restore brings a deleted server back with its address and its keys. Apps have
// to connect again.
func (c *Control) Restore(slug string) error {
	err := c.cfg.Vault.RestoreDeleted(slug)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		return ErrNoServer
	case errors.Is(err, vault.ErrExists):
		return httpx.New(http.StatusConflict, web.TextAddressTaken)
	}
	return c.changed(err)
}

// Forget deletes a deleted server for good.
func (c *Control) Forget(slug string) error {
	err := c.cfg.Vault.ForgetDeleted(slug)
	if errors.Is(err, vault.ErrNotFound) {
		return ErrNoServer
	}
	return c.changed(err)
}
