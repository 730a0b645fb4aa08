package oauth

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

// authParams must not occur twice in a request with client authentication.
var authParams = []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"}

// authenticateClient finds the client that sends a request, RFC 6749, Section
// 2.3. An unknown client gets invalid_client with 401, which makes Claude
// register again instead of failing forever.
func (s *Server) authenticateClient(r *http.Request, f form) (Client, error) {
	id, secret, method, err := clientCredentials(r, f)
	if err != nil {
		return Client{}, err
	}
	basic := method == authBasic
	c, ok := s.tokenClient(id)
	if !ok {
		if granted, err := s.isGranted(id, f); granted || err != nil {
			return Client{ID: id, AuthMethod: authNone}, err
		}
		return Client{}, invalidClient(basic, "this client is not registered here; register again")
	}
	if secret == "" {
		method = authNone // Go's oauth2 package sends Basic with an empty password first
	}
	allowed := method == c.AuthMethod || c.anySecret && method != authNone
	if !allowed {
		return Client{}, invalidClient(basic, "this client is registered with "+c.AuthMethod)
	}
	if method != authNone && subtle.ConstantTimeCompare([]byte(secret), []byte(s.Clients.secret(id))) != 1 {
		return Client{}, invalidClient(basic, "the client secret is wrong")
	}
	return c, nil
}

// tokenClient finds the client of a token or revocation request.
func (s *Server) tokenClient(id string) (c Client, ok bool) {
	if s.isDocumentID(id) {
		return documentClient(id), true
	}
	return s.Clients.Lookup(id)
}

// isGranted reports whether the refresh token of a request belongs to a grant of
// exactly this client id. The key that ids are authenticated with may have been
// lost, but an id in a grant was authenticated when the owner approved it. The
// client's secret, which derives from that key, can't be checked then; the
// refresh token still proves as much as it does for a public client.
func (s *Server) isGranted(id string, f form) (bool, error) {
	if !strings.HasPrefix(id, clientPrefix) {
		return false, nil
	}
	for _, token := range []string{f.get("refresh_token"), f.get("token")} { // of /token and /revoke
		grant, ok := tokenGrant(refreshPrefix, token)
		if !ok {
			continue
		}
		_, ok, err := s.Tokens.store.Token(grant, digest(token))
		var g Grant
		if err == nil && ok {
			g, err = s.Tokens.store.Grant(grant)
		}
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return false, s.unavailable(err)
		case ok && g.ClientID == id:
			return true, nil
		}
	}
	return false, nil
}

// clientCredentials reads the client's credentials. Using two methods in one
// request is an error, RFC 6749, Section 2.3.
func clientCredentials(r *http.Request, f form) (id, secret, method string, err error) {
	if f.get("client_assertion") != "" || f.get("client_assertion_type") != "" {
		return "", "", "", invalidClient(false, "client assertions are not supported")
	}
	id, secret = f.get("client_id"), f.get("client_secret")
	method = authNone
	if secret != "" {
		method = authPost
	}
	hs := r.Header["Authorization"]
	if len(hs) == 0 {
		if id == "" {
			return "", "", "", invalidClient(false, "client_id is missing")
		}
		return id, secret, method, nil
	}
	scheme, rest, _ := strings.Cut(strings.TrimSpace(hs[0]), " ")
	if len(hs) > 1 || !strings.EqualFold(scheme, "Basic") {
		return "", "", "", invalidClient(true, "the Authorization header must be Basic, once, or left out")
	}
	user, password, ok := decodeBasic(strings.TrimSpace(rest))
	switch {
	case !ok:
		return "", "", "", invalidClient(true, "the Basic credentials are malformed")
	case method == authPost:
		return "", "", "", invalidRequest("the client authenticates in two ways at once")
	case id != "" && id != user:
		return "", "", "", invalidRequest("client_id differs from the Basic credentials")
	}
	return user, password, authBasic, nil
}

// decodeBasic parses Basic credentials. RFC 6749, Section 2.3.1: both halves
// are form-encoded inside.
func decodeBasic(s string) (user, password string, ok bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return "", "", false
	}
	user, password, ok = strings.Cut(string(b), ":")
	if !ok {
		return "", "", false
	}
	user, err1 := url.QueryUnescape(user)
	password, err2 := url.QueryUnescape(password)
	return user, password, err1 == nil && err2 == nil && user != ""
}

// invalidClient returns a 401 error. Only clients that used the header get a
// challenge, RFC 6749, Section 5.2.
func invalidClient(basic bool, msg string) *httpx.Error {
	e := oauthError(http.StatusUnauthorized, "invalid_client", msg)
	e.Err = ReasonClient
	if basic {
		e.Header = http.Header{"Www-Authenticate": {`Basic realm="Key2OAuth"`}}
	}
	return e
}
