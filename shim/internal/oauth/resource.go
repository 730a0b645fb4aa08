package oauth

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

// splitPath takes apart the path of an endpoint: /SLUG, /SLUG/, /SLUG/mcp,
// /SLUG/mcp/ and anything below. suffix is what follows the slug.
func splitPath(path string) (slug, suffix string, ok bool) {
	path, ok = strings.CutPrefix(path, "/")
	if !ok {
		return "", "", false
	}
	slug = path
	if i := strings.IndexByte(path, '/'); i >= 0 {
		slug, suffix = path[:i], path[i:]
	}
	if slug == "" {
		return "", "", false
	}
	switch {
	case suffix == "", suffix == "/", suffix == "/mcp", strings.HasPrefix(suffix, "/mcp/"):
		return slug, suffix, true
	}
	return "", "", false
}

// origins are the issuer and, on loopback, the other names of this listener.
func (s *Server) origins(r *http.Request) []string {
	os := []string{s.Issuer}
	if s.ResourceOrigins != nil {
		os = append(os, s.ResourceOrigins(r)...)
	}
	return os
}

// origin is how the client spelled the origin, if that is one of ours. RFC
// 9728, Section 3.3 wants the resource to be what the client connected to, and
// on loopback people type localhost as often as 127.0.0.1. The Host header
// chooses from a fixed set and never adds to it.
func (s *Server) origin(r *http.Request) string {
	for _, o := range s.origins(r)[1:] {
		if _, host, ok := strings.Cut(o, "://"); ok && strings.EqualFold(host, r.Host) {
			return o
		}
	}
	return s.Issuer
}

// resourceSlug maps resource indicators, RFC 8707, Section 2, to the endpoint
// that they name, all of them the same one. The slug is "" if there are none,
// or if they name the bare origin, as clients do that throw the path away.
func (s *Server) resourceSlug(r *http.Request, resources []string) (slug string, e *httpx.Error) {
	for _, res := range resources {
		one, ok := s.slugOf(r, res)
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
	return oauthError(http.StatusBadRequest, "invalid_target", msg)
}

// slugOf reads one resource indicator. Scheme and host compare without regard
// to case and a trailing slash is ignored; a query is, too, since the address
// that a person pasted may have one.
func (s *Server) slugOf(r *http.Request, resource string) (slug string, ok bool) {
	if len(resource) > maxURI || strings.Contains(resource, "#") {
		return "", false
	}
	u, err := url.Parse(resource)
	if err != nil || u.User != nil || u.Opaque != "" || !s.isOurs(r, u) {
		return "", false
	}
	path := u.EscapedPath()
	if path == "" || path == "/" {
		return "", true
	}
	if !httpx.CleanPath(u) {
		return "", false
	}
	slug, _, ok = splitPath(path)
	if !ok || s.Endpoint == nil {
		return "", false
	}
	_, ok = s.Endpoint(slug)
	return slug, ok
}

func (s *Server) isOurs(r *http.Request, u *url.URL) bool {
	got := canonicalOrigin(u)
	for _, o := range s.origins(r) {
		if ours, err := url.Parse(o); err == nil && got == canonicalOrigin(ours) {
			return true
		}
	}
	return false
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
