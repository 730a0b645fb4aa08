package vault

import (
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/ledger"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/records"
)

var _ oauth.Store = (*Vault)(nil)

// A GrantedName is what connected clients have in common.
type GrantedName = ledger.GrantedName

// A Mark is what lists of grants are made of.
type Mark = ledger.Mark

// checkGrant reports an error unless there are the endpoint and the credential
// of a new grant. They may have been deleted while the consent page was open.
func checkGrant(tx *bbolt.Tx, g oauth.Grant) error {
	switch {
	case tx.Bucket(bucketEndpoints).Get([]byte(g.Slug)) == nil:
		return fmt.Errorf("endpoint %s: %w", g.Slug, ErrNotFound)
	case g.Credential != "" && tx.Bucket(bucketCreds).Get([]byte(g.Credential)) == nil:
		return fmt.Errorf("credential %s: %w", g.Credential, ErrNotFound)
	}
	return nil
}

// dropCredentialOf deletes the credential that a grant alone may use. The
// credential says whose it is: the grant may be damaged.
func (v *Vault) dropCredentialOf(t *transaction, g oauth.Grant) error {
	for id, c := range v.creds {
		if c.Grant == g.ID && g.ID != "" {
			if err := v.dropCredential(t, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// touchEndpoint notes when an endpoint was used last.
func (v *Vault) touchEndpoint(t *transaction, slug string, at time.Time) error {
	r, ok, err := records.Get[endpointRecord](t.Tx, bucketEndpoints, slug)
	if err != nil {
		v.file.NoteDamaged(err)
		return nil // it is only about when it was used
	}
	if !ok || !at.After(r.LastUsed) {
		return nil
	}
	r.LastUsed = at
	t.Then(func() {
		if e := v.endpoints[slug]; e != nil {
			e.LastUsed = at
		}
	})
	return records.Put(t.Tx, bucketEndpoints, slug, r)
}

// orphanAge is how long a credential may wait for the grant that it was pasted
// for. A grant follows within a minute or not at all.
const orphanAge = time.Hour

// Sweep implements oauth.Store. It also deletes credentials that were pasted
// for a grant that was never made, and calls that are too old.
func (v *Vault) Sweep(now time.Time) error {
	if err := v.Ledger.Sweep(now); err != nil {
		return err
	}
	return v.sweepOrphans(now)
}

func (v *Vault) sweepOrphans(now time.Time) error {
	var orphans []string
	v.mu.RLock()
	for id, c := range v.creds {
		if c.Grant != "" && now.Sub(c.Created) > orphanAge {
			orphans = append(orphans, id)
		}
	}
	v.mu.RUnlock()
	err := v.view(func(tx *bbolt.Tx) error {
		orphans = slices.DeleteFunc(orphans, func(id string) bool {
			c, ok := v.credGrant(id)
			return !ok || ledger.HasGrant(tx, c)
		})
		return nil
	})
	if err != nil || len(orphans) == 0 {
		return err
	}
	return v.update(func(t *transaction) error {
		for _, id := range orphans {
			c, ok := v.creds[id]
			if !ok || ledger.HasGrant(t.Tx, c.Grant) {
				continue
			}
			if err := v.dropCredential(t, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// credGrant names the grant that a credential belongs to.
func (v *Vault) credGrant(id string) (grant string, ok bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	c, ok := v.creds[id]
	if !ok {
		return "", false
	}
	return c.Grant, true
}
