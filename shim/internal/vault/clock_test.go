package vault

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

const (
	clockOrigin   = "https://k2o.example"
	clockCallback = "https://client.example/callback"
	clockVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, Appendix B
)

// A clockWorld is an app with a grant, at an authorization server over a real
// vault. Both read one clock, which the test sets.
type clockWorld struct {
	t      *testing.T
	dir    string
	begin  time.Time
	ahead  time.Duration
	vault  *Vault
	tokens *oauth.Tokens
	server *oauth.Server

	client  string
	refresh string
	access  []string
	issued  []time.Duration // how far ahead the clock was at each access token
}

func (w *clockWorld) now() time.Time { return w.begin.Add(w.ahead) }

// start opens the vault, as a start of the program does.
func (w *clockWorld) start() {
	w.t.Helper()
	w.vault = open(w.t, Config{Dir: w.dir, Mode: keychain.ModeFile, Now: w.now})
	w.tokens = oauth.NewTokens(w.vault, w.now)
	w.server = &oauth.Server{
		Issuer: clockOrigin, Tokens: w.tokens, Requests: oauth.NewRequests(w.now), Now: w.now,
		Clients:  &oauth.Clients{Key: sha256.Sum256([]byte("test"))},
		Endpoint: func(slug string) (string, bool) { e, ok := w.vault.Endpoint(slug); return e.Name, ok },
	}
}

func (w *clockWorld) restart() {
	w.t.Helper()
	closeVault(w.t, w.vault)
	w.start()
}

// connect registers a client and has it approved.
func (w *clockWorld) connect() {
	w.t.Helper()
	addEndpoint(w.t, w.vault, testSlug, "")
	credential := saveKey(w.t, w.vault, testSlug, "", testKey)
	body := fmt.Sprintf(`{"redirect_uris":[%q],"token_endpoint_auth_method":"none"}`, clockCallback)
	w.client = w.post(w.server.ServeRegister, "application/json", body)["client_id"].(string)
	challenge := sha256.Sum256([]byte(clockVerifier))
	r := httptest.NewRequest("GET", clockOrigin+"/authorize?"+url.Values{
		"client_id": {w.client}, "redirect_uri": {clockCallback}, "response_type": {"code"}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "resource": {clockOrigin + "/" + testSlug + "/mcp"},
	}.Encode(), nil)
	req, err := w.server.Authorize(r)
	if err != nil {
		w.t.Fatal(err)
	}
	location, err := w.server.Approve(req, testSlug, credential.ID, oauth.NewGrantID(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := url.Parse(location)
	if err != nil {
		w.t.Fatal(err)
	}
	w.token("connect", "grant_type", "authorization_code", "code", u.Query().Get("code"), "code_verifier", clockVerifier)
}

func (w *clockWorld) post(h httpx.HandlerFunc, contentType, body string) map[string]any {
	w.t.Helper()
	r := httptest.NewRequest("POST", clockOrigin+"/", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	rec := httptest.NewRecorder()
	if err := h(rec, r); err != nil {
		w.t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		w.t.Fatalf("%d %s: %v", rec.Code, rec.Body, err)
	}
	return answer
}

// token gets tokens, which must work.
func (w *clockWorld) token(when string, params ...string) {
	w.t.Helper()
	form := url.Values{"client_id": {w.client}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	r := httptest.NewRequest("POST", clockOrigin+"/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	if err := w.server.ServeToken(rec, r); err != nil {
		w.t.Fatalf("%s: %s: %v", when, form.Get("grant_type"), err)
	}
	var answer struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || answer.Access == "" || answer.Refresh == "" {
		w.t.Fatalf("%s: %d %s: %v", when, rec.Code, rec.Body, err)
	}
	w.refresh = answer.Refresh
	w.access, w.issued = append(w.access, answer.Access), append(w.issued, w.ahead)
}

// try uses every access token ever issued. Each is valid for a day by the
// clock, no matter how the clock changed in between.
func (w *clockWorld) try(when string) {
	w.t.Helper()
	for i, token := range w.access {
		r := httptest.NewRequest("POST", clockOrigin+"/"+testSlug+"/mcp", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		rec := httptest.NewRecorder()
		a, ok := w.server.Authenticate(rec, r, testSlug)
		if ok {
			a.Release()
		}
		if good := w.ahead-w.issued[i] < 24*time.Hour; ok != good || !ok && rec.Code != http.StatusUnauthorized {
			w.t.Errorf("%s: access token %d, which is %v old, works: %t, want %t (status %d)", when, i+1, w.ahead-w.issued[i], ok, good, rec.Code)
		}
	}
}

// forgetSwept forgets the access tokens that a sweep may delete for good: as
// far as the program can tell, they expired more than two days ago.
func (w *clockWorld) forgetSwept() {
	for i := len(w.issued) - 1; i >= 0; i-- {
		if w.ahead-w.issued[i] >= (24+48)*time.Hour {
			w.access, w.issued = slices.Delete(w.access, i, i+1), slices.Delete(w.issued, i, i+1)
		}
	}
}

// check runs one hour of the program: the hourly sweep, calls and a refresh.
func (w *clockWorld) check(when string) {
	w.t.Helper()
	if err := w.vault.Sweep(w.now()); err != nil {
		w.t.Fatalf("%s: %v", when, err)
	}
	w.forgetSwept()
	w.try(when)
	w.token(when, "grant_type", "refresh_token", "refresh_token", w.refresh)
	w.try(when + ", refreshed")
	if n, err := w.vault.NumGrants(); n != 1 || err != nil {
		w.t.Fatalf("%s: there are %d grants, %v, want 1", when, n, err)
	}
}

// TestT16T18ClockIsSet sets the clock between two calls and between two starts.
// In both cases no app has to sign in again: no token is mistaken for a reused
// one, and a token that expired by a wrong clock is valid again by the right
// one.
func TestT16T18ClockIsSet(t *testing.T) {
	const day = 24 * time.Hour
	for _, ahead := range []time.Duration{-400 * day, -day, -time.Hour, 10 * time.Minute, day, 47 * time.Hour} {
		t.Run(fmt.Sprintf("by %v", ahead), func(t *testing.T) {
			t.Parallel()
			w := &clockWorld{t: t, dir: t.TempDir(), begin: time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC)}
			w.start()
			w.connect()
			w.check("before")
			lost := w.refresh // the answer to it does not arrive
			w.token("before", "grant_type", "refresh_token", "refresh_token", w.refresh)
			w.refresh = lost

			w.ahead = ahead
			w.check("the clock is set")
			w.ahead = 0
			w.check("the clock is right again")
			w.ahead = ahead
			w.restart()
			w.check("a start with the wrong clock")
			w.ahead = 0
			w.restart()
			w.check("a start with the right clock")
		})
	}
}
