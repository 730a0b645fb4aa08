package shim

import (
	"net/http"
	"net/http/httptest"
	"strings"
)

// PublicRoutes returns a function that asks what an origin serves to the
// world, without the loopback side's other half.
func (s *Shim) PublicRoutes() func(method, path string) (status int) {
	o := s.local.Load()
	return func(method, path string) int {
		r := httptest.NewRequest(method, o.as.Issuer+path, nil)
		r.Host = strings.TrimPrefix(o.as.Issuer, "http://")
		w := httptest.NewRecorder()
		o.ServeHTTP(w, r)
		return w.Code
	}
}

// SetDocumentTransport makes t send the requests for client ID metadata
// documents. It must be called before the first of them.
func (s *Shim) SetDocumentTransport(t http.RoundTripper) { s.documents.Transport = t }
