package control

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/trial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// ReplaceKey replaces the key of a credential, or saves the first key of a
// server. Connected apps keep working with the new key.
func (c *Control) ReplaceKey(ctx context.Context, slug, credential, pasted string, force bool) (note string, err error) {
	e, ok := c.cfg.Vault.Endpoint(slug)
	if !ok {
		return "", ErrNoServer
	}
	if credential != "" {
		cred, ok := c.cfg.Vault.Credential(credential)
		if !ok {
			cred, ok = c.cfg.Vault.LostKey(credential)
		}
		if !ok || cred.Slug != slug {
			return "", &problem.Field{Name: "credential", Err: errNoCredential}
		}
	}
	key, err := endpoint.ParseKey(pasted, e.Header)
	if err != nil {
		return "", problem.Invalid("api_key", err)
	}
	u, err := c.cfg.Vault.UpstreamURL(slug)
	if err != nil {
		return "", c.Explain(err)
	}
	target := upstream.Target{URL: u, Header: e.Header, Key: key}
	var others []endpoint.Header
	if !e.HeaderKnown && len(c.cfg.Vault.Credentials(slug)) <= 1 {
		others = endpoint.UsualHeaders[1:]
	}
	v := c.cfg.Trials.TryHeaders(ctx, target, others)
	c.cfg.Pulse.TakeTrial(slug, v)
	state, err := judge(v, force)
	if err != nil {
		return "", err
	}
	if v.Header != e.Header {
		note = fmt.Sprintf(web.TextHeaderFound, web.DescribeHeader(v.Header))
	}
	if state != endpoint.Working {
		note = problem.Join(note, v.Words)
	}
	if err := c.learnHeader(e, v); err != nil {
		return "", c.Explain(err)
	}
	if credential == "" {
		_, err = c.cfg.Vault.SaveCredential(slug, "", key, state)
	} else {
		err = c.cfg.Vault.ReplaceKey(credential, key, state)
	}
	c.Changed()
	return note, c.Explain(err)
}

// learnHeader saves in which header the server takes the key, as a trial has
// shown, so that the next wrong key is tried in that one alone.
func (c *Control) learnHeader(e endpoint.Endpoint, v trial.Verdict) error {
	known := e.HeaderKnown || v.Outcome == trial.OK
	if v.Header == e.Header && known == e.HeaderKnown {
		return nil
	}
	return c.cfg.Vault.UpdateEndpoint(e.Slug, func(e *endpoint.Endpoint) error {
		e.Header, e.HeaderKnown = v.Header, known
		return nil
	})
}

// OwnerKeys lists the credentials that the owner can choose from.
func (c *Control) OwnerKeys(slug string) []endpoint.Credential {
	return slices.DeleteFunc(c.cfg.Vault.Store.Credentials(slug), func(c endpoint.Credential) bool { return c.Grant != "" })
}

var errNoCredential = httpx.New(http.StatusNotFound, web.TextNoKey)

// CredentialOf returns a credential of a server.
func (c *Control) CredentialOf(slug, id string) (endpoint.Credential, error) {
	if _, ok := c.cfg.Vault.Endpoint(slug); !ok {
		return endpoint.Credential{}, ErrNoServer
	}
	cred, ok := c.cfg.Vault.Credential(id)
	if !ok || cred.Slug != slug {
		return endpoint.Credential{}, errNoCredential
	}
	return cred, nil
}

// LabelKey renames a key. A label shows on the screen, so it must not contain a
// part of a key.
func (c *Control) LabelKey(slug, id, typed string) error {
	cred, err := c.CredentialOf(slug, id)
	if err != nil {
		return err
	}
	label, err := endpoint.ParseLabel(typed)
	if err != nil {
		return problem.Invalid("label", err)
	}
	if slices.ContainsFunc(strings.Fields(label), looksLikeKey) {
		return problem.Invalid("label", problem.Sentence(web.TextLabelIsKey))
	}
	for _, other := range c.cfg.Vault.Credentials(slug) {
		if other.ID != cred.ID && strings.EqualFold(other.Label, label) {
			return problem.Invalid("label", problem.Sentence(web.TextLabelTaken))
		}
		if key, err := c.cfg.Vault.Key(other.ID); err == nil && sharePart(label, key.Reveal()) {
			return problem.Invalid("label", problem.Sentence(web.TextLabelIsKey))
		}
	}
	if err := c.cfg.Vault.LabelCredential(cred.ID, label); err != nil {
		return c.Explain(err)
	}
	c.Changed()
	return nil
}

// sharePart reports whether a label contains enough of a key to help guess the
// rest. A shorter key is not secret anyway.
func sharePart(label, key string) bool {
	const part = 8
	for i := 0; i+part <= len(label); i++ {
		if strings.Contains(key, label[i:i+part]) {
			return true
		}
	}
	return false
}

// looksLikeKey reports whether a word is more likely a key than something a
// person would type. It may be a key that is not saved here.
func looksLikeKey(word string) bool {
	const short = 20
	return len(word) >= short && strings.ContainsAny(word, "0123456789") && !strings.Contains(word, "@")
}

// UsersOf lists the grants that use a credential.
func (c *Control) UsersOf(id string) ([]oauth.Grant, error) {
	var ids []string
	err := c.cfg.Vault.EachMark(func(m vault.Mark) {
		if m.Uses(id) {
			ids = append(ids, string(m.ID))
		}
	})
	if err != nil {
		return nil, err
	}
	var users []oauth.Grant
	for _, grant := range ids {
		if g, err := c.cfg.Vault.Grant(grant); err == nil && g.Credential == id {
			users = append(users, g)
		}
	}
	slices.SortStableFunc(users, func(a, b oauth.Grant) int { return a.Created.Compare(b.Created) })
	return users, nil
}

// endUsersOf disconnects the apps that use a credential.
func (c *Control) endUsersOf(credential string) error {
	users, err := c.UsersOf(credential)
	if err != nil {
		return c.Explain(err)
	}
	for _, g := range users {
		if err := c.Disconnect(g.ID); err != nil {
			return err
		}
	}
	return nil
}

// DeleteKey deletes a key and ends the grants that use it. They could never be
// repaired, because replacing needs a key to replace.
func (c *Control) DeleteKey(slug, id string) error {
	if c.isDamaged(vault.DamagedKey, id) {
		return c.RemoveDamaged(string(vault.DamagedKey), id)
	}
	cred, err := c.CredentialOf(slug, id)
	if err != nil {
		return err
	}
	if err := c.endUsersOf(cred.ID); err != nil {
		return err
	}
	// A key of a single grant is deleted with that grant.
	if _, ok := c.cfg.Vault.Credential(cred.ID); ok {
		if err := c.cfg.Vault.DeleteCredential(cred.ID); err != nil {
			return c.Explain(err)
		}
	}
	c.cfg.Pulse.Forget(slug)
	c.cfg.Pulse.Look(slug)
	c.Changed()
	return nil
}
