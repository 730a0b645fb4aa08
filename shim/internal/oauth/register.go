package oauth

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

const (
	maxRedirectURIs = 10
	maxURI          = 2048
)

// ServeRegister answers POST /register, RFC 7591, Section 3.
func (s *Server) ServeRegister(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return methodNotAllowed("POST")
	}
	// Some clients send no type. What they send is still JSON or refused.
	if ct := r.Header.Get("Content-Type"); ct != "" {
		if mt, _, err := mime.ParseMediaType(ct); err != nil || mt != "application/json" {
			return invalidMetadata("the body must be application/json")
		}
	}
	body, e := readBody(r)
	if e != nil {
		e.Code = "invalid_client_metadata"
		return e
	}
	answer, e := s.Clients.Register(body)
	uris, _ := answer["redirect_uris"].([]string)
	for i, uri := range uris {
		if s.ownRedirect(uri, true) {
			e = invalidRedirect(fmt.Sprintf("redirect URI %d: this is an address of Key2OAuth itself", i+1))
		}
	}
	if e != nil {
		why := ReasonRegistration
		if e.Code == "invalid_redirect_uri" {
			why = ReasonRedirect
		}
		s.saw(r, Observation{Step: StepRegister, Reason: why})
		return e
	}
	x := Observation{Step: StepRegister}
	x.Client, _ = answer["client_id"].(string)
	if c, ok := s.Clients.Lookup(x.Client); ok {
		x.know(&c)
	}
	s.saw(r, x)
	noStore(w)
	return httpx.WriteJSON(w, http.StatusCreated, answer)
}

func invalidMetadata(msg string) *httpx.Error {
	return oauthError(http.StatusBadRequest, "invalid_client_metadata", msg)
}

func invalidRedirect(msg string) *httpx.Error {
	return oauthError(http.StatusBadRequest, "invalid_redirect_uri", msg)
}

// Metadata that is echoed unchanged. Nothing depends on it: application_type
// in particular is not enforced, since clients name one type and use the
// redirect URIs of another.
var (
	echoedText = []string{"application_type", "software_id", "software_version"}
	echoedURLs = []string{"client_uri", "logo_uri", "tos_uri", "policy_uri", "jwks_uri"}
)

// Register makes a client from the JSON body of a registration request, RFC
// 7591, Section 3.1, and returns the answer, Section 3.2.1. The answer has no
// nulls and no members that the server does not know.
func (c *Clients) Register(body []byte) (map[string]any, *httpx.Error) {
	var m metadata
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	if err := json.Unmarshal(body, &m.raw); err != nil || m.raw == nil {
		return nil, invalidMetadata("the body must be a JSON object")
	}
	answer := map[string]any{}
	uris, e := m.redirectURIs()
	if e != nil {
		return nil, e
	}
	answer["redirect_uris"] = uris

	method, code := m.authMethod()
	grants := m.list("grant_types", []string{"authorization_code"}, "authorization_code", "refresh_token")
	types := m.list("response_types", []string{"code"}, "code")
	name := CleanName(m.text("client_name"))
	if name != "" {
		answer["client_name"] = name
	}
	for _, k := range echoedText {
		if v := m.text(k); v != "" {
			answer[k] = v
		}
	}
	for _, k := range echoedURLs {
		if v := m.webURL(k); v != "" {
			answer[k] = v
		}
	}
	if v := m.strings("contacts"); len(v) > 0 {
		answer["contacts"] = v
	}
	if v := m.text("scope"); v != "" {
		answer["scope"] = grantedScope(v)
	}
	switch {
	case method == "":
		return nil, invalidMetadata("token_endpoint_auth_method must be none, client_secret_post or client_secret_basic")
	case !slices.Contains(grants, "authorization_code"):
		return nil, invalidMetadata("grant_types must contain authorization_code")
	case len(types) == 0:
		return nil, invalidMetadata("response_types must contain code")
	}
	answer["token_endpoint_auth_method"] = method
	answer["grant_types"] = grants
	answer["response_types"] = types

	reg := registration{RedirectURIs: uris, Name: name, Method: code}
	if code != codeNone {
		reg.Nonce = rand.Text()
	}
	id, err := c.encode(reg)
	if err != nil {
		return nil, &httpx.Error{Status: http.StatusInternalServerError, Code: "server_error", Msg: "internal error", Err: err}
	}
	if len(id) > maxClientID {
		return nil, invalidMetadata("the redirect URIs and the name are too long altogether")
	}
	answer["client_id"] = id
	if code != codeNone {
		answer["client_secret"] = c.secret(id)
		// RFC 7591, Section 3.2.1: required with a secret; 0 means never. It
		// is an integer because one client rejects 0.0.
		answer["client_secret_expires_at"] = 0
	}
	return answer, nil
}

