package control

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/display"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/pulse"
	"github.com/key2oauth/key2oauth/shim/internal/trial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// Create adds a server. It asks the server first, with the key if there is one,
// so that a wrong key or address is found here and not by an app hours later.
// note is what the owner should know, mostly empty.
func (c *Control) Create(ctx context.Context, in api.NewEndpoint) (e endpoint.Endpoint, note string, err error) {
	u, note, err := c.parseUpstream(in.UpstreamURL)
	if err != nil {
		return endpoint.Endpoint{}, "", problem.Invalid("upstream_url", err)
	}
	header, chosen, err := parseHeader(in.HeaderName, in.Prefix, endpoint.DefaultHeader)
	if err != nil {
		return endpoint.Endpoint{}, "", problem.Invalid("auth_header_name", err)
	}
	name, err := endpoint.ParseName(in.DisplayName, endpoint.HostName(u.Host))
	if err != nil {
		return endpoint.Endpoint{}, "", problem.Invalid("display_name", err)
	}
	var key endpoint.Secret
	if strings.TrimSpace(in.Key) != "" {
		if key, err = endpoint.ParseKey(in.Key, header); err != nil {
			return endpoint.Endpoint{}, "", problem.Invalid("api_key", err)
		}
	}
	var others []endpoint.Header
	if !chosen {
		others = endpoint.UsualHeaders[1:]
	}
	v, asked := c.cfg.Pulse.Meet(ctx, upstream.Target{URL: u, Header: header, Key: key}, others, in.Check)
	state := endpoint.Unverified
	if !key.IsZero() {
		if state, err = judge(v, in.Force); err != nil {
			return endpoint.Endpoint{}, "", err
		}
		if v.Header != header {
			note = problem.Join(note, fmt.Sprintf(web.TextHeaderFound, web.DescribeHeader(v.Header)))
			header = v.Header
		}
		if v.Outcome != trial.OK {
			note = problem.Join(note, v.Words)
		}
		chosen = chosen || v.Outcome == trial.OK
	}
	if in.Check && !in.Force && pulse.IsMissing(v) {
		return endpoint.Endpoint{}, "", &problem.Field{Name: "upstream_url", CanForce: true, Err: httpx.New(http.StatusBadRequest, v.Words)}
	}
	if strings.TrimSpace(in.DisplayName) == "" {
		name = endpoint.FreeName(cmp.Or(display.Text(v.Server, endpoint.MaxName), name), c.Endpoints())
	}
	query := u.RawQuery
	base := *u
	base.RawQuery, base.ForceQuery = "", false
	e = endpoint.Endpoint{
		Slug: endpoint.NewSlug(), BaseURL: base.String(), HasQuery: query != "", Name: name, Header: header, HeaderKnown: chosen, Created: time.Now().UTC(),
	}
	if err := c.cfg.Vault.AddEndpoints(vault.NewEndpoint{Endpoint: e, Query: query, Key: key, State: state}); err != nil {
		return endpoint.Endpoint{}, "", c.Explain(err)
	}
	if asked {
		c.cfg.Pulse.Take(e.Slug, v)
	} else {
		c.cfg.Pulse.Look(e.Slug)
	}
	c.Changed()
	return e, note, nil
}

// parseUpstream reads the address of a server. Ours is none, whether a key is
// there to be tried or not. A name that leads to us is noticed only when it is
// connected to.
func (c *Control) parseUpstream(s string) (u *url.URL, note string, err error) {
	u, note, err = endpoint.ParseUpstream(s)
	if err == nil && c.cfg.Own != nil && c.cfg.Own(strings.TrimSuffix(u.Hostname(), "."), cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])) {
		err = problem.Sentence(web.TextOwnUpstream)
	}
	return u, note, err
}

// AddAgain adds a server that is there already under another name, for another
// key.
func (c *Control) AddAgain(ctx context.Context, e endpoint.Endpoint, name, key string, force bool) (added endpoint.Endpoint, note string, err error) {
	u, err := c.cfg.Vault.UpstreamURL(e.Slug)
	if err != nil {
		return added, "", c.Explain(err)
	}
	return c.Create(ctx, api.NewEndpoint{
		UpstreamURL: u.String(), DisplayName: name, HeaderName: &e.Header.Name, Prefix: &e.Header.Prefix, Key: key, Force: force,
	})
}

