package oauth

import (
	"context"
	"errors"
	"net/url"
	"strings"
)

// Documents finds clients whose id is the URL of a document that describes
// them (OAuth Client ID Metadata Document, draft 00). Who asks decides whether
// anything may be fetched: strangers can send authorization requests at will,
// and what they name in them must not make this machine open connections.
type Documents interface {
	// Check says what is wrong with a client id, if anything.
	Check(clientID string) error
	// Recall returns what is at hand of a client and fetches nothing. fresh
	// is false if the client may have changed since.
	Recall(clientID string) (c Client, fresh, ok bool)
	// Fetch returns a client whose document is fetched if need be.
	Fetch(ctx context.Context, clientID string) (Client, error)
}

// isDocumentID reports whether a client id is the URL of a document.
func (s *Server) isDocumentID(id string) bool {
	return s.CIMD != nil && strings.HasPrefix(id, "https://")
}

// client finds the client of an authorization request. It is unresolved if its
// document has to be fetched first, which Resolve does.
func (s *Server) client(f form) (c Client, unresolved, ok bool) {
	id := strings.Clone(f.get("client_id"))
	if !s.isDocumentID(id) {
		c, ok = s.Clients.Lookup(id)
		return c, false, ok
	}
	if s.CIMD.Check(id) != nil {
		return Client{}, false, false
	}
	c, fresh, ok := s.CIMD.Recall(id)
	if ok && (fresh || c.matchesAny(f.get("redirect_uri"))) {
		return c, false, true
	}
	// The client may have been been given more redirect URIs meanwhile.
	if c, ok := s.Requests.sibling(id, f.get("code_challenge")); ok {
		return c, false, true
	}
	u, err := url.Parse(id)
	if err != nil {
		return Client{}, false, false
	}
	return Client{ID: id, Host: strings.ToLower(u.Hostname())}, true, true
}

const (
	wordsUnknownClient = "Key2OAuth does not know the app that sent you here. " +
		"Remove the connector in that app, add it again and try once more."
	wordsForeignRedirect = "The app that sent you here wants the answer at an address that it did not register. " +
		"Remove the connector in that app, add it again and try once more."
	wordsNoDocument = "The app that sent you here describes itself at a web address, and Key2OAuth cannot use what it finds there. " +
		"Wait a minute and reload this page. If that does not help, tell the makers of the app."
)

// Resolve completes a request whose client is described by a document that was
// not at hand when the request came. It must be called only where a person
// looks at the request, since it fetches the document. Of a request that is
// complete it does nothing. The error is an *AuthorizeError and leads nowhere:
// it is the same whatever went wrong, so that nobody can learn from it what
// this machine can reach.
func (s *Server) Resolve(ctx context.Context, req *Request) (*Request, error) {
	if !req.Unresolved {
		return req, nil
	}
	if s.CIMD == nil {
		return nil, page("invalid_client", wordsUnknownClient)
	}
	c, err := s.CIMD.Fetch(ctx, req.Client.ID)
	if err != nil {
		s.log().Info("a client's metadata document cannot be used", "host", req.Client.Host, "err", err)
		return nil, page("invalid_client", wordsNoDocument)
	}
	if !c.matchesAny(req.RedirectURI) {
		return nil, page("invalid_request", wordsForeignRedirect)
	}
	done := *req
	done.Client, done.Unresolved = c, false
	s.Requests.replace(&done)
	return &done, nil
}

var errUnresolved = errors.New("the client of the request is not known yet")

// documentClient finds a client whose id is a URL where tokens are asked for.
// Nothing is fetched: the grant that the token belongs to was made for a
// client id, and such clients are public. An id that neither a grant nor a
// document at hand bears is unknown.
func (s *Server) documentClient(id string, f form) (c Client, ok bool, err error) {
	c = Client{ID: id, AuthMethod: authNone}
	for _, param := range []string{"code", "refresh_token", "token"} {
		switch g, err := s.grantOf(f.get(param)); {
		case err != nil:
			return Client{}, false, err
		case g.ClientID == id:
			return c, true, nil
		}
	}
	if s.KnownClient != nil && s.KnownClient(id) {
		return c, true, nil
	}
	if s.CIMD.Check(id) != nil {
		return Client{}, false, nil
	}
	_, _, ok = s.CIMD.Recall(id)
	return c, ok, nil
}

// grantOf reads the grant that a token of any kind names. It is zero if there
// is none.
func (s *Server) grantOf(token string) (Grant, error) {
	for _, prefix := range []string{codePrefix, refreshPrefix, accessPrefix} {
		id, ok := tokenGrant(prefix, token)
		if !ok {
			continue
		}
		g, err := s.Tokens.store.Grant(id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return Grant{}, s.unavailable(err)
		}
		return g, nil
	}
	return Grant{}, nil
}
