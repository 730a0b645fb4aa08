package shim

import (
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
