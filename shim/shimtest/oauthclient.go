package shimtest

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// An OAuthClient speaks OAuth to an issuer by hand, which lets tests do what
// real clients never do.
type OAuthClient struct {
	t        testing.TB
	http     *http.Client
	Issuer   string
	ID       string
	Redirect string
	Resource string // "" sends none
	Verifier string
	State    string

	Access, Refresh string // of the last token answer
}

// NewOAuthClient registers a public client.
func NewOAuthClient(t testing.TB, issuer, redirect string) *OAuthClient {
	t.Helper()
	return NewOAuthClientVia(t, fresh, issuer, redirect)
}

// NewOAuthClientVia registers a public client at an issuer that is reachable
// only through via.
func NewOAuthClientVia(t testing.TB, via *http.Client, issuer, redirect string) *OAuthClient {
	t.Helper()
	c := &OAuthClient{t: t, http: via, Issuer: issuer, Redirect: redirect, Verifier: rand.Text() + rand.Text(), State: rand.Text()}
	c.Register("Test client")
	return c
}

// Register registers the client, which is public, by a name.
func (c *OAuthClient) Register(name string) {
	c.t.Helper()
	status, body := c.PostJSON("/register", map[string]any{
		"client_name": name, "redirect_uris": []string{c.Redirect}, "token_endpoint_auth_method": "none",
	})
	id, _ := body["client_id"].(string)
	if status != http.StatusCreated || id == "" {
		c.t.Fatalf("POST /register = %d %v", status, body)
	}
	c.ID = id
}

// Via makes the client use h, and returns it.
func (c *OAuthClient) Via(h *http.Client) *OAuthClient {
	c.http = h
	return c
}

// PostJSON posts v to a path of the issuer.
func (c *OAuthClient) PostJSON(path string, v any) (int, map[string]any) {
	c.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.do(path, "application/json", bytes.NewReader(b))
}

// PostForm posts a form to a path of the issuer.
func (c *OAuthClient) PostForm(path string, v url.Values) (int, map[string]any) {
	c.t.Helper()
	return c.do(path, "application/x-www-form-urlencoded", strings.NewReader(v.Encode()))
}

// fresh uses no connection twice: tests restart the program, and a POST on an
// old connection fails.
var fresh = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (c *OAuthClient) do(path, contentType string, body io.Reader) (int, map[string]any) {
	c.t.Helper()
	resp, err := c.http.Post(c.Issuer+path, contentType, body)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var m map[string]any
	if len(bytes.TrimSpace(b)) > 0 {
		if err := json.Unmarshal(b, &m); err != nil {
			c.t.Fatalf("POST %s = %d %q, want JSON", path, resp.StatusCode, b)
		}
	}
	return resp.StatusCode, m
}

// AuthorizeURL returns where the client sends the browser.
func (c *OAuthClient) AuthorizeURL() string {
	challenge := sha256.Sum256([]byte(c.Verifier))
	v := url.Values{
		"response_type": {"code"}, "client_id": {c.ID}, "redirect_uri": {c.Redirect}, "state": {c.State},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	if c.Resource != "" {
		v.Set("resource", c.Resource)
	}
	return c.Issuer + "/authorize?" + v.Encode()
}

// CodeFrom returns the code in a redirect, after checking it as a client does.
func (c *OAuthClient) CodeFrom(location string) string {
	c.t.Helper()
	u, err := url.Parse(location)
	if err != nil {
		c.t.Fatal(err)
	}
	q := u.Query()
	if got, want := q.Get("iss"), c.Issuer; got != want {
		c.t.Fatalf("redirect to %q has iss %q, want %q", location, got, want)
	}
	if got := q.Get("state"); got != c.State {
		c.t.Fatalf("redirect has state %q, want %q", got, c.State)
	}
	if q.Get("code") == "" {
		c.t.Fatalf("redirect to %s without a code", location)
	}
	return q.Get("code")
}

// Redeem exchanges a code for tokens.
func (c *OAuthClient) Redeem(code string) (int, map[string]any) {
	c.t.Helper()
	return c.token(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.Redirect}, "client_id": {c.ID}, "code_verifier": {c.Verifier}})
}

// DoRefresh uses a refresh token.
func (c *OAuthClient) DoRefresh(token string) (int, map[string]any) {
	c.t.Helper()
	return c.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {c.ID}})
}

func (c *OAuthClient) token(v url.Values) (int, map[string]any) {
	c.t.Helper()
	status, body := c.PostForm("/token", v)
	if status == http.StatusOK {
		c.Access, _ = body["access_token"].(string)
		c.Refresh, _ = body["refresh_token"].(string)
	}
	return status, body
}

// Connect completes a sign-in: authorize, paste key at consent, redeem.
func (c *OAuthClient) Connect(b *Browser, key string) {
	c.t.Helper()
	p := b.Consent(c.AuthorizeURL(), map[string]string{"api_key": key, "action": "approve"})
	if p.Location == "" {
		c.t.Fatalf("consent ended at %s with %d:\n%s", p.URL, p.Status, p.Body)
	}
	if status, body := c.Redeem(c.CodeFrom(p.Location)); status != http.StatusOK {
		c.t.Fatalf("POST /token = %d %v", status, body)
	}
}
