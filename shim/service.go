package shim

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/trial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// What the admin API and the home page both do. Neither knows more than the
// other.

// A newEndpoint is what somebody typed to add an endpoint.
type newEndpoint struct {
	URL    string
	Name   string
	Header *string // nil: not chosen, so that the usual ones may be tried
	Prefix *string
	Key    string
	Force  bool // save the key even if it could not be verified
}

// A made is what came of it.
type made struct {
	endpoint.Endpoint
	Note string // what the owner should know, "" mostly
}

// create adds an endpoint. With a key it is tried first, so that a wrong one
// is found out here and not in some client hours later.
func (s *Shim) create(ctx context.Context, in newEndpoint) (made, error) {
	u, note, err := endpoint.ParseUpstream(in.URL)
	if err != nil {
		return made{}, problem.Invalid("upstream_url", err)
	}
	header, chosen, err := parseHeader(in.Header, in.Prefix, endpoint.DefaultHeader)
	if err != nil {
		return made{}, problem.Invalid("auth_header_name", err)
	}
	name, err := endpoint.ParseName(in.Name, u.Host)
	if err != nil {
		return made{}, problem.Invalid("display_name", err)
	}
	m := made{Note: note}
	state := endpoint.Unverified
	var key endpoint.Secret
	if strings.TrimSpace(in.Key) != "" {
		if key, err = endpoint.ParseKey(in.Key, header); err != nil {
			return made{}, problem.Invalid("api_key", err)
		}
		var others []endpoint.Header
		if !chosen {
			others = endpoint.UsualHeaders[1:]
		}
		v := s.trials.TryHeaders(ctx, upstream.Target{URL: u, Header: header, Key: key}, others)
		if state, err = judge(v, in.Force); err != nil {
			return made{}, err
		}
		if v.Outcome == trial.OK && v.Header != header {
			m.Note = problem.Join(m.Note, fmt.Sprintf(web.TextHeaderFound, web.DescribeHeader(v.Header)))
			header = v.Header
		} else if v.Outcome != trial.OK {
			m.Note = problem.Join(m.Note, v.Words)
		}
	}
	query := u.RawQuery
	base := *u
	base.RawQuery, base.ForceQuery = "", false
	m.Endpoint = endpoint.Endpoint{
		Slug: endpoint.NewSlug(), BaseURL: base.String(), HasQuery: query != "", Name: name, Header: header, Created: time.Now().UTC(),
	}
	if err := s.vault.AddEndpoint(m.Endpoint, query); err != nil {
		return made{}, s.explainState(err)
	}
	if !key.IsZero() {
		if _, err := s.vault.SaveCredential(m.Slug, "", key, state); err != nil {
			return made{}, errors.Join(s.explainState(err), s.vault.DeleteEndpoint(m.Slug))
		}
	}
	s.changed()
	return m, nil
}

// parseHeader reads the two header fields over what was there before. chosen
// is false if nothing was typed.
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

