package control

import (
	"errors"

	"github.com/key2oauth/key2oauth/shim/internal/vault"
)

// Owned says which copies of the encryption key are this data folder's own, and
// go with everything.
func (c *Control) Owned() vault.Own { return c.cfg.Vault.Owned() }

// DeleteEverything deletes state, keys, the admin token and the master key, and
// ends the program. Calls are cut before the state goes. left says in sentences
// what is still there and what to do about it.
func (c *Control) DeleteEverything() (left []string, err error) {
	c.deleting.Lock()
	defer c.deleting.Unlock()
	select {
	case <-c.deleted:
		return nil, nil
	default:
	}
	c.cfg.Log.Info("the owner has everything deleted")
	c.cfg.Pause(true)
	c.cfg.CloseTunnel()
	for _, e := range c.cfg.Vault.Endpoints() {
		c.cfg.Tokens.EndEndpoint(e.Slug)
	}
	left, err = c.cfg.Vault.Destroy()
	err = errors.Join(err, c.cfg.RemoveToken())
	c.FormKeys.Drop()
	close(c.deleted)
	return left, err
}

// Deleted returns a channel that is closed once everything is deleted.
func (c *Control) Deleted() <-chan struct{} { return c.deleted }
