package oauth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

// splitPath returns the slug in a path of an endpoint: /SLUG or /SLUG/mcp,
// with or without a trailing slash, or anything below /SLUG/mcp.
func splitPath(path string) (slug string, ok bool) {
	path, ok = strings.CutPrefix(path, "/")
	slug, rest, _ := strings.Cut(path, "/")
	return slug, ok && slug != "" && (rest == "" || rest == "mcp" || strings.HasPrefix(rest, "mcp/"))
}

// origin returns the origin as the client spelled it, if it is one of ours.
// RFC 9728, Section 3.3 wants the resource to be what the client connected to,
// and on loopback people type localhost as often as 127.0.0.1. The Host header
// only chooses from a fixed set.
func (s *Server) origin(r *http.Request) string {
	for _, o := range s.ResourceOrigins {
		if _, host, ok := strings.Cut(o, "://"); ok && strings.EqualFold(host, r.Host) {
			return o
		}
	}
	return s.Issuer
}

// resourceSlug returns the endpoint that the resource indicators name, RFC
// 8707, Section 2. All must name the same one. The slug is "" if there are
// none, or if they name the bare origin, as some clients do.
func (s *Server) resourceSlug(resources []string) (slug string, e *httpx.Error) {
	for _, res := range resources {
		one, ok := s.slugOf(res)
		if !ok {
			return "", invalidTarget("the resource is not an MCP endpoint of this server")
		}
		switch {
		case one == "":
		case slug == "":
			slug = one
		case slug != one:
			return "", invalidTarget("the resources are not one and the same MCP endpoint")
		}
	}
	return slug, nil
}

func invalidTarget(msg string) *httpx.Error {
	e := oauthError(http.StatusBadRequest, "invalid_target", msg)
	e.Err = ReasonResource
	return e
}

// slugOf parses one resource indicator. The case of scheme and host, a
// trailing slash and a query are ignored: the address that a person pasted may
// have a query.
func (s *Server) slugOf(resource string) (slug string, ok bool) {
	if len(resource) > maxURI || strings.Contains(resource, "#") {
		return "", false
	}
	u, err := url.Parse(resource)
	if err != nil || u.User != nil || u.Opaque != "" || !s.isOurs(u) {
		return "", false
	}
	path := u.EscapedPath()
	if path == "" || path == "/" {
		return "", true
	}
	if !httpx.CleanPath(u) {
		return "", false
	}
	slug, ok = splitPath(path)
	if !ok || s.Endpoint == nil {
		return "", false
	}
	_, ok = s.Endpoint(slug)
	return slug, ok
}

func (s *Server) isOurs(u *url.URL) bool {
	got := canonicalOrigin(u)
	is := func(origin string) bool {
		ours, err := url.Parse(origin)
		return err == nil && got == canonicalOrigin(ours)
	}
	return is(s.Issuer) || slices.ContainsFunc(s.ResourceOrigins, is)
}

func canonicalOrigin(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + "://" + host
}
