package control

import (
	"context"
	"slices"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/trial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
)

// What consent needs of the state: whom the owner approved before, and the key
// that an approval is about.

// KnownRedirect reports whether the owner has approved an answer to exactly
// this URI before.
func (c *Control) KnownRedirect(uri string) bool { return c.cfg.Vault.HasRedirect(uri) }

// Key opens a saved key.
func (c *Control) Key(credential string) (endpoint.Secret, error) { return c.cfg.Vault.Key(credential) }

// TryKey tries a key at the upstream of an endpoint, in the header that the
// endpoint has. For the owner it also finds out in which other one the upstream
// wants it, while that is not known. What it learned is saved, unless a saved
// key other than this one needs the old header. An error is about our own state.
func (c *Control) TryKey(ctx context.Context, e endpoint.Endpoint, saved string, key endpoint.Secret, owner bool) (trial.Verdict, error) {
	var others []endpoint.Header
	if owner && !e.HeaderKnown {
		others = endpoint.UsualHeaders[1:]
	}
	u, err := c.cfg.Vault.UpstreamURL(e.Slug)
	if err != nil {
		return trial.Verdict{}, c.Explain(err)
	}
	v := c.cfg.Trials.TryHeaders(ctx, upstream.Target{URL: u, Header: e.Header, Key: key}, others)
	c.cfg.Pulse.TakeTrial(e.Slug, v)
	needed := slices.ContainsFunc(c.cfg.Vault.Credentials(e.Slug), func(c endpoint.Credential) bool { return c.ID != saved })
	if v.Header != e.Header && needed {
		return v, nil
	}
	return v, c.Explain(c.learnHeader(e, v))
}

// SaveKey saves a key of an endpoint. grant is empty for the owner's keys, and
// names the only grant that may use the key otherwise.
func (c *Control) SaveKey(slug, grant string, key endpoint.Secret, state endpoint.CredentialState) (endpoint.Credential, error) {
	return c.cfg.Vault.SaveCredential(slug, grant, key, state)
}

// MarkWorking records that a saved key works.
func (c *Control) MarkWorking(credential string) error {
	return c.cfg.Vault.SetCredentialState(credential, endpoint.Working)
}

// DropKey deletes a key that no grant has used yet.
func (c *Control) DropKey(credential string) error { return c.cfg.Vault.DeleteCredential(credential) }

// Flush writes to disk what is usually written once a second.
func (c *Control) Flush() { c.cfg.Vault.Flush() }
