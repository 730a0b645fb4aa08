package sealed

import (
	"github.com/key2oauth/key2oauth/shim/internal/ledger"
	"github.com/key2oauth/key2oauth/shim/internal/parcel"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
	"github.com/key2oauth/key2oauth/shim/internal/stored"
)

// Unpack adds what came from another computer: all of it, or nothing. What is
// here stays as it is; where an id is taken, the answer is ErrExists.
func (s *Store) Unpack(c parcel.Contents) error {
	if err := s.cfg.Need(); err != nil {
		return err
	}
	return s.cfg.Update(func(t *statefile.Tx) error {
		whole := make(map[string]string)
		for _, server := range c.Servers {
			if t.Bucket(stored.Endpoints).Get([]byte(server.Slug)) != nil {
				return ErrExists
			}
			e, query := server.Endpoint, server.Query.Reveal()
			e.HasQuery = query != ""
			if err := s.putEndpoint(t, e, query); err != nil {
				return err
			}
			whole[e.Slug] = e.BaseURL
			if e.HasQuery {
				whole[e.Slug] += "?" + query
			}
		}
		for _, k := range c.Keys {
			upstream, ok := whole[k.Slug]
			if !ok || t.Bucket(stored.Credentials).Get([]byte(k.ID)) != nil {
				return ErrExists
			}
			if err := s.unpackKey(t, k, upstream); err != nil {
				return err
			}
		}
		for _, a := range c.Apps {
			if err := s.unpackApp(t, a, whole); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) unpackKey(t *statefile.Tx, k parcel.Key, upstream string) error {
	if !k.Key.IsZero() {
		return s.putKey(t, k.Credential, upstream, k.Key)
	}
	t.Then(func() {
		s.creds[k.ID] = &credState{Credential: k.Credential}
		s.cfg.Notify()
	})
	return stored.PutCredential(t.Tx, k.Credential)
}

// unpackApp saves a grant with its tokens, of a server that came with it.
func (s *Store) unpackApp(t *statefile.Tx, a parcel.App, whole map[string]string) error {
	if _, ok := whole[a.Slug]; !ok || ledger.HasGrant(t.Tx, a.ID) {
		return ErrExists
	}
	if err := CheckGrant(t.Tx, a.Grant); err != nil {
		return err
	}
	if err := s.cfg.Ledger().PutGrant(t, a.Grant); err != nil {
		return err
	}
	for d, token := range a.Tokens {
		if err := ledger.PutToken(t.Tx, a.ID, d, token); err != nil {
			return err
		}
	}
	return nil
}
