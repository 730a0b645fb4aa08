package oauth

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestObserve sends a server what clients do right and wrong, and compares what
// the observer is told.
func TestObserve(t *testing.T) {
	const secret = "canary-canary-canary-canary-canary-canary-canary"
	tests := []struct {
		name string
		do   func(f *fixture)
		want []string // step/why
	}{
		{"metadata", func(f *fixture) {
			f.do(f.pub, "GET", "/.well-known/oauth-authorization-server", "")
			f.do(f.pub, "GET", "/.well-known/oauth-protected-resource/"+slugA+"/mcp", "")
			f.do(f.pub, "GET", "/.well-known/openid-configuration", "")
		}, []string{"found/", "found/"}},
		{"challenge", func(f *fixture) { f.do(f.pub, "POST", "/"+slugA+"/mcp", "{}") }, []string{"found/"}},
		{"junk for a token", func(f *fixture) {
			f.do(f.pub, "POST", "/"+slugA+"/mcp", "{}", "Authorization", "Basic "+secret)
		}, []string{"token/malformed"}},
		{"unknown token", func(f *fixture) {
			f.do(f.pub, "POST", "/"+slugA+"/mcp", "{}", "Authorization", "Bearer "+secret)
		}, []string{"token/unknown"}},
		{"connected", func(f *fixture) { f.connect(f.pub) }, []string{"register/", "authorize/", "exchange/"}},
		{"token for another endpoint", func(f *fixture) {
			c := f.connect(f.pub)
			f.do(f.pub, "POST", "/"+slugB+"/mcp", "{}", "Authorization", "Bearer "+c.access)
		}, []string{"register/", "authorize/", "exchange/", "token/endpoint"}},
		{"token of another origin", func(f *fixture) {
			c := f.connect(f.pub)
			f.do(f.loc, "POST", "/"+slugA+"/mcp", "{}", "Authorization", "Bearer "+c.access)
		}, []string{"register/", "authorize/", "exchange/", "token/other origin"}},
		{"registration", func(f *fixture) {
			f.do(f.pub, "POST", "/register", `{"redirect_uris":["javascript:alert(1)"]}`, "Content-Type", "application/json")
			f.do(f.pub, "POST", "/register", `{"redirect_uris":["https://a.example/"],"grant_types":["implicit"]}`, "Content-Type", "application/json")
		}, []string{"register/redirect", "register/registration"}},
		{"unknown client", func(f *fixture) { authorize(f.pub, query("k2o_c_stale").Encode()) }, []string{"authorize/client"}},
		{"foreign redirect", func(f *fixture) {
			authorize(f.pub, query(f.client(), "redirect_uri", "https://evil.example/").Encode())
		}, []string{"register/", "authorize/redirect"}},
		{"no PKCE", func(f *fixture) { authorize(f.pub, query(f.client(), "code_challenge", "-").Encode()) }, []string{"register/", "authorize/pkce"}},
		{"other resource", func(f *fixture) {
			authorize(f.pub, query(f.client(), "resource", "https://elsewhere.example/mcp").Encode())
		}, []string{"register/", "authorize/resource"}},
		{"no response type", func(f *fixture) {
			authorize(f.pub, query(f.client(), "response_type", "token").Encode())
		}, []string{"register/", "authorize/malformed"}},
		{"wrong verifier", func(f *fixture) {
			id := f.client()
			f.form(f.pub, "/token", redeem(id, f.approve(f.pub, query(id)).Get("code"), "code_verifier", secret)...)
		}, []string{"register/", "authorize/", "exchange/pkce"}},
		{"other redirect at exchange", func(f *fixture) {
			id := f.client()
			f.form(f.pub, "/token", redeem(id, f.approve(f.pub, query(id)).Get("code"), "redirect_uri", callback+"/")...)
		}, []string{"register/", "authorize/", "exchange/redirect"}},
		{"code of another client", func(f *fixture) {
			code := f.approve(f.pub, query(f.client())).Get("code")
			f.form(f.pub, "/token", redeem(f.client("https://other.example/"), code)...)
		}, []string{"register/", "authorize/", "register/", "exchange/other client"}},
		{"code at another origin", func(f *fixture) {
			id := f.client()
			f.form(f.loc, "/token", redeem(id, f.approve(f.pub, query(id)).Get("code"))...)
		}, []string{"register/", "authorize/", "exchange/other origin"}},
		{"late code", func(f *fixture) {
			id := f.client()
			code := f.approve(f.pub, query(id)).Get("code")
			f.pub.Now = func() time.Time { return time.Now().Add(time.Hour) }
			f.form(f.pub, "/token", redeem(id, code)...)
		}, []string{"register/", "authorize/", "exchange/expired"}},
		{"code used twice", func(f *fixture) {
			id := f.client()
			code := f.approve(f.pub, query(id)).Get("code")
			f.form(f.pub, "/token", redeem(id, code)...)
			f.form(f.pub, "/token", redeem(id, code)...)
			f.form(f.pub, "/token", redeem(id, code)...)
		}, []string{"register/", "authorize/", "exchange/", "exchange/reused", "exchange/unknown"}},
		{"stale client at the token endpoint", func(f *fixture) {
			f.form(f.pub, "/token", redeem("k2o_c_stale", secret)...)
		}, []string{"exchange/client"}},
		{"code for another endpoint", func(f *fixture) {
			id := f.client()
			f.form(f.pub, "/token", redeem(id, f.approve(f.pub, query(id)).Get("code"), "resource", pub+"/"+slugB+"/mcp")...)
		}, []string{"register/", "authorize/", "exchange/resource"}},
		{"unknown refresh token", func(f *fixture) {
			c := f.connect(f.pub)
			c.renew("k2o_rt_" + secret)
		}, []string{"register/", "authorize/", "exchange/", "refresh/unknown"}},
		{"disk", func(f *fixture) {
			c := f.connect(f.pub)
			f.store.fail = ErrUnavailable
			c.renew(c.refresh)
		}, []string{"register/", "authorize/", "exchange/", "refresh/state"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			var got []string
			observe := func(_ *http.Request, x Observation) {
				got = append(got, string(x.Step)+"/"+string(x.Reason))
				if s := fmt.Sprintf("%+v", x); strings.Contains(s, "canary") || strings.Contains(s, verifier) {
					t.Errorf("the observer is told a secret: %s", s)
				}
			}
			f.pub.Observe, f.loc.Observe = observe, observe
			tt.do(f)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