// judge turns a verdict into the state to save a key with, or into an error
// for the owner.
func judge(v trial.Verdict, force bool) (endpoint.CredentialState, error) {
	switch v.Outcome {
	case trial.OK:
		return endpoint.Working, nil
	case trial.Keyless, trial.Unreachable, trial.Busy:
		return endpoint.Unverified, nil
	case trial.NotMCP:
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

// A change is what somebody typed to change an endpoint; nil leaves a field.
type change struct {
	URL, Name, Header, Prefix *string
}

// edit changes an endpoint. Another upstream URL drops its keys: a key is for
// the server that it was pasted for.
func (s *Shim) edit(slug string, c change) (note string, err error) {
	e, ok := s.vault.Endpoint(slug)
	if !ok {
		return "", errNoEndpoint
	}
	header, _, err := parseHeader(c.Header, c.Prefix, e.Header)
	if err != nil {
		return "", problem.Invalid("auth_header_name", err)
	}
	name := e.Name
	if c.Name != nil {
		if name, err = endpoint.ParseName(*c.Name, e.Name); err != nil {
			return "", problem.Invalid("display_name", err)
		}
	}
	if c.URL != nil && *c.URL != e.ShownURL() {
		u, n, err := endpoint.ParseUpstream(*c.URL)
		if err != nil {
			return "", problem.Invalid("upstream_url", err)
		}
		note = n
		query := u.RawQuery
		u.RawQuery, u.ForceQuery = "", false
		if u.String() != e.BaseURL || query != "" || e.HasQuery {
			if err := s.vault.SetUpstream(slug, u.String(), query); err != nil {
				return "", s.explainState(err)
			}
			note = problem.Join(note, web.TextKeysDropped)
		}
	}
	err = s.vault.UpdateEndpoint(slug, func(e *endpoint.Endpoint) error {
		e.Name, e.Header = name, header
		return nil
	})
	s.changed()
	return note, s.explainState(err)
}

var errNoEndpoint = httpx.New(http.StatusNotFound, "there is no such endpoint")

// replaceKey puts a new key in the place of a credential, or saves the first
// one of an endpoint. Grants that use it go on with the new key.
func (s *Shim) replaceKey(ctx context.Context, slug, credential, pasted string, force bool) (note string, err error) {
	e, ok := s.vault.Endpoint(slug)
	if !ok {
		return "", errNoEndpoint
	}
	if credential != "" {
		if c, ok := s.vault.Credential(credential); !ok || c.Slug != slug {
			return "", &problem.Field{Name: "credential", Err: httpx.New(http.StatusNotFound, "this endpoint has no such credential")}
		}
	}
	key, err := endpoint.ParseKey(pasted, e.Header)
	if err != nil {
		return "", problem.Invalid("api_key", err)
	}
	u, err := s.vault.UpstreamURL(slug)
	if err != nil {
		return "", s.explainState(err)
	}
	target := upstream.Target{URL: u, Header: e.Header, Key: key}
	var others []endpoint.Header
	if e.Header == endpoint.DefaultHeader && len(s.vault.Credentials(slug)) <= 1 {
		others = endpoint.UsualHeaders[1:]
	}
	v := s.trials.TryHeaders(ctx, target, others)
	state, err := judge(v, force)
	if err != nil {
		return "", err
	}
	if state != endpoint.Working {
		note = v.Words
	} else if v.Header != e.Header {
		if err := s.vault.UpdateEndpoint(slug, func(e *endpoint.Endpoint) error { e.Header = v.Header; return nil }); err != nil {
			return "", s.explainState(err)
		}
		note = fmt.Sprintf(web.TextHeaderFound, web.DescribeHeader(v.Header))
	}
	if credential == "" {
		_, err = s.vault.SaveCredential(slug, "", key, state)
	} else {
		err = s.vault.ReplaceKey(credential, key, state)
	}
	s.changed()
	return note, s.explainState(err)
}

// remove deletes an endpoint with its keys, and ends what it served.
func (s *Shim) remove(slug string) error {
	if _, ok := s.vault.Endpoint(slug); !ok {
		return errNoEndpoint
	}
	if err := s.vault.DeleteEndpoint(slug); err != nil {
		return s.explainState(err)
	}
	s.tokens.EndEndpoint(slug)
	s.changed()
	return nil
}

// revoke ends one grant, and cuts its streams.
func (s *Shim) revoke(id string) error {
	err := s.tokens.EndGrant(id)
	if errors.Is(err, oauth.ErrNotFound) {
		return httpx.New(http.StatusNotFound, "there is no such grant")
	}
	s.timeline.Forget(id)
	s.changed()
	return s.explainState(err)
}

// explainState says what a failure of the vault means to a person.
func (s *Shim) explainState(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, vault.ErrLocked):
		return problem.Unavailable(s.vault.Keychain().Words, err)
	case errors.Is(err, vault.ErrNotFound):
		return errNoEndpoint
	case errors.Is(err, oauth.ErrUnavailable):
		return problem.Unavailable(web.TextDiskTrouble, err)
	}
	return err
}

// ownerKeys are the credentials that the owner can choose from.
func (s *Shim) ownerKeys(slug string) []endpoint.Credential {
	return slices.DeleteFunc(s.vault.Credentials(slug), func(c endpoint.Credential) bool { return c.Grant != "" })
}

// held keeps keys for forms that came back with an error, so that a page never
// carries a key and nobody has to paste twice. It is in memory, bounded, and
// each key leaves it after a few minutes.
type held struct {
	mu   sync.Mutex
	keys map[string]heldKey
}

type heldKey struct {
	key   endpoint.Secret
	owner string // the session that it belongs to
	until time.Time
}

const (
	maxHeld  = 32
	heldLife = 10 * time.Minute
)

func newHeld() *held { return &held{keys: make(map[string]heldKey)} }

// put keeps key and returns the handle to get it back with.
func (h *held) put(key, session string) string {
	if key == "" {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for id, k := range h.keys {
		if now.After(k.until) || len(h.keys) >= maxHeld {
			delete(h.keys, id)
		}
	}
	id := rand.Text()
	h.keys[id] = heldKey{key: endpoint.NewSecret(key), owner: session, until: now.Add(heldLife)}
	return id
}

// take returns a key that was kept for session, and forgets it.
func (h *held) take(id, session string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	k, ok := h.keys[id]
	if !ok || k.owner != session || time.Now().After(k.until) {
		return ""
	}
	delete(h.keys, id)
	return k.key.Reveal()
}
