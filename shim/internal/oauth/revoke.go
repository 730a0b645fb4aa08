package oauth

import (
	"errors"
	"net/http"
)

var revokeParams = append([]string{"token", "token_type_hint"}, authParams...)

// ServeRevoke answers POST /revoke, RFC 7009. Revoking a refresh token ends
// its grant; an access token ends alone. Tokens that are unknown or another
// client's get 200 too, and nothing happens. The type hint is not needed,
// since a token shows its type.
func (s *Server) ServeRevoke(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(r, revokeParams...)
	if err != nil {
		return err
	}
	client, err := s.authenticateClient(r, f)
	if err != nil {
		return err
	}
	token := f.get("token")
	if token == "" {
		return invalidRequest("token is missing")
	}
	if err := s.revoke(client, token); err != nil {
		return err
	}
	noStore(w)
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) revoke(c Client, token string) error {
	kind := RefreshToken
	id, ok := tokenGrant(refreshPrefix, token)
	if !ok {
		kind = AccessToken
		if id, ok = tokenGrant(accessPrefix, token); !ok {
			return nil
		}
	}
	d := digest(token)
	switch _, ok, err := s.Tokens.store.Token(id, d); {
	case errors.Is(err, ErrNotFound), err == nil && !ok:
		return nil
	case err != nil:
		return s.unavailable(err)
	}
	var match func(*Access) bool
	err := s.Tokens.store.UpdateGrant(id, func(tx Tx) error {
		match = nil // the store may run this more than once
		g := tx.Grant()
		t, ok := tx.Token(d)
		if !ok || t.Kind != kind || g.ClientID != c.ID || g.Origin != s.Issuer || !s.now().Before(t.Expires) {
			return nil
		}
		if kind == RefreshToken {
			tx.Delete()
			match = func(*Access) bool { return true }
			return nil
		}
		tx.DeleteToken(d)
		match = func(a *Access) bool { return a.digest == d }
		return nil
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return s.asError(err)
	case match != nil:
		s.Tokens.end(id, match)
	}
	return nil
}
