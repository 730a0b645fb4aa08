package cimd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

// parse parses the document at the URL id, as Section 4 of the draft requires.
// The members are those of RFC 7591, Section 2. Unknown members are ignored,
// and so are unknown grant and response types: the documents of ChatGPT and
// Claude list some.
func parse(id string, body []byte) (oauth.Client, error) {
	var doc members
	if err := json.Unmarshal(body, &doc); err != nil || doc == nil {
		return oauth.Client{}, errors.New("the document is not a JSON object")
	}
	// Section 4.1: a document that names another id may have been placed at
	// this address by someone else.
	if doc.text("client_id") != id {
		return oauth.Client{}, errors.New("the document is about another client_id")
	}
	if err := doc.checkSecrets(); err != nil {
		return oauth.Client{}, err
	}
	name := oauth.CleanName(doc.text("client_name"))
	if name == "" {
		return oauth.Client{}, errors.New("the document has no client_name")
	}
	uris, ok := doc.list("redirect_uris")
	if !ok {
		return oauth.Client{}, errors.New("redirect_uris is not a list of strings")
	}
	if err := oauth.CheckRedirectURIs(uris); err != nil {
		return oauth.Client{}, err
	}
	for name, want := range map[string]string{"grant_types": "authorization_code", "response_types": "code"} {
		if vs, ok := doc.list(name); !ok || len(vs) > 0 && !slices.Contains(vs, want) {
			return oauth.Client{}, fmt.Errorf("%s lacks %s", name, want)
		}
	}
	if !doc.public() {
		return oauth.Client{}, errors.New("the client does not support token_endpoint_auth_method none")
	}
	return oauth.Client{ID: id, Name: name, RedirectURIs: uris, AuthMethod: "none", Host: hostOf(id)}, nil
}

// hostOf returns the host of a URL that checkURL accepted.
func hostOf(id string) string {
	host, _, _ := strings.Cut(strings.TrimPrefix(id, "https://"), "/")
	return strings.ToLower(strings.TrimSuffix(host, ":443"))
}

// members are a document's members, by their exact names.
type members map[string]json.RawMessage

// text returns a string member, or "" if it is missing or not a string.
func (m members) text(name string) string {
	var s string
	if json.Unmarshal(m[name], &s) != nil {
		return ""
	}
	return s
}

// list returns a list of strings, empty if it is missing or null. ok is false
// if it is anything else.
func (m members) list(name string) (vs []string, ok bool) {
	raw, there := m[name]
	return vs, !there || json.Unmarshal(raw, &vs) == nil
}

// public reports whether the client can do without a secret. The method is the
// preferred one, and the list has all that the client supports: ChatGPT
// prefers private_key_jwt and lists none.
func (m members) public() bool {
	if m.text("token_endpoint_auth_method") == "none" {
		return true
	}
	methods, _ := m.list("token_endpoint_auth_methods_supported")
	return slices.Contains(methods, "none")
}

// checkSecrets rejects what must not be in a public document, Section 4.1: a
// secret, or a key that is not a public one.
func (m members) checkSecrets() error {
	for name := range m {
		if strings.HasPrefix(name, "client_secret") {
			return fmt.Errorf("the document has a %s", name)
		}
	}
	raw, ok := m["jwks"]
	if !ok || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	var set struct{ Keys []members }
	if json.Unmarshal(raw, &set) != nil {
		return errors.New("jwks is not a key set")
	}
	for _, key := range set.Keys {
		if key.text("kty") == "oct" {
			return errors.New("the document has a symmetric key")
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if _, ok := key[private]; ok {
				return errors.New("the document has a private key")
			}
		}
	}
	return nil
}
