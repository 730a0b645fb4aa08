package oauth

import (
	"errors"
	"net/http"
	"strings"
)

// A Step is what a client does on its way to an endpoint.
type Step string

// The steps that a Server sees.
const (
	StepFound     Step = "found"     // read metadata, or was told where it is
	StepRegister  Step = "register"  // RFC 7591
	StepAuthorize Step = "authorize" // a browser brought an authorization request
	StepExchange  Step = "exchange"  // a code for tokens
	StepRefresh   Step = "refresh"
	StepToken     Step = "token" // used an access token that is not good
)

// A Why says why a step was refused. Peers are not told the difference; the
// owner is.
type Why string

// The reasons.
const (
	WhyRegistration Why = "registration" // metadata that is not accepted
	WhyTooMany      Why = "too many"
	WhyClient       Why = "client" // not registered here, or wrong credentials
	WhyDocument     Why = "document"
	WhyRedirect     Why = "redirect"
	WhyPKCE         Why = "pkce"
	WhyResource     Why = "resource"
	WhyMalformed    Why = "malformed"
	WhyUnknown      Why = "unknown" // no such code or token; also one that was revoked
	WhyExpired      Why = "expired"
	WhyOtherClient  Why = "other client"
	WhyOtherOrigin  Why = "other origin"
	WhyReused       Why = "reused"
	WhyEndpoint     Why = "endpoint" // the token is for another one
	WhyState        Why = "state"    // the disk
)

// A Sight is one step as a Server saw it. It holds no secret, and nothing of
// a query but ids.
type Sight struct {
	Step    Step
	Why     Why    // "" if the step went well
	Client  string // id of the client, if it said one
	Name    string // of the client, as it calls itself
	Request string // id of the authorization request that was made
	Grant   string // that the code or token names
	Slug    string
}

// saw tells whoever observes what happened.
func (s *Server) saw(r *http.Request, x Sight) {
	if s.Observe != nil {
		s.Observe(r, x)
	}
}

// Error makes a Why the part of an httpx.Error that only the log sees.
func (w Why) Error() string { return "refused: " + string(w) }

// whyOf finds the reason in an error, if there is an error.
func whyOf(err error) Why {
	if err == nil {
		return ""
	}
	if w, ok := errors.AsType[Why](err); ok {
		return w
	}
	if errors.Is(err, ErrUnavailable) {
		return WhyState
	}
	return WhyMalformed
}

// Why says why the request was refused.
func (e *AuthorizeError) Why() Why {
	switch {
	case e.Words == wordsNoDocument:
		return WhyDocument
	case e.Code == "invalid_client":
		return WhyClient
	case e.Words == wordsForeignRedirect:
		return WhyRedirect
	case e.Code == "invalid_target":
		return WhyResource
	case strings.Contains(e.Words, "code_challenge"):
		return WhyPKCE
	}
	return WhyMalformed
}

// sawAuthorize tells of an authorization request.
func (s *Server) sawAuthorize(r *http.Request, f form, req *Request, err error) {
	x := Sight{Step: StepAuthorize, Client: f.get("client_id")}
	x.Slug, _ = s.resourceSlug(f.all("resource"))
	if e, ok := errors.AsType[*AuthorizeError](err); ok {
		x.Why = e.Why()
	}
	if c, ok := s.Clients.Lookup(x.Client); ok {
		x.Name = c.Name
	}
	if req != nil {
		x.Client, x.Name, x.Request, x.Slug = req.Client.ID, req.Client.Name, req.ID, req.Slug
		if x.Name == "" {
			x.Name = req.Client.Host
		}
	}
	s.saw(r, x)
}

// sawToken tells of a token request that got as far as to say what it wants.
func (s *Server) sawToken(r *http.Request, f form, err error) {
	x := Sight{Step: StepExchange, Client: f.get("client_id"), Why: whyOf(err)}
	switch f.get("grant_type") {
	case "authorization_code":
		x.Grant, _ = tokenGrant(codePrefix, f.get("code"))
	case "refresh_token":
		x.Step = StepRefresh
		x.Grant, _ = tokenGrant(refreshPrefix, f.get("refresh_token"))
	}
	if c, ok := s.Clients.Lookup(x.Client); ok {
		x.Name = c.Name
	}
	s.saw(r, x)
}
