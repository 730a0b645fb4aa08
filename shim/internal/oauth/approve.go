package oauth

import (
	"cmp"
	"errors"
	"fmt"
)

// Approve creates a grant for a request that a person approved, and returns
// where to send the browser, with a code: RFC 6749, Section 4.1.2, with iss as
// in RFC 9207, Section 2. The status must be 302 or 303: at 307 the browser
// would send the consent form on to the client, RFC 9700, Section 4.12.
//
// began is kept with the grant; see [Grant]. When it returns nil the grant is
// durable. On an error nothing has changed, and the caller may put the request
// back.
func (s *Server) Approve(req *Request, slug, credentialID, grantID, began string) (location string, err error) {
	if req.Issuer != s.Issuer {
		return "", fmt.Errorf("the request was made to %s, not to %s", req.Issuer, s.Issuer)
	}
	if req.Unresolved {
		return "", errUnresolved
	}
	if req.Slug != "" && req.Slug != slug {
		return "", errors.New("the request is for another endpoint")
	}
	if _, ok := s.Endpoint(slug); !ok {
		return "", errors.New("the endpoint no longer exists")
	}
	now := s.now()
	code, d := newToken(codePrefix, grantID)
	g := Grant{
		ID:          grantID,
		Slug:        slug,
		Origin:      s.Issuer,
		ClientID:    req.Client.ID,
		ClientName:  cmp.Or(req.Client.Name, req.Client.App().Name),
		Verified:    req.Client.Host != "" && !req.Client.Unchecked,
		RedirectURI: req.RedirectURI,
		Credential:  credentialID,
		Scope:       req.Scope,
		Began:       began,
		Created:     now,
	}
	err = s.Tokens.store.CreateGrant(g, d, Token{
		Kind:        Code,
		Expires:     now.Add(codeTTL),
		Scope:       req.Scope,
		RedirectURI: req.RedirectURI,
		Challenge:   req.Challenge,
	})
	if err != nil {
		return "", err
	}
	return addQuery(req.RedirectURI, "code", code, "state", req.State, "iss", s.Issuer), nil
}

// Deny returns where to send the browser when a person denied the request. The
// person has seen the page, so unknown clients are answered too. It is "" if that
// has become an address of ours since the request came.
func (s *Server) Deny(req *Request) (location string) {
	if s.ownRedirect(req.RedirectURI, false) {
		return ""
	}
	return addQuery(req.RedirectURI, "error", "access_denied",
		"error_description", "The owner of this Key2OAuth said no.", "state", req.State, "iss", req.Issuer)
}
