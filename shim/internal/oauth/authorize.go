package oauth

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
)

const (
	maxQuery     = 16 << 10
	maxState     = 4 << 10
	challengeLen = 43 // SHA-256 in base64url
)

// An AuthorizeError says why an authorization request cannot be answered.
type AuthorizeError struct {
	Code  string // RFC 6749, Section 4.1.2.1
	Words string // for the person who sees the page
	// Location is where to send the error. If it is empty, the error is shown
	// on a page of ours, with status 400.
	Location string
	// ShowReturn is a link on the page. The client was never approved:
	// redirecting at once would make this server an open redirector for anyone
	// who registers a client, RFC 9700, Section 4.11.
	ShowReturn string

	reason Reason // "" if Code and Words say it
}

func (e *AuthorizeError) Error() string { return e.Code + ": " + e.Words }

// Authorize checks an authorization request and keeps it in Requests.
// Repeating the request does no harm. The error is an *AuthorizeError.
//
// The order is that of RFC 6749, Section 4.1.2.1: until client and redirect
// URI are known to belong together, an error must not be sent anywhere.
func (s *Server) Authorize(r *http.Request) (*Request, error) {
	f, err := authorizeForm(r)
	var req *Request
	if err == nil {
		req, err = s.authorize(r, f)
	}
	s.sawAuthorize(r, f, req, err)
	return req, err
}

func (s *Server) authorize(r *http.Request, f form) (*Request, error) {
	client, unresolved, ok := s.client(f)
	if !ok {
		return nil, page("invalid_client", TextUnknownClient)
	}
	uri := f.get("redirect_uri")
	if err := checkRedirectURI(uri); errors.Is(err, errScheme) || errors.Is(err, errAppLink) {
		// An earlier version let it be registered.
		return nil, page("invalid_request", TextScheme)
	}
	if s.ownRedirect(uri, false) {
		return nil, page("invalid_request", TextOwn)
	}
	if unresolved && checkRedirectURI(uri) != nil || !unresolved && !client.matchesAny(uri) {
		return nil, page("invalid_request", TextForeignRedirect)
	}
	req := &Request{
		Issuer:      s.Issuer,
		Client:      client,
		Unresolved:  unresolved,
		RedirectURI: strings.Clone(uri),
		State:       strings.Clone(f.get("state")),
		Challenge:   strings.Clone(f.get("code_challenge")),
		Scope:       grantedScope(f.get("scope")),
	}
	req.HasState = req.State != ""
	if s.From != nil {
		req.From = s.From(r)
	}
	if code, words := checkAuthorize(f); code != "" {
		return nil, s.refuse(req, code, words)
	}
	slug, e := s.resourceSlug(f.all("resource"))
	if e != nil {
		return nil, s.refuse(req, e.Code, "The app asked for a server that does not exist here. "+
			"Copy the address from Key2OAuth and add the connector again.")
	}
	if slug != "" {
		req.Slug, req.Resource = strings.Clone(slug), s.Issuer+"/"+slug+"/mcp"
	}
	s.Requests.Add(req)
	return req, nil
}

// authorizeForm reads the parameters: GET must work and POST may, RFC 6749,
// Section 3.1.
func authorizeForm(r *http.Request) (form, error) {
	raw := r.URL.RawQuery
	if r.Method == http.MethodPost {
		mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || mt != "application/x-www-form-urlencoded" {
			return nil, page("invalid_request", "The app sent its request in a form that Key2OAuth does not understand.")
		}
		b, err := io.ReadAll(io.LimitReader(r.Body, maxQuery+1))
		if err != nil {
			return nil, page("invalid_request", "The app's request did not arrive completely. Try again.")
		}
		raw = string(b)
	}
	if len(raw) > maxQuery {
		return nil, page("invalid_request", "The app's request is too long.")
	}
	f, err := parseForm(raw)
	if err != nil {
		return nil, page("invalid_request", "The app's request is not correctly encoded.")
	}
	return f, nil
}

// checkAuthorize checks what depends on neither client nor endpoint.
func checkAuthorize(f form) (code, words string) {
	dup := f.repeated("state", "response_type", "code_challenge", "code_challenge_method", "scope")
	typ := f.get("response_type")
	switch {
	case dup != "":
		return "invalid_request", "The app sent " + dup + " more than once."
	case len(f.get("state")) > maxState:
		return "invalid_request", "The app's state is too long."
	case typ == "":
		return "invalid_request", "The app did not say what it wants (response_type is missing)."
	case typ != "code":
		return "unsupported_response_type", "The app asked for an answer other than a code."
	case f.get("code_challenge") == "":
		return "invalid_request", "The app did not protect its request (code_challenge is missing)."
	case f.get("code_challenge_method") != "S256":
		// RFC 7636, Section 4.3: absent means plain, which OAuth 2.1 drops.
		return "invalid_request", "The app did not protect its request well enough (code_challenge_method must be S256)."
	case len(f.get("code_challenge")) != challengeLen || !isBase64URL(f.get("code_challenge")):
		return "invalid_request", "The app did not protect its request correctly (code_challenge is malformed)."
	}
	return "", ""
}

// page returns an error that is shown here and not sent anywhere.
func page(code, words string) *AuthorizeError {
	return &AuthorizeError{Code: code, Words: words}
}

// refuse returns an error for the client, whose redirect URI is proven. It is
// sent at once only if the owner approved that URI before, or if it is in a
// document that came with the program: anyone can publish a document. It has the
// state even if that is too long to be kept: the client may need it to learn
// whose error this is (RFC 6749, Section 4.1.2.1).
func (s *Server) refuse(req *Request, code, words string) *AuthorizeError {
	if req.Unresolved {
		return page(code, words)
	}
	to := addQuery(req.RedirectURI, "error", code, "error_description", words, "state", req.State, "iss", s.Issuer)
	e := &AuthorizeError{Code: code, Words: words}
	if req.Client.BuiltIn || s.Known != nil && s.Known(req.RedirectURI) {
		e.Location = to
	} else {
		e.ShowReturn = to
	}
	return e
}