// parseHeader reads the two header fields; what was not typed stays as in old.
// chosen is false if neither was typed.
func parseHeader(name, prefix *string, old endpoint.Header) (h endpoint.Header, chosen bool, err error) {
	if name == nil && prefix == nil {
		return old, false, nil
	}
	n, p := old.Name, old.Prefix
	if name != nil {
		n = strings.TrimSpace(*name)
		if n == "" {
			n = endpoint.DefaultHeader.Name
		}
		if prefix == nil && !strings.EqualFold(n, old.Name) && !strings.EqualFold(n, endpoint.DefaultHeader.Name) {
			p = "" // "Bearer " belongs to Authorization, not to a header of one's own
		}
	}
	if prefix != nil {
		p = *prefix
	}
	h, err = endpoint.ParseHeader(n, p)
	return h, true, err
}

// judge turns a verdict into the state that the key is saved with, or into an
// error for the owner.
func judge(v trial.Verdict, force bool) (endpoint.CredentialState, error) {
	switch v.Outcome {
	case trial.OK:
		return endpoint.Working, nil
	case trial.Keyless, trial.Unproven, trial.Unreachable, trial.Busy:
		return endpoint.Unverified, nil
	case trial.NotMCP, trial.Odd, trial.Barred:
		if force {
			return endpoint.Unverified, nil
		}
		return "", &problem.Field{Name: "upstream_url", CanForce: true, Err: httpx.New(http.StatusBadRequest, v.Words)}
	case trial.Rejected:
		return "", &problem.Field{Name: "api_key", Err: httpx.New(http.StatusBadRequest, v.Words)}
	default:
		return "", &problem.Field{Name: "upstream_url", Err: httpx.New(http.StatusBadRequest, v.Words)}
	}
}

// Edit changes a server. A new upstream URL drops its keys, because a key is
// for the server that it was pasted for.
func (c *Control) Edit(slug string, in api.EndpointChange) (note string, err error) {
	e, ok := c.cfg.Vault.Endpoint(slug)
	if !ok {
		return "", ErrNoServer
	}
	header, _, err := parseHeader(in.HeaderName, in.Prefix, e.Header)
	if err != nil {
		return "", problem.Invalid("auth_header_name", err)
	}
	chosen := header != e.Header // forms send what was there before
	name := e.Name
	if in.DisplayName != nil {
		if name, err = endpoint.ParseName(*in.DisplayName, ""); err != nil {
			return "", problem.Invalid("display_name", err)
		}
	}
	if in.UpstreamURL != nil && *in.UpstreamURL != e.ShownURL() {
		u, n, err := c.parseUpstream(*in.UpstreamURL)
		if err != nil {
			return "", problem.Invalid("upstream_url", err)
		}
		note = n
		query := u.RawQuery
		u.RawQuery, u.ForceQuery = "", false
		if u.String() != e.BaseURL || query != "" || e.HasQuery {
			note = problem.Join(note, web.TextKeysDropped)
			err := c.cfg.Vault.SetUpstream(slug, u.String(), query, func(e *endpoint.Endpoint) {
				e.Name, e.Header, e.HeaderKnown = name, header, chosen
			})
			c.cfg.Pulse.Forget(slug)
			c.cfg.Pulse.Look(slug)
			c.Changed()
			return note, c.Explain(err)
		}
	}
	err = c.cfg.Vault.UpdateEndpoint(slug, func(e *endpoint.Endpoint) error {
		e.Name, e.Header, e.HeaderKnown = name, header, e.HeaderKnown || chosen
		return nil
	})
	c.Changed()
	return note, c.Explain(err)
}

// ErrNoServer is the answer about a server that is not there.
var ErrNoServer = httpx.New(http.StatusNotFound, web.TextNoServer)

// Remove deletes a server with its keys, and ends its connections.
func (c *Control) Remove(slug string) error {
	if _, ok := c.cfg.Vault.Endpoint(slug); !ok && !c.isDamaged(vault.DamagedServer, slug) {
		return ErrNoServer
	}
	return c.remove(slug)
}

func (c *Control) remove(slug string) error {
	if err := c.cfg.Vault.DeleteEndpoint(slug); err != nil {
		return c.Explain(err)
	}
	c.cfg.Tokens.EndEndpoint(slug)
	c.cfg.Pulse.Forget(slug)
	c.Changed()
	return nil
}
