package sealed

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
	"github.com/key2oauth/key2oauth/shim/internal/stored"
)

// Endpoints lists all endpoints, oldest first.
func (s *Store) Endpoints() []endpoint.Endpoint {
	s.cfg.Lock.RLock()
	defer s.cfg.Lock.RUnlock()
	states := slices.SortedFunc(maps.Values(s.endpoints), func(a, b *endpointState) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Slug, b.Slug))
	})
	all := make([]endpoint.Endpoint, 0, len(states))
	for _, e := range states {
		all = append(all, e.Endpoint)
	}
	return all
}

// Endpoint returns one endpoint. It only reads memory.
func (s *Store) Endpoint(slug string) (e endpoint.Endpoint, ok bool) {
	s.cfg.Lock.RLock()
	defer s.cfg.Lock.RUnlock()
	state, ok := s.endpoints[slug]
	if !ok {
		return e, false
	}
	return state.Endpoint, true
}

// A NewEndpoint is an endpoint to add.
type NewEndpoint struct {
	endpoint.Endpoint
	Query string          // of its upstream URL, without the question mark; it is sealed
	Key   endpoint.Secret // zero for none yet
	State endpoint.CredentialState
}

// AddEndpoint saves a new endpoint; see AddEndpoints.
func (s *Store) AddEndpoint(e endpoint.Endpoint, query string) error {
	return s.AddEndpoints(NewEndpoint{Endpoint: e, Query: query})
}

// AddEndpoints saves new endpoints and their keys: all, or none. Created is set
// where it is zero.
func (s *Store) AddEndpoints(all ...NewEndpoint) error {
	seals := false
	for i := range all {
		e := &all[i]
		if e.Slug == "" || e.BaseURL == "" {
			return fmt.Errorf("endpoint %q without slug or upstream URL", e.Slug)
		}
		e.HasQuery = e.Query != ""
		if e.Created.IsZero() {
			e.Created = s.cfg.Now()
		}
		seals = seals || e.HasQuery || !e.Key.IsZero()
	}
	if seals {
		if err := s.cfg.Need(); err != nil {
			return err
		}
	}
	return s.cfg.Update(func(t *statefile.Tx) error {
		for _, e := range all {
			if t.Bucket(stored.Endpoints).Get([]byte(e.Slug)) != nil {
				return ErrExists
			}
			if err := s.putEndpoint(t, e.Endpoint, e.Query); err != nil {
				return err
			}
			if e.Key.IsZero() {
				continue
			}
			whole := e.BaseURL
			if e.HasQuery {
				whole += "?" + e.Query
			}
			c := newCredential(e.Slug, "", e.State, e.Created)
			c.Label = firstLabel
			if err := s.putKey(t, c, whole, e.Key); err != nil {
				return err
			}
		}
		return nil
	})
}

// putEndpoint saves an endpoint and seals its query.
func (s *Store) putEndpoint(t *statefile.Tx, e endpoint.Endpoint, query string) error {
	if err := stored.PutEndpoint(t.Tx, e); err != nil {
		return err
	}
	var sealed []byte
	if query == "" {
		if err := t.Bucket(bucketSealed).Delete(sealedKey(kindQuery, e.Slug)); err != nil {
			return err
		}
	} else {
		sealed = s.sealer().Seal(kindQuery, e.Slug, e.BaseURL, query)
		if err := putSealed(t.Tx, kindQuery, e.Slug, sealed); err != nil {
			return err
		}
	}
	t.Then(func() { s.endpoints[e.Slug] = &endpointState{Endpoint: e, sealed: sealed} })
	return nil
}

// UpdateEndpoint changes the name or the header of an endpoint, which puts its
// keys at no risk. SetUpstream changes its URL.
func (s *Store) UpdateEndpoint(slug string, f func(e *endpoint.Endpoint) error) error {
	return s.cfg.Update(func(t *statefile.Tx) error {
		r, ok, err := records.Get[stored.Endpoint](t.Tx, stored.Endpoints, slug)
		if err != nil {
			return err
		}
		if !ok {
			return ErrNotFound
		}
		e := r.Endpoint()
		if err := t.Foreign(func() error { return f(&e) }); err != nil {
			return err
		}
		if e.Slug != slug || e.BaseURL != r.BaseURL {
			return errors.New("an update cannot move an endpoint")
		}
		r.Name, r.Header, r.Prefix, r.Known = e.Name, e.Header.Name, e.Header.Prefix, e.HeaderKnown
		if err := records.Put(t.Tx, stored.Endpoints, slug, r); err != nil {
			return err
		}
		t.Then(func() {
			if state := s.endpoints[slug]; state != nil {
				state.Name, state.Header, state.HeaderKnown = e.Name, e.Header, e.HeaderKnown
			}
		})
		return nil
	})
}

