package control

import (
	"errors"
	"net/http"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// DeletedServers lists the servers that can be restored, the last deleted first.
func (c *Control) DeletedServers() ([]vault.DeletedEndpoint, error) {
	return c.cfg.Vault.DeletedEndpoints()
}

// Restore brings a deleted server back with its address and its keys. Apps have
// to connect again.
func (c *Control) Restore(slug string) error {
	err := c.cfg.Vault.RestoreDeleted(slug)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		return ErrNoServer
	case errors.Is(err, vault.ErrExists):
		return httpx.New(http.StatusConflict, web.TextAddressTaken)
	case err == nil:
		c.cfg.Pulse.Look(slug)
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

// settingSample is the slug of the sample server.
const settingSample = "sample"

// Sample is the slug of the sample server that runs, or that a crash left; "" if
// there is none.
func (c *Control) Sample() string {
	slug, _ := c.cfg.Vault.Setting(settingSample)
	return string(slug)
}

// SetSample notes which server is the sample.
func (c *Control) SetSample(slug string) error {
	return c.Explain(c.cfg.Vault.SetSetting(settingSample, []byte(slug)))
}

// RemoveSample deletes the sample server for good.
func (c *Control) RemoveSample(slug string) error {
	if _, ok := c.cfg.Vault.Endpoint(slug); ok {
		if err := c.remove(slug); err != nil {
			return err
		}
	}
	if err := c.Forget(slug); err != nil && !errors.Is(err, ErrNoServer) {
		return err
	}
	return c.Explain(c.cfg.Vault.SetSetting(settingSample, nil))
}
