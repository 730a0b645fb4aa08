package oauth

import (
	"errors"
	"net/http"
	"strings"

	"github.com/key2oauth/key2oauth/shim/display"
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

// A Reason is why a step was refused. Only the owner sees it; peers do not.
type Reason string

// The reasons.
const (
	ReasonRegistration Reason = "registration" // metadata was not accepted
	ReasonTooMany      Reason = "too many"
	ReasonClient       Reason = "client" // not registered here, or wrong credentials
	ReasonDocument     Reason = "document"
	ReasonRedirect     Reason = "redirect"
	ReasonPKCE         Reason = "pkce"
	ReasonResource     Reason = "resource"
	ReasonMalformed    Reason = "malformed"
	ReasonUnknown      Reason = "unknown" // no such code or token, or a revoked one
	ReasonExpired      Reason = "expired"
	ReasonOtherClient  Reason = "other client"
	ReasonOtherOrigin  Reason = "other origin"
	ReasonReused       Reason = "reused"
	ReasonEndpoint     Reason = "endpoint" // the token is for another endpoint
	ReasonState        Reason = "state"    // the store failed
)

// An Observation is one step that a Server observed. It contains no secret,
// and only ids from a query.
type Observation struct {
	Step    Step
	Reason  Reason // "" if the step went well
	Client  string // client id, if it sent one
	Name    string // what the client calls itself
	App     string // who it is, for people; "" if that is not known
	Request string // id of the new authorization request
	Grant   string // the grant that the code or token names
	Slug    string
}

// saw reports a step to Observe.
func (s *Server) saw(r *http.Request, x Observation) {
	if s.Observe != nil {
		s.Observe(r, x)
	}
}

// Error lets a Reason be the part of an httpx.Error that only the log sees.
func (w Reason) Error() string { return "refused: " + string(w) }

// reasonOf returns the reason in an error, if there is one.
func reasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	if w, ok := errors.AsType[Reason](err); ok {
		return w
	}
	if errors.Is(err, ErrUnavailable) {
		return ReasonState
	}
	return ReasonMalformed
}

// Reason returns why the request was refused.
func (e *AuthorizeError) Reason() Reason {
	switch {
	case e.reason != "":
		return e.reason
	case e.Code == "invalid_client":
		return ReasonClient
	case e.Words == TextForeignRedirect, e.Words == TextScheme:
		return ReasonRedirect
	case e.Code == "invalid_target":
		return ReasonResource
	case strings.Contains(e.Words, "code_challenge"):
		return ReasonPKCE
	}
	return ReasonMalformed
}

// sawAuthorize reports an authorization request.
func (s *Server) sawAuthorize(r *http.Request, f form, req *Request, err error) {
	x := Observation{Step: StepAuthorize, Client: f.get("client_id")}
	x.Slug, _ = s.resourceSlug(f.all("resource"))
	if e, ok := errors.AsType[*AuthorizeError](err); ok {
		x.Reason = e.Reason()
	}
	if c, ok := s.Clients.Lookup(x.Client); ok {
		x.know(&c)
	}
	if req != nil {
		x.know(&req.Client)
		x.Client, x.Request, x.Slug = req.Client.ID, req.ID, req.Slug
	}
	s.saw(r, x)
}

// sawToken reports a token request that named its grant type.
func (s *Server) sawToken(r *http.Request, f form, err error) {
	x := Observation{Step: StepExchange, Client: f.get("client_id"), Reason: reasonOf(err)}
	switch f.get("grant_type") {
	case "authorization_code":
		x.Grant, _ = tokenGrant(codePrefix, f.get("code"))
	case "refresh_token":
		x.Step = StepRefresh
		x.Grant, _ = tokenGrant(refreshPrefix, f.get("refresh_token"))
	}
	if c, ok := s.Clients.Lookup(x.Client); ok {
		x.know(&c)
	}
	s.saw(r, x)
}

// know adds who the client is.
func (x *Observation) know(c *Client) {
	if app := c.App(); app != (display.App{}) {
		x.Name, x.App = app.Name, app.String()
	}
}
