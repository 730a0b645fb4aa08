package oauth

import (
	"net/http"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

const (
	serverMetadataPath   = "/.well-known/oauth-authorization-server"
	resourceMetadataPath = "/.well-known/oauth-protected-resource"
)

// serverMetadata is RFC 8414, Section 2. Members that do not apply are left
// out, since some clients fail on null.
type serverMetadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	RegistrationEndpoint  string   `json:"registration_endpoint"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	TokenAuthMethods      []string `json:"token_endpoint_auth_methods_supported"`
	RevocationAuthMethods []string `json:"revocation_endpoint_auth_methods_supported"`
	ChallengeMethods      []string `json:"code_challenge_methods_supported"`
	Scopes                []string `json:"scopes_supported"`
	Iss                   bool     `json:"authorization_response_iss_parameter_supported"`
	CIMD                  bool     `json:"client_id_metadata_document_supported,omitempty"`
}

// resourceMetadata is RFC 9728, Section 2.
type resourceMetadata struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	// offline_access is between client and authorization server and must not
	// be here.
	Scopes        []string `json:"scopes_supported"`
	BearerMethods []string `json:"bearer_methods_supported"`
	Name          string   `json:"resource_name,omitempty"`
}

// ServeWellKnown answers everything below /.well-known/. Anything unknown is
// 404 in JSON, including openid-configuration in all its places: half an
// OpenID document makes TypeScript clients give up, while none makes them
// continue.
func (s *Server) ServeWellKnown(w http.ResponseWriter, r *http.Request) error {
	path := strings.TrimSuffix(r.URL.EscapedPath(), "/")
	switch {
	case !httpx.CleanPath(r.URL):
		return errNotFound
	case path == serverMetadataPath:
		return s.serveMetadata(w, r)
	case path == resourceMetadataPath && s.SoleEndpoint != nil:
		if slug, ok := s.SoleEndpoint(); ok {
			return s.serveResourceMetadata(w, r, slug, "/"+slug+"/mcp")
		}
	}
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), resourceMetadataPath)
	slug, ok2 := splitPath(path)
	if !ok || !ok2 {
		return errNotFound
	}
	return s.serveResourceMetadata(w, r, slug, path)
}

// serveMetadata answers with the metadata of the authorization server.
func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) error {
	s.saw(r, Observation{Step: StepFound})
	methods := []string{authNone, authPost, authBasic}
	return serveDocument(w, r, serverMetadata{
		Issuer:                s.Issuer,
		AuthorizationEndpoint: s.Issuer + "/authorize",
		TokenEndpoint:         s.Issuer + "/token",
		RegistrationEndpoint:  s.Issuer + "/register",
		RevocationEndpoint:    s.Issuer + "/revoke",
		ResponseTypes:         []string{"code"},
		ResponseModes:         []string{"query"},
		GrantTypes:            []string{"authorization_code", "refresh_token"},
		TokenAuthMethods:      methods,
		RevocationAuthMethods: methods,
		ChallengeMethods:      []string{"S256"},
		Scopes:                []string{"mcp", "offline_access"},
		Iss:                   true,
		CIMD:                  s.CIMD != nil,
	})
}

// serveResourceMetadata answers with the metadata of an endpoint under one of
// its paths. RFC 9728, Section 3.3: clients compare resource with the URL they
// were given, some byte by byte, so the answer repeats the requested path.
func (s *Server) serveResourceMetadata(w http.ResponseWriter, r *http.Request, slug, path string) error {
	name, ok := s.Endpoint(slug)
	if !ok {
		return errNotFound
	}
	s.saw(r, Observation{Step: StepFound, Slug: slug})
	return serveDocument(w, r, resourceMetadata{
		Resource:             s.origin(r) + path,
		AuthorizationServers: []string{s.Issuer},
		Scopes:               []string{"mcp"},
		BearerMethods:        []string{"header"},
		Name:                 name,
	})
}

func serveDocument(w http.ResponseWriter, r *http.Request, doc any) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return methodNotAllowed("GET, HEAD")
	}
	w.Header().Set("Cache-Control", "max-age=300")
	return httpx.WriteJSON(w, http.StatusOK, doc)
}