// SetUpstream changes the upstream URL of an endpoint. Its keys belong to the
// old one, so they are deleted in the same transaction. Grants and the names of
// the credentials stay; the state of these is KeyNeeded until ReplaceKey. also may
// change the name and the header with it; it may be nil.
func (s *Store) SetUpstream(slug, baseURL, query string, also func(e *endpoint.Endpoint)) error {
	if query != "" {
		if err := s.cfg.Need(); err != nil {
			return err
		}
	}
	return s.cfg.Update(func(t *statefile.Tx) error {
		r, ok, err := records.Get[stored.Endpoint](t.Tx, stored.Endpoints, slug)
		if err != nil {
			return err
		}
		if !ok {
			return ErrNotFound
		}
		r.Known = false // the header was another server's
		e := r.Endpoint()
		if also != nil {
			t.Foreign(func() error { also(&e); return nil })
		}
		e.Slug, e.BaseURL, e.HasQuery = slug, baseURL, query != ""
		if err := s.putEndpoint(t, e, query); err != nil {
			return err
		}
		var ids []string
		for id, c := range s.creds { // changed by transactions only
			if c.Slug == slug {
				ids = append(ids, id)
			}
		}
		for _, id := range ids {
			if err := t.Bucket(bucketSealed).Delete(sealedKey(kindKey, id)); err != nil {
				return err
			}
		}
		t.Then(func() {
			for _, id := range ids {
				c := s.creds[id]
				c.sealed, c.opened = nil, endpoint.Secret{}
			}
			s.cfg.Notify()
		})
		return nil
	})
}

// DeleteEndpoint deletes an endpoint with its credentials and grants. RestoreDeletedDeleted
// brings it back for stored.DeletedFor, without the grants.
func (s *Store) DeleteEndpoint(slug string) error {
	return s.cfg.Update(func(t *statefile.Tx) error {
		b := t.Bucket(stored.Endpoints)
		if b.Get([]byte(slug)) == nil {
			return ErrNotFound
		}
		if err := s.keepDeleted(t, slug); err != nil {
			return err
		}
		_, _, damaged := records.Get[stored.Endpoint](t.Tx, stored.Endpoints, slug)
		seemed := records.Guess[stored.Endpoint](t.Tx, stored.Endpoints, slug).Slug
		if err := b.Delete([]byte(slug)); err != nil {
			return err
		}
		t.Then(func() { delete(s.endpoints, slug) })
		if damaged != nil && seemed != slug && seemed != "" && b.Get([]byte(seemed)) == nil {
			// Its slug lost a bit, so what belongs to it is under the one it had.
			if err := s.dropPartsOf(t, seemed); err != nil {
				return err
			}
		}
		return s.dropPartsOf(t, slug)
	})
}

// dropPartsOf deletes what belongs to an endpoint.
func (s *Store) dropPartsOf(t *statefile.Tx, slug string) error {
	if err := t.Bucket(bucketSealed).Delete(sealedKey(kindQuery, slug)); err != nil {
		return err
	}
	var ids []string
	err := t.Bucket(stored.Credentials).ForEach(func(id, _ []byte) error {
		r, _, err := records.Get[stored.Credential](t.Tx, stored.Credentials, string(id))
		if err != nil {
			r = records.Guess[stored.Credential](t.Tx, stored.Credentials, string(id)) // it is of no use
		}
		if r.Slug == slug {
			ids = append(ids, string(id))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.dropCredential(t, id); err != nil {
			return err
		}
	}
	return s.cfg.Ledger().DropGrantsOf(t, slug)
}

// UpstreamURL returns the upstream URL of an endpoint with its query. The caller
// must not change it. It answers ErrLocked while we wait for the master key, and
// ErrKeyNeeded if the query cannot be opened with it.
func (s *Store) UpstreamURL(slug string) (*url.URL, error) {
	s.cfg.Lock.RLock()
	e, ok := s.endpoints[slug]
	if ok && e.url != nil {
		defer s.cfg.Lock.RUnlock()
		return e.url, nil
	}
	s.cfg.Lock.RUnlock()
	if !ok {
		return nil, ErrNotFound
	}

	s.cfg.Lock.Lock()
	defer s.cfg.Lock.Unlock()
	if e = s.endpoints[slug]; e == nil {
		return nil, ErrNotFound
	}
	whole, err := s.fullURL(e)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(whole)
	if err != nil {
		return nil, fmt.Errorf("the upstream URL of endpoint %s cannot be read", slug)
	}
	e.url = u
	return u, nil
}

// fullURL returns the upstream URL with its query. The caller holds s.cfg.Lock.
func (s *Store) fullURL(e *endpointState) (string, error) {
	if !e.HasQuery {
		return e.BaseURL, nil
	}
	master, known := s.cfg.Master()
	if !known {
		return "", ErrLocked
	}
	if master == nil {
		return "", ErrKeyNeeded
	}
	query, err := master.Open(kindQuery, e.Slug, e.BaseURL, e.sealed)
	if err != nil {
		return "", ErrKeyNeeded
	}
	return e.BaseURL + "?" + query, nil
}
