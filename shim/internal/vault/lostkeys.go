package vault

import (
	"bytes"
	"cmp"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/stored"
)

// A lost key is one whose credential's record cannot be read. Nothing is sent
// with it, but its server must say that it needs the key, and pasting the key
// again repairs the record, so that its apps stay connected.

// lostLabel names a key whose record does not say what it was called.
const lostLabel = "damaged key"

// LostKeys lists the credentials whose records cannot be read, of the servers
// that they belong to as far as that is known.
func (v *Vault) LostKeys() (all []endpoint.Credential) {
	for _, e := range v.file.Damaged() {
		if e.Bucket == string(stored.Credentials) {
			if c := v.lostKey(e.Key); c.Slug != "" {
				all = append(all, c)
			}
		}
	}
	slices.SortFunc(all, func(a, b endpoint.Credential) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(all, func(a, b endpoint.Credential) bool { return a.ID == b.ID })
}

// lostKey finds out what a record was that cannot be read. The apps that use it
// know best which server it is for, then what can be read, and then what of its
// bytes is the slug of a server. It has no slug if that is not known.
func (v *Vault) lostKey(id string) endpoint.Credential {
	c := endpoint.Credential{ID: id, Label: lostLabel, State: endpoint.KeyNeeded}
	var users []string
	v.EachMark(func(m Mark) {
		if m.Uses(id) {
			users = append(users, string(m.ID))
		}
	})
	users = slices.DeleteFunc(users, func(grant string) bool {
		g, err := v.Grant(grant)
		if err != nil || g.Credential != id {
			return true
		}
		c.Slug = g.Slug
		return false
	})
	var guess stored.Credential
	var raw []byte
	v.view(func(tx *bbolt.Tx) error {
		guess = records.Guess[stored.Credential](tx, stored.Credentials, id)
		raw = bytes.Clone(tx.Bucket(stored.Credentials).Get([]byte(id)))
		return nil
	})
	if label, err := endpoint.ParseLabel(guess.Label); err == nil {
		c.Label = label
	}
	c.Created = guess.Created
	// A key that one app alone may use stays that app's.
	if i := slices.IndexFunc(users, func(grant string) bool { return bytes.Contains(raw, []byte(grant)) }); i >= 0 {
		c.Grant = users[i]
	}
	if c.Slug == "" {
		c.Slug = guess.Slug
	}
	if _, ok := v.Endpoint(c.Slug); ok {
		return c
	}
	c.Slug = ""
	for _, e := range v.Endpoints() {
		if bytes.Contains(raw, []byte(e.Slug)) {
			c.Slug = e.Slug
		}
	}
	return c
}

// LostKey returns a credential whose record cannot be read.
func (v *Vault) LostKey(id string) (c endpoint.Credential, ok bool) {
	all := v.LostKeys()
	i := slices.IndexFunc(all, func(c endpoint.Credential) bool { return c.ID == id })
	if i < 0 {
		return c, false
	}
	return all[i], true
}

// Credentials lists the credentials of an endpoint, and those that are lost
// last.
func (v *Vault) Credentials(slug string) []endpoint.Credential {
	all := v.Store.Credentials(slug)
	for _, c := range v.LostKeys() {
		if c.Slug == slug {
			all = append(all, c)
		}
	}
	return all
}

// CredentialsOfAll is Credentials for all endpoints, by slug.
func (v *Vault) CredentialsOfAll() map[string][]endpoint.Credential {
	all := v.Store.CredentialsOfAll()
	for _, c := range v.LostKeys() {
		all[c.Slug] = append(all[c.Slug], c)
	}
	return all
}

// ReplaceKey puts another key into a credential, also into one that is lost. The
// grants that use it keep working.
func (v *Vault) ReplaceKey(id string, key endpoint.Secret, state endpoint.CredentialState) error {
	c, ok := v.LostKey(id)
	if !ok {
		return v.Store.ReplaceKey(id, key, state)
	}
	c.State = state
	if c.Created.IsZero() {
		c.Created = v.now()
	}
	return v.RepairKey(c, key)
}
