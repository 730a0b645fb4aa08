package shim

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/parcel"
	"github.com/key2oauth/key2oauth/shim/internal/selfcheck"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
)

func init() { parcel.WorkFactor = 10 } // a passphrase is tried in a millisecond

// PublicRoutes returns a function that requests a path of an origin as the
// internet would, without the loopback side, and returns the status.
func (s *Shim) PublicRoutes() func(method, path string) (status int) {
	o := s.local.Load()
	return func(method, path string) int {
		r := httptest.NewRequest(method, o.Server.Issuer+path, nil)
		r.Host = strings.TrimPrefix(o.Server.Issuer, "http://")
		w := httptest.NewRecorder()
		o.ServeHTTP(w, r)
		return w.Code
	}
}

// SetDocumentTransport makes t send the requests for client ID metadata
// documents. It must be called before the first of them.
func (s *Shim) SetDocumentTransport(t http.RoundTripper) { s.documents.Transport = t }

// AgeVisits makes all visits from the internet older by d.
func (s *Shim) AgeVisits(d time.Duration) { s.signIns.AgeVisits(d) }

// BeginSelfTest begins a test of the public address.
func (s *Shim) BeginSelfTest() (path, nonce string, end func()) { return s.selfTests.Begin() }

// SetExaminer replaces the doctor with f.
func (s *Shim) SetExaminer(f func(ctx context.Context, tell func(api.Finding))) { s.exams.Examine = f }

// Examine begins an examination.
func (s *Shim) Examine() { s.exams.Begin() }

// Selfcheck opens a built-in server, as an examination does.
func (s *Shim) Selfcheck(public bool) (*selfcheck.Server, error) { return s.selfcheck(public) }

// Grant reads a grant.
func (s *Shim) Grant(id string) (oauth.Grant, error) { return s.vault.Grant(id) }

// ChangeGrant changes a grant.
func (s *Shim) ChangeGrant(id string, f func(*oauth.Grant)) error {
	return s.vault.UpdateGrant(id, func(tx oauth.Tx) error {
		g := tx.Grant()
		f(&g)
		tx.SetGrant(g)
		return nil
	})
}

// NoteSample makes a server the sample that a crash has left.
func (s *Shim) NoteSample(slug string) error { return s.control.SetSample(slug) }

// AddServers adds n servers at once, without asking them anything.
func (s *Shim) AddServers(n int, of func(i int) endpoint.Endpoint) error {
	var all []vault.NewEndpoint
	for i := range n {
		all = append(all, vault.NewEndpoint{Endpoint: of(i)})
	}
	return s.vault.AddEndpoints(all...)
}
