package control

import (
	"fmt"
	"net/http"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// Damaged names what of the saved data cannot be read any more.
func (c *Control) Damaged() []api.Damage {
	var all []api.Damage
	for _, d := range c.cfg.Vault.Damages() {
		o := api.Damage{Kind: string(d.Kind), ID: d.ID, Name: web.DamagedName(d.Name), Slug: d.Slug}
		if e, ok := c.cfg.Vault.Endpoint(d.Slug); ok {
			o.Server = e.Name
		}
		o.Words, o.Next = web.DamageWords(o)
		all = append(all, o)
	}
	return all
}

// Notes tells what happened to saved data in this run, and was mended.
func (c *Control) Notes() []api.Note {
	var all []api.Note
	for _, n := range c.cfg.Vault.Notes() {
		all = append(all, api.Note{Kind: string(n.Kind), Time: n.Time, Words: web.NoteWords(string(n.Kind), n.File)})
	}
	return all
}

// RemoveDamaged deletes what cannot be read any more, and what belongs to it.
func (c *Control) RemoveDamaged(kind, id string) error {
	for _, d := range c.cfg.Vault.Damages() {
		if string(d.Kind) == kind && d.ID == id {
			return c.removeDamage(d)
		}
	}
	return httpx.New(http.StatusNotFound, web.TextNotDamaged)
}

func (c *Control) removeDamage(d vault.Damage) error {
	switch d.Kind {
	case vault.DamagedServer:
		return c.remove(d.ID)
	case vault.DamagedKey:
		if err := c.endUsersOf(d.ID); err != nil {
			return err
		}
		return c.changed(c.cfg.Vault.DeleteCredential(d.ID))
	case vault.DamagedSealedKey:
		return httpx.New(http.StatusConflict, web.TextPasteToRepair)
	case vault.DamagedApp:
		return c.Disconnect(d.ID)
	case vault.DamagedSecret:
		return c.changed(c.cfg.Vault.DeleteSecret(d.ID))
	case vault.DamagedReplaced:
		return c.changed(c.cfg.Vault.Forget(d.ID))
	case vault.DamagedSetting:
		return c.changed(c.cfg.Vault.SetSetting(d.ID, nil))
	}
	return fmt.Errorf("damage of the kind %q cannot be removed", d.Kind)
}

// changed tells of a change that has succeeded.
func (c *Control) changed(err error) error {
	if err != nil {
		return c.Explain(err)
	}
	c.Changed()
	return nil
}

// isDamaged reports whether something cannot be read any more.
func (c *Control) isDamaged(kind vault.DamageKind, id string) bool {
	for _, d := range c.cfg.Vault.Damages() {
		if d.Kind == kind && d.ID == id {
			return true
		}
	}
	return false
}
