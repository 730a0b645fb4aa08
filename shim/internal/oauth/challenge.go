package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

// Bearer returns the bearer token of a request, RFC 6750, Section 2.1. Only
// the header counts, never query or body. present reports any attempt at
// authorization; ok reports exactly one well-formed token. Two Authorization
// headers are never ok: a proxy in front may have looked at the other one.
func Bearer(r *http.Request) (token string, present, ok bool) {
	v := r.Header["Authorization"]
	if len(v) == 0 {
		return "", false, false
	}
	if len(v) > 1 {
		return "", true, false
	}
	scheme, rest, _ := strings.Cut(strings.Trim(v[0], " \t"), " ")
	token = strings.TrimLeft(rest, " \t")
	if !strings.EqualFold(scheme, "Bearer") || token == "" || !isToken68(token) {
		return "", true, false
	}
	return token, true, true
}

// isToken68 checks the alphabet of RFC 9110, Section 11.2, which rejects a
// list of credentials in one header.
func isToken68(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '/', c == '=':
		default:
			return false
		}
	}
	return true
}

// Authenticate lets a request to an endpoint pass, or answers it with 401 or
// 503 and returns false. It looks only at the Authorization header: a client
// must learn that it has to sign in, even if more is wrong with its request.
// RFC 9700, Section 2.3: a token is valid on the origin and for the endpoint
// it was issued for. The caller releases the Access when the request is over.
func (s *Server) Authenticate(w http.ResponseWriter, r *http.Request, slug string) (*Access, bool) {
	token, present, ok := Bearer(r)
	if !ok {
		x := Observation{Step: StepFound, Slug: slug}
		if present {
			x.Step, x.Reason = StepToken, ReasonMalformed
		}
		s.saw(r, x)
		s.Challenge(w, r, r.URL.EscapedPath(), present)
		return nil, false
	}
	a, err := s.Tokens.Verify(token)
	switch {
	case errors.Is(err, ErrInvalidToken):
		grant, _ := tokenGrant(accessPrefix, token)
		s.saw(r, Observation{Step: StepToken, Reason: ReasonUnknown, Slug: slug, Grant: grant})
		s.Challenge(w, r, r.URL.EscapedPath(), true)
		return nil, false
	case err != nil:
		// Not a challenge, which would make the client throw away a good
		// token.
		e := s.unavailable(err)
		w.Header().Set("Retry-After", retryAfter)
		WriteError(w, r, e)
		return nil, false
	case a.Grant.Slug != slug || a.Grant.Origin != s.Issuer:
		x := Observation{Step: StepToken, Reason: ReasonEndpoint, Slug: slug, Grant: a.Grant.ID}
		if a.Grant.Slug == slug {
			x.Reason = ReasonOtherOrigin
		}
		s.saw(r, x)
		a.Release()
		s.Challenge(w, r, r.URL.EscapedPath(), true)
		return nil, false
	}
	if s.Trusted != nil {
		s.Trusted(w, r)
	}
	a.Touch()
	return a, true
}

// Challenge answers 401 with a Demand. It does not tell whether a token
// expired, was revoked or never existed.
func (s *Server) Challenge(w http.ResponseWriter, r *http.Request, path string, bad bool) {
	s.Demand(w, r, path, bad)
	body := errorBody{"invalid_token", "this server needs an access token; sign in to get one"}
	if bad {
		body.Description = textBadToken
	}
	noStore(w)
	httpx.WriteJSON(w, http.StatusUnauthorized, body) // fails only if the peer is gone
}

const textBadToken = "the access token is not valid here; refresh it or sign in again"

// Demand sets the header that asks for a token, RFC 6750, Section 3 and RFC
// 9728, Section 5.1. path is that of the request. The challenge is one header
// line that begins with "Bearer" and has quoted ASCII values: TypeScript clients
// read no other form. bad says that there were credentials; without any, RFC
// 6750 wants no error code.
func (s *Server) Demand(w http.ResponseWriter, r *http.Request, path string, bad bool) {
	v := `Bearer realm="Key2OAuth", resource_metadata="` + s.origin(r) + resourceMetadataPath + headerPath(path) + `", scope="mcp"`
	if bad {
		v += `, error="invalid_token", error_description="` + textBadToken + `"`
	}
	w.Header().Set("WWW-Authenticate", v)
}

// headerPath escapes path for a quoted string.
func headerPath(path string) string {
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return (&url.URL{Path: path}).EscapedPath()
		}
	}
	return path
}
