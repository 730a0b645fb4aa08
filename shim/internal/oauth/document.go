package oauth

import (
	"context"
	"errors"
	"net/url"
	"strings"
)

// Documents finds clients whose id is the URL of a document that describes
// them (OAuth Client ID Metadata Document, draft 00). Only some callers may
// fetch: strangers can send authorization requests at will, and the URLs in
// them must not make this computer open connections.
type Documents interface {
	// Check returns what is wrong with a client id, if anything.
	Check(clientID string) error
	// Recall returns a stored client and fetches nothing. fresh is false if
	// the client may have changed since.
	Recall(clientID string) (c Client, fresh, ok bool)
	// Fetch returns a client, and fetches its document if necessary.
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
	// The client may have more redirect URIs by now.
	if c, ok := s.Requests.sibling(id, f.get("code_challenge")); ok {
		return c, false, true
	}
	u, err := url.Parse(id)
	if err != nil {
		return Client{}, false, false
	}
	return Client{ID: id, AuthMethod: authNone, Host: strings.ToLower(u.Hostname()), Unchecked: true}, true, true
}

const (
	wordsUnknownClient = "Key2OAuth does not know the app that sent you here. " +
		"Remove the connector in that app, add it again, then try once more."
	wordsForeignRedirect = "The app that sent you here wants the answer at an address it did not register. " +
		"Remove the connector in that app, add it again, then try once more."
	wordsScheme = "The app that sent you here wants its answer in a link that starts a program. " +
		"Key2OAuth opens such links only for apps that it can tell from the parts of your system. Contact the app's makers."
	wordsNoDocument = "The app that sent you here describes itself at a web address, and Key2OAuth can't use the description. " +
		"Wait a minute and reload this page. If that doesn't help, contact the app's makers."
)

// Resolve completes a request whose client's document was not stored when the
// request came. It fetches the document, so call it only when a person looks
// at the request. A complete request is returned unchanged. The error is an
// *AuthorizeError without a Location. It is the same for every failure: it
// must not reveal what this computer can reach.
func (s *Server) Resolve(ctx context.Context, req *Request) (*Request, error) {
	if !req.Unresolved {
		return req, nil
	}
	if s.CIMD == nil {
		return nil, page("invalid_client", wordsUnknownClient)
	}
	c, err := s.CIMD.Fetch(ctx, req.Client.ID)
	if err != nil {
		s.log().Info("cannot use a client's metadata document", "host", req.Client.Host, "err", err)
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

var errUnresolved = errors.New("the request's client is not resolved yet")

// documentClient finds the client of a token request whose id is a URL. It
// fetches nothing: the token's grant names the client, and such clients are
// public. An id that is in no grant and has no stored document is unknown.
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

// grantOf reads the grant that a token of any kind names, or the zero Grant.
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
