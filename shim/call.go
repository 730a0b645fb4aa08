package shim

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/proxy"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// A line is all that a call needs of one credential, ready to use: nothing of
// it is read, decrypted or parsed again while a call waits.
type line struct {
	credential string
	name       string // of the endpoint
	target     upstream.Target
	rejected   atomic.Bool
	nextTry    atomic.Int64 // Unix nanoseconds: a rejected credential is not tried before
}

// retryRejected is how long a rejected credential is left alone between tries.
const retryRejected = 30 * time.Second

// line finds or makes the line of a credential.
func (s *Shim) line(slug, credential string) (*line, error) {
	if l, ok := s.lines.Load(credential); ok {
		return l.(*line), nil
	}
	e, ok := s.vault.Endpoint(slug)
	if !ok {
		return nil, vault.ErrNotFound
	}
	c, ok := s.vault.Credential(credential)
	if !ok {
		return nil, vault.ErrNotFound
	}
	key, err := s.vault.Key(credential)
	if err != nil {
		return nil, err
	}
	u, err := s.vault.UpstreamURL(slug)
	if err != nil {
		return nil, err
	}
	l := &line{credential: credential, name: e.Name, target: upstream.Target{URL: u, Header: e.Header, Key: key}}
	l.target.Ready()
	l.rejected.Store(c.State == endpoint.Rejected)
	s.lines.Store(credential, l)
	return l, nil
}

// refuses reports whether calls are to be answered without asking the
// upstream, because it rejected the key moments ago.
func (l *line) refuses() bool {
	if !l.rejected.Load() {
		return false
	}
	now, next := time.Now().UnixNano(), l.nextTry.Load()
	return now < next || !l.nextTry.CompareAndSwap(next, now+int64(retryRejected))
}

// serveEndpoint serves /{slug}/mcp and what belongs to it. Authorization is
// decided before anything else of the request is looked at, so that a client
// that sends nonsense still learns where to get a token.
func (o *origin) serveEndpoint(w http.ResponseWriter, r *http.Request, slug, rest string) {
	s := o.s
	sub, isMCP := endpointPath(rest)
	if _, ok := s.vault.Endpoint(slug); !ok || !isMCP {
		if c := s.selfchecks.Find(slug); c != nil && isMCP && c.On(o.as) {
			c.Serve(w, r, sub)
			return
		}
		o.notFound(w, r)
		return
	}
	if r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Method == http.MethodGet {
		web.Render(w, http.StatusOK, web.ErrorPage{Public: !o.loopback, Status: http.StatusOK, Title: web.TextMCPOnlyTitle, Words: web.TextMCPOnly, Next: web.TextMCPOnlyNext})
		return
	}
	access, ok := o.as.Authenticate(w, r, slug)
	if !ok {
		return
	}
	defer access.Release()
	paused, ok := s.paused.running(r.Method)
	if !ok {
		s.noteBlocked(access.Grant.ID, "paused")
		unavailable(w, web.TextPausedCall)
		return
	}
	l, err := s.line(slug, access.Grant.Credential)
	switch {
	case errors.Is(err, vault.ErrLocked):
		s.noteBlocked(access.Grant.ID, "locked")
		unavailable(w, s.vault.Keychain().Words)
		return
	case errors.Is(err, vault.ErrKeyNeeded), errors.Is(err, vault.ErrNotFound):
		e, _ := s.vault.Endpoint(slug)
		l = &line{credential: access.Grant.Credential, name: e.Name}
		l.rejected.Store(true)
		l.nextTry.Store(1<<63 - 1)
	case err != nil:
		s.log.Error("credential cannot be opened", "slug", slug, "err", err)
		unavailable(w, web.TextInternal)
		return
	}
	s.proxy.ServeHTTP(w, r, &proxy.Call{
		Slug: slug, Name: l.name, Grant: access.Grant.ID, CredentialID: l.credential,
		Upstream: &l.target, Subpath: sub,
		Done: access.Done(), Paused: paused, Expires: access.Expires,
		Rejected: l.refuses,
		Report: func(out proxy.Outcome) {
			s.report(l, out)
			s.record(&access.Grant, out)
			s.noteCall(access.Grant.ID, out)
		},
	})
}

// endpointPath splits what follows the slug. An endpoint answers at /{slug}
// and /{slug}/mcp, with and without a slash at the end and never with a
// redirect: some clients turn a redirected POST into a GET.
func endpointPath(rest string) (sub string, ok bool) {
	switch rest {
	case "", "/", "/mcp", "/mcp/":
		return "", true
	}
	sub, ok = strings.CutPrefix(rest, "/mcp")
	return sub, ok && sub[0] == '/'
}

// report keeps a credential's state true to what its upstream said last.
func (s *Shim) report(l *line, out proxy.Outcome) {
	switch {
	case out.Confirmed401 && l.rejected.CompareAndSwap(false, true):
		l.nextTry.Store(time.Now().Add(retryRejected).UnixNano())
		go s.setState(l, endpoint.Rejected)
	case out.Success && l.rejected.CompareAndSwap(true, false):
		go s.setState(l, endpoint.Working)
	}
}

func (s *Shim) setState(l *line, state endpoint.CredentialState) {
	if err := s.vault.SetCredentialState(l.credential, state); err != nil {
		s.log.Warn("state of a credential was not saved", "credential", l.credential, "err", err)
	}
	if state == endpoint.Rejected {
		s.log.Info("an upstream rejected its API key", "endpoint", l.name, "credential", l.credential)
	}
	s.changes.Notify()
}

// unavailable answers for our own troubles. Never 404 or 401: clients take
// them for a dead session or a dead token.
func unavailable(w http.ResponseWriter, words string) {
	w.Header().Set("Retry-After", "30")
	httpx.WriteJSON(w, http.StatusServiceUnavailable, map[string]any{
		"jsonrpc": "2.0", "id": nil,
		"error": map[string]any{"code": -32000, "message": words},
	})
}
