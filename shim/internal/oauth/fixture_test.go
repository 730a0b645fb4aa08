package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
)

const (
	pub      = "https://k2o.example"
	loc      = "http://127.0.0.1:7450"
	slugA    = "aaaaaaaaaaaa"
	slugB    = "bbbbbbbbbbbb"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, Appendix B
	callback = "https://client.example/callback"
)

// A fixture is a public and a local Server over one store, behind the routes
// they are made for.
type fixture struct {
	t      testing.TB
	store  *memStore
	tokens *Tokens
	pub    *Server
	loc    *Server
	names  map[string]string // endpoints
	known  map[string]bool   // redirect URIs
}

func newFixture(t testing.TB) *fixture {
	f := &fixture{
		t:     t,
		store: newMemStore(),
		names: map[string]string{slugA: "Linear", slugB: "Sch\u00f6n \u2713"},
		known: map[string]bool{},
	}
	f.tokens = NewTokens(f.store, nil)
	clients := &Clients{Key: sha256.Sum256([]byte("test"))}
	requests := NewRequests(nil)
	f.pub = f.server(pub, clients, requests)
	f.loc = f.server(loc, clients, requests)
	f.loc.ResourceOrigins = []string{"http://localhost:7450", "http://[::1]:7450"}
	return f
}

func (f *fixture) server(issuer string, c *Clients, q *Requests) *Server {
	return &Server{
		Issuer: issuer, Tokens: f.tokens, Clients: c, Requests: q,
		Endpoint: func(slug string) (string, bool) { n, ok := f.names[slug]; return n, ok },
		Known:    func(uri string) bool { return f.known[uri] },
	}
}