// metadata reads members of a registration request. null, empty and of the wrong
// type count as absent: RFC 7591, Section 3.2.1 lets the server replace what it
// has no use for, and clients fill in many members that are never read. Only the
// redirect URIs must be right.
type metadata struct {
	raw map[string]json.RawMessage
}

// decode returns false if there is something else than v.
func (m *metadata) decode(name string, v any) bool {
	raw, ok := m.raw[name]
	return !ok || bytes.Equal(raw, []byte("null")) || json.Unmarshal(raw, v) == nil
}

func (m *metadata) text(name string) string {
	var s string
	if !m.decode(name, &s) {
		return ""
	}
	return s
}

func (m *metadata) strings(name string) []string {
	var vs []string
	if !m.decode(name, &vs) {
		return nil
	}
	return vs
}

// list returns the values that both supported and the request contain. Unknown
// values are dropped, not refused: VS Code, ChatGPT and Claude list grant
// types that this server does not have.
func (m *metadata) list(name string, absent []string, supported ...string) []string {
	vs := m.strings(name)
	if len(vs) == 0 {
		return absent
	}
	var both []string
	for _, v := range supported {
		if slices.Contains(vs, v) {
			both = append(both, v)
		}
	}
	return both
}

// webURL drops anything but a web address. None is fetched or shown as a link,
// but the answer must not repeat a javascript: URL either.
func (m *metadata) webURL(name string) string {
	s := m.text(name)
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return ""
	}
	return s
}

// authMethod returns "" for an unknown method. RFC 7591, Section 2: a client
// that names none gets client_secret_basic.
func (m *metadata) authMethod() (method, code string) {
	switch v := m.text("token_endpoint_auth_method"); v {
	case "":
		return authBasic, codeSecret
	case authNone:
		return v, codeNone
	case authPost:
		return v, codePost
	case authBasic:
		return v, codeBasic
	}
	return "", ""
}

// redirectURIs accepts all or none: Cursor registers three of different kinds
// in one request, and gives up if one is missing in the answer.
func (m *metadata) redirectURIs() ([]string, *httpx.Error) {
	var uris []string
	if !m.decode("redirect_uris", &uris) {
		return nil, invalidRedirect("redirect_uris must be a list of strings")
	}
	if err := CheckRedirectURIs(uris); err != nil {
		return nil, invalidRedirect(err.Error())
	}
	return uris, nil
}

// CheckRedirectURIs returns what is wrong with a client's redirect URIs, if
// anything.
func CheckRedirectURIs(uris []string) error {
	switch {
	case len(uris) == 0:
		return errors.New("redirect_uris is missing")
	case len(uris) > maxRedirectURIs:
		return fmt.Errorf("more than %d redirect URIs", maxRedirectURIs)
	}
	for i, u := range uris {
		if err := checkRedirectURI(u); err != nil {
			return fmt.Errorf("redirect URI %d: %w", i+1, err)
		}
	}
	return nil
}

// grantedScope returns the scope to grant for the requested one. Only one
// scope means anything. Unknown ones are dropped, not refused: some clients
// always ask for "openid email profile".
func grantedScope(scope string) string {
	if slices.Contains(strings.Fields(scope), "offline_access") {
		return "mcp offline_access"
	}
	return "mcp"
}
