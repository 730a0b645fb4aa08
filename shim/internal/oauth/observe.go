package oauth

import (
	"errors"
	"net/http"
	"strings"
)

// A Step is one step of a client on its way to an endpoint.
type Step string

// The steps that a Server observes.
const (
	StepFound     Step = "found"     // read metadata, or was told where it is
	StepRegister  Step = "register"  // RFC 7591
	StepAuthorize Step = "authorize" // a browser brought an authorization request
	StepExchange  Step = "exchange"  // exchanged a code for tokens
	StepRefresh   Step = "refresh"
	StepToken     Step = "token" // used an invalid access token
)

// A Why is the reason why a step was refused. Only the owner sees it; peers do
// not.
type Why string

// The reasons.
const (
	WhyRegistration Why = "registration" // metadata was not accepted
	WhyTooMany      Why = "too many"
	WhyClient       Why = "client" // not registered here, or wrong credentials
	WhyDocument     Why = "document"
	WhyRedirect     Why = "redirect"
	WhyPKCE         Why = "pkce"
	WhyResource     Why = "resource"
	WhyMalformed    Why = "malformed"
	WhyUnknown      Why = "unknown" // no such code or token, or a revoked one
	WhyExpired      Why = "expired"
	WhyOtherClient  Why = "other client"
	WhyOtherOrigin  Why = "other origin"
	WhyReused       Why = "reused"
	WhyEndpoint     Why = "endpoint" // the token is for another endpoint
	WhyState        Why = "state"    // the store failed
)

// A Sight is one step that a Server observed. It contains no secret, and only
// ids from a query.
type Sight struct {
	Step    Step
	Why     Why    // "" if the step went well
	Client  string // client id, if it sent one
	Name    string // what the client calls itself
	Request string // id of the new authorization request
	Grant   string // the grant that the code or token names
	Slug    string
}

// saw reports a step to Observe.
func (s *Server) saw(r *http.Request, x Sight) {
	if s.Observe != nil {
		s.Observe(r, x)
	}
}

// Error lets a Why be the part of an httpx.Error that only the log sees.
func (w Why) Error() string { return "refused: " + string(w) }

// whyOf returns the reason in an error, if there is one.
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

// Why returns the reason of the refusal.
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

// sawAuthorize reports an authorization request.
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

// sawToken reports a token request that named its grant type.
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