// routes returns the routes of one origin. An endpoint answers a call with the
// ID of its grant.
func (f *fixture) routes(s *Server) http.Handler {
	mux := http.NewServeMux()
	handle := func(h httpx.HandlerFunc) http.Handler { return httpx.Handle(s.log(), WriteError, h) }
	mux.Handle("/.well-known/", handle(s.ServeWellKnown))
	mux.Handle("/register", handle(s.ServeRegister))
	mux.Handle("/token", handle(s.ServeToken))
	mux.Handle("/revoke", handle(s.ServeRevoke))
	mux.HandleFunc("/{slug}/", func(w http.ResponseWriter, r *http.Request) {
		a, ok := s.Authenticate(w, r, r.PathValue("slug"))
		if !ok {
			return
		}
		defer a.Release()
		w.Write([]byte(a.Grant.ID))
	})
	notFound := handle(func(http.ResponseWriter, *http.Request) error { return errNotFound })
	return httpx.CORS(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !httpx.CleanPath(r.URL) {
			notFound.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

// do sends a request to an origin. headers are names and values.
func (f *fixture) do(s *Server, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = strings.TrimPrefix(strings.TrimPrefix(s.Issuer, "https://"), "http://")
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.routes(s).ServeHTTP(w, r)
	return w
}

// form posts parameters, given as names and values.
func (f *fixture) form(s *Server, path string, params ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	return f.do(s, "POST", path, encode(params...), "Content-Type", "application/x-www-form-urlencoded")
}

// encode makes a query or a form body. Values of "-" are left out.
func encode(params ...string) string {
	v := url.Values{}
	for i := 0; i < len(params); i += 2 {
		if params[i+1] != "-" {
			v.Add(params[i], params[i+1])
		}
	}
	return v.Encode()
}

// object decodes a JSON answer.
func object(t testing.TB, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
		t.Fatalf("status %d, body %q: %v", w.Code, w.Body, err)
	}
	return m
}

// wantError checks an answer of RFC 6749, Section 5.2.
func wantError(t testing.TB, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	if ct := w.Header().Get("Content-Type"); ct != "application/json" {
		t.Errorf("Content-Type: got %q, want JSON", ct)
	}
	if cc := w.Header().Get("Cache-Control"); cc != "no-store" {
		t.Errorf("Cache-Control: got %q, want no-store", cc)
	}
	if w.Code != status {
		t.Fatalf("got status %d, want %d: %s", w.Code, status, w.Body)
	}
	if got := object(t, w)["error"]; got != code {
		t.Errorf("got error %q, want %q: %s", got, code, w.Body)
	}
}

// register registers a client and returns the answer.
func (f *fixture) register(body string) map[string]any {
	f.t.Helper()
	w := f.do(f.pub, "POST", "/register", body, "Content-Type", "application/json")
	if w.Code != http.StatusCreated {
		f.t.Fatalf("register %s: got status %d: %s", body, w.Code, w.Body)
	}
	return object(f.t, w)
}

// client registers a public client with these redirect URIs.
func (f *fixture) client(uris ...string) string {
	f.t.Helper()
	if len(uris) == 0 {
		uris = []string{callback}
	}
	b, err := json.Marshal(map[string]any{"redirect_uris": uris, "client_name": "Test", "token_endpoint_auth_method": "none"})
	if err != nil {
		f.t.Fatal(err)
	}
	return f.register(string(b))["client_id"].(string)
}

// query returns a correct authorization request, changed by params: names and
// values, "-" to leave a name out.
func query(client string, params ...string) url.Values {
	v := url.Values{
		"client_id": {client}, "redirect_uri": {callback}, "response_type": {"code"}, "state": {"xyz"},
		"code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"},
		"resource": {pub + "/" + slugA + "/mcp"}, "scope": {"mcp"},
	}
	for i := 0; i < len(params); i += 2 {
		if v.Del(params[i]); params[i+1] != "-" {
			v.Set(params[i], params[i+1])
		}
	}
	return v
}

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func authorize(s *Server, rawQuery string) (*Request, *AuthorizeError) {
	r := httptest.NewRequest("GET", "/authorize", nil)
	r.URL.RawQuery = rawQuery
	req, err := s.Authorize(r)
	if err != nil {
		return nil, err.(*AuthorizeError)
	}
	return req, nil
}

// approve completes authorization and consent and returns the answer sent to
// the client's redirect URI.
func (f *fixture) approve(s *Server, q url.Values) url.Values {
	f.t.Helper()
	req, e := authorize(s, q.Encode())
	if e != nil {
		f.t.Fatalf("Authorize(%s): %v", q.Encode(), e)
	}
	slug := req.Slug
	if slug == "" {
		slug = slugA
	}
	if _, ok := s.Requests.Take(req.ID); !ok {
		f.t.Fatal("the request is not kept")
	}
	loc, err := s.Approve(req, slug, "credential", NewGrantID(), "")
	if err != nil {
		f.t.Fatalf("Approve: %v", err)
	}
	u, err := url.Parse(loc)
	if err != nil {
		f.t.Fatal(err)
	}
	return u.Query()
}

// A session is a client with a grant.
type session struct {
	f                       *fixture
	s                       *Server
	client, access, refresh string
}

func (f *fixture) connect(s *Server, params ...string) *session {
	f.t.Helper()
	if s == f.loc {
		params = append([]string{"resource", loc + "/" + slugA + "/mcp"}, params...)
	}
	client := f.client()
	code := f.approve(s, query(client, params...)).Get("code")
	w := f.form(s, "/token", redeem(client, code)...)
	if w.Code != http.StatusOK {
		f.t.Fatalf("redeem: got status %d: %s", w.Code, w.Body)
	}
	m := object(f.t, w)
	return &session{f, s, client, m["access_token"].(string), m["refresh_token"].(string)}
}

// redeem returns the parameters that exchange a code, changed by params.
func redeem(client, code string, params ...string) []string {
	return override([]string{"grant_type", "authorization_code", "client_id", client, "code", code, "code_verifier", verifier}, params)
}

func override(base, params []string) []string {
	m := map[string]string{}
	for _, p := range [][]string{base, params} {
		for i := 0; i < len(p); i += 2 {
			m[p[i]] = p[i+1]
		}
	}
	var out []string
	for k := range maps.Keys(m) {
		out = append(out, k, m[k])
	}
	return out
}

// renew uses a refresh token of the session's client.
func (c *session) renew(token string, params ...string) *httptest.ResponseRecorder {
	c.f.t.Helper()
	return c.f.form(c.s, "/token", override([]string{"grant_type", "refresh_token", "client_id", c.client, "refresh_token", token}, params)...)
}

// mustRenew returns the new tokens.
func (c *session) mustRenew(token string) (access, refresh string) {
	c.f.t.Helper()
	w := c.renew(token)
	if w.Code != http.StatusOK {
		c.f.t.Fatalf("refresh: got status %d: %s", w.Code, w.Body)
	}
	m := object(c.f.t, w)
	return m["access_token"].(string), m["refresh_token"].(string)
}

// call calls endpoint A with an access token.
func (c *session) call(access string) *httptest.ResponseRecorder {
	c.f.t.Helper()
	return c.f.do(c.s, "POST", "/"+slugA+"/mcp", "{}", "Authorization", "Bearer "+access)
}

func (c *session) wantCall(access string, status int) {
	c.f.t.Helper()
	if w := c.call(access); w.Code != status {
		c.f.t.Errorf("call: got status %d, want %d: %s", w.Code, status, w.Body)
	}
}
