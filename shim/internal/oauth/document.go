package oauth

import (
	"context"
	"errors"
	"fmt"
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
	// Fetch returns a client, and fetches its document if necessary. If it
	// cannot be reached, Fetch returns a stored copy, which has Copy set, or else
	// an error that wraps ErrUnreachable.
	Fetch(ctx context.Context, clientID string) (Client, error)
}

// ErrUnreachable means that the host of a client's document did not answer, or
// does not answer programs. What the document says is not known then.
var ErrUnreachable = errors.New("the client's document cannot be reached")

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

// What a person reads whose app's request has no answer. Tests compare with it.
const (
	TextUnknownClient = "Key2OAuth does not know the app that sent you here. " +
		"Remove the connector in that app, add it again, then try again."
	TextForeignRedirect = "The app that sent you here wants the answer at an address it did not register. " +
		"Remove the connector in that app, add it again, then try again."
	TextUnreachable = "The app that sent you here describes itself at %s, and Key2OAuth could not reach that website. " +
		"Check that this computer is online and that its DNS finds the website, then reload this page."
	TextScheme = "The app that sent you here wants its answer in a link that starts a program. " +
		"Key2OAuth opens such links only for apps that it can tell from the parts of your system. Contact the app's makers."
	TextOwn = "The app that sent you here wants its answer at an address of Key2OAuth itself. " +
		"Nobody gets access. If you don't know the app, close this window."
	TextNoDocument = "The app that sent you here describes itself at a web address, and Key2OAuth can't use the description. " +
		"Wait a minute and reload this page. If that doesn't help, contact the app's makers."
)

// Resolve completes a request whose client's document was not stored when the
// request came. It fetches the document, so call it only when a person looks
// at the request. A complete request is returned unchanged. The error is an
// *AuthorizeError without a Location. It tells a host that was not reached from
// a document that is of no use, and nothing more: it must not reveal what is in
// this computer's network.
//
// A client whose document cannot be reached continues Unchecked if its answer goes
// to loopback. Such a request is resolved again when it is looked at again.
func (s *Server) Resolve(ctx context.Context, req *Request) (*Request, error) {
	if !req.Unresolved && !req.Client.Unchecked {
		return req, nil
	}
	if s.CIMD == nil {
		return nil, page("invalid_client", TextUnknownClient)
	}
	c, err := s.CIMD.Fetch(ctx, req.Client.ID)
	unknown := errors.Is(err, ErrUnreachable) || err == nil && c.Copy && !c.matchesAny(req.RedirectURI)
	if err != nil {
		s.log().Info("cannot use a client's metadata document", "host", req.Client.Host, "err", err)
	}
	switch {
	case unknown && RedirectKind(req.RedirectURI) == RedirectLoopback:
		// The answer goes to an app on the computer of the browser, as that of
		// a client that registers itself. The owner is told that no one vouches for it.
		c = Client{ID: req.Client.ID, AuthMethod: authNone, Host: req.Client.Host, RedirectURIs: []string{req.RedirectURI}, Unchecked: true}
	case unknown:
		return nil, &AuthorizeError{Code: "invalid_client", Words: fmt.Sprintf(TextUnreachable, req.Client.Host), reason: ReasonDocument}
	case err != nil:
		return nil, &AuthorizeError{Code: "invalid_client", Words: TextNoDocument, reason: ReasonDocument}
	case !c.matchesAny(req.RedirectURI):
		return nil, page("invalid_request", TextForeignRedirect)
	}
	done := *req
	done.Client, done.Unresolved = c, false
	s.Requests.replace(&done)
	return &done, nil
}

var errUnresolved = errors.New("the request's client is not resolved yet")

// documentClient is the client of a token request whose id is a URL. Nothing is
// fetched or looked up: such clients are public, and the token's grant names its
// client. The answer to anything else is that the token is not valid, no
// matter who asks, or it would tell a stranger which apps the owner has approved.
func documentClient(id string) Client { return Client{ID: id, AuthMethod: authNone} }
