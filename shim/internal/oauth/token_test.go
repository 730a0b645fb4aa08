package oauth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestT01Redeem(t *testing.T) {
	f := newFixture(t)
	client := f.client()
	w := f.form(f.pub, "/token", redeem(client, f.approve(f.pub, query(client)).Get("code"))...)
	if w.Code != http.StatusOK {
		t.Fatalf("got status %d: %s", w.Code, w.Body)
	}
	for name, want := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	var m struct {
		AccessToken  string          `json:"access_token"`
		TokenType    string          `json:"token_type"`
		ExpiresIn    json.RawMessage `json:"expires_in"`
		RefreshToken string          `json:"refresh_token"`
		Scope        string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	if m.TokenType != "Bearer" || string(m.ExpiresIn) != "86400" || m.Scope != "mcp" {
		t.Errorf("got %s", w.Body)
	}
	if !strings.HasPrefix(m.AccessToken, "k2o_at_") || !strings.HasPrefix(m.RefreshToken, "k2o_rt_") {
		t.Error("a token lacks its prefix")
	}
	c := &session{f, f.pub, client, m.AccessToken, m.RefreshToken}
	c.wantCall(c.access, http.StatusOK)
	if g, err := f.store.Grant(grantOf(t, c.access)); err != nil || !g.CodeRedeemed {
		t.Errorf("got %+v, %v, want the code marked as redeemed", g, err)
	}
}

func TestT02T04T05WhatFailsConsumesNothing(t *testing.T) {
	f := newFixture(t)
	const loopback = "http://127.0.0.1:5555/callback"
	client, other := f.client("http://127.0.0.1/callback"), f.client("https://other.example/")
	code := f.approve(f.pub, query(client, "redirect_uri", loopback)).Get("code")
	grants, tokens := f.store.dump()
	for _, tt := range []struct {
		name   string
		server *Server
		params []string
		code   string
	}{
		{"T02 wrong verifier", f.pub, []string{"code_verifier", strings.Repeat("x", 43)}, "invalid_grant"},
		{"T02 challenge as verifier", f.pub, []string{"code_verifier", challenge(verifier)}, "invalid_grant"},
		{"T02 short verifier", f.pub, []string{"code_verifier", "x"}, "invalid_grant"},
		{"T02 long verifier", f.pub, []string{"code_verifier", strings.Repeat("x", 129)}, "invalid_grant"},
		{"T02 verifier of other signs", f.pub, []string{"code_verifier", verifier[:42] + "!"}, "invalid_grant"},
		{"T02 no verifier", f.pub, []string{"code_verifier", "-"}, "invalid_request"},
		{"T02 another client", f.pub, []string{"client_id", other}, "invalid_grant"},
		{"T02 another origin", f.loc, nil, "invalid_grant"},
		{"T05 redirect URI without its port", f.pub, []string{"redirect_uri", "http://127.0.0.1/callback"}, "invalid_grant"},
		{"T05 redirect URI with another port", f.pub, []string{"redirect_uri", "http://127.0.0.1:5556/callback"}, "invalid_grant"},
		{"T11 another resource", f.pub, []string{"resource", pub + "/" + slugB + "/mcp"}, "invalid_target"},
		{"T11 foreign resource", f.pub, []string{"resource", "https://evil.example/"}, "invalid_target"},
		{"T04 guessed secret", f.pub, []string{"code", code[:len(code)-43] + strings.Repeat("x", 43)}, "invalid_grant"},
		{"T04 other grant", f.pub, []string{"code", "k2o_ac_nobody" + code[len(code)-44:]}, "invalid_grant"},
		{"T04 no code", f.pub, []string{"code", "-"}, "invalid_request"},
		{"T04 nonsense", f.pub, []string{"code", "x"}, "invalid_grant"},
		{"T04 code as another kind", f.pub, []string{"grant_type", "refresh_token", "refresh_token", strings.Replace(code, "k2o_ac_", "k2o_rt_", 1)}, "invalid_grant"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantError(t, f.form(tt.server, "/token", redeem(client, code, tt.params...)...), http.StatusBadRequest, tt.code)
			if g, ts := f.store.dump(); !reflect.DeepEqual(g, grants) || !reflect.DeepEqual(ts, tokens) {
				t.Error("something has changed")
			}
		})
	}
	t.Run("T05 exact redirect URI", func(t *testing.T) {
		w := f.form(f.pub, "/token", redeem(client, code, "redirect_uri", loopback)...)
		if w.Code != http.StatusOK {
			t.Errorf("after all that: got %d %s, want 200", w.Code, w.Body)
		}
	})
	t.Run("T05 no redirect URI", func(t *testing.T) {
		code := f.approve(f.pub, query(client, "redirect_uri", loopback)).Get("code")
		if w := f.form(f.pub, "/token", redeem(client, code)...); w.Code != http.StatusOK {
			t.Errorf("got %d %s, want 200", w.Code, w.Body)
		}
	})
}

func TestT03Replay(t *testing.T) {
	f := newFixture(t)
	client, other := f.client(), f.client("https://other.example/")
	code := f.approve(f.pub, query(client)).Get("code")
	m := object(t, f.form(f.pub, "/token", redeem(client, code)...))
	c := &session{f, f.pub, client, m["access_token"].(string), m["refresh_token"].(string)}
	a, err := f.tokens.Verify(c.access)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Release()

	wantError(t, f.form(f.pub, "/token", redeem(other, code)...), http.StatusBadRequest, "invalid_grant")
	wantError(t, f.form(f.pub, "/token", redeem(client, code[:len(code)-1]+"_")...), http.StatusBadRequest, "invalid_grant")
	c.wantCall(c.access, http.StatusOK) // neither was a replay
	for name, change := range map[string][]string{
		"a wrong verifier":              {"code_verifier", strings.Repeat("x", 43)},
		"the challenge as the verifier": {"code_verifier", challenge(verifier)},
		"no verifier":                   {"code_verifier", "-"},
		"another redirect URI":          {"redirect_uri", "https://evil.example/"},
		"another resource":              {"resource", "https://evil.example/"},
		"another endpoint's resource":   {"resource", pub + "/" + slugB + "/mcp"},
		"another client":                {"client_id", other},
	} {
		if w := f.form(f.pub, "/token", redeem(client, code, change...)...); w.Code != http.StatusBadRequest {
			t.Errorf("a used code with %s: got status %d", name, w.Code)
		}
		c.wantCall(c.access, http.StatusOK) // nor was that
	}

	wantError(t, f.form(f.pub, "/token", redeem(client, code)...), http.StatusBadRequest, "invalid_grant")
	select {
	case <-a.Done():
	default:
		t.Error("an open stream was not cut")
	}
	c.wantCall(c.access, http.StatusUnauthorized)
	wantError(t, c.renew(c.refresh), http.StatusBadRequest, "invalid_grant")
	if g, ts := f.store.dump(); len(g)+len(ts) != 0 {
		t.Errorf("still kept: %v", g)
	}
}

func TestCodeExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		client := f.client()
		code := f.approve(f.pub, query(client)).Get("code")
		time.Sleep(5 * time.Minute)
		wantError(t, f.form(f.pub, "/token", redeem(client, code)...), http.StatusBadRequest, "invalid_grant")
	})
}

func TestT06ClientAuthentication(t *testing.T) {
	f := newFixture(t)
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	ids, secrets := map[string]string{}, map[string]string{}
	for _, method := range []string{"none", "client_secret_post", "client_secret_basic", ""} {
		m := f.register(`{"redirect_uris":["` + callback + `"],"token_endpoint_auth_method":"` + method + `"}`)
		ids[method], _ = m["client_id"].(string)
		secrets[method], _ = m["client_secret"].(string)
	}
	const post, header, unset = "client_secret_post", "client_secret_basic", ""
	percent := func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "_", "%5F"), "-", "%2d") }
	for _, tt := range []struct {
		name   string
		client string
		header string
		params []string
		status int
		code   string // expected in the error
	}{
		{"none", "none", "", []string{"client_id", ids["none"]}, 200, ""},
		{"none, empty secret", "none", "", []string{"client_id", ids["none"], "client_secret", ""}, 200, ""},
		{"none, Basic with empty password", "none", basic(ids["none"], ""), nil, 200, ""},
		{"none, with a secret", "none", "", []string{"client_id", ids["none"], "client_secret", "x"}, 401, "invalid_client"},
		{"none, Basic with a password", "none", basic(ids["none"], "x"), nil, 401, "invalid_client"},
		{"post", post, "", []string{"client_id", ids[post], "client_secret", secrets[post]}, 200, ""},
		{"post, wrong", post, "", []string{"client_id", ids[post], "client_secret", secrets[header]}, 401, "invalid_client"},
		{"post, missing", post, "", []string{"client_id", ids[post]}, 401, "invalid_client"},
		{"post, by Basic", post, basic(ids[post], secrets[post]), nil, 401, "invalid_client"},
		{"basic", header, basic(ids[header], secrets[header]), nil, 200, ""},
		{"basic, form-encoded", header, basic(percent(ids[header]), percent(secrets[header])), nil, 200, ""},
		{"basic, lower case", header, strings.Replace(basic(ids[header], secrets[header]), "Basic", "basic", 1), nil, 200, ""},
		{"basic and client_id", header, basic(ids[header], secrets[header]), []string{"client_id", ids[header]}, 200, ""},
		{"basic and another client_id", header, basic(ids[header], secrets[header]), []string{"client_id", ids[post]}, 400, "invalid_request"},
		{"basic, by post", header, "", []string{"client_id", ids[header], "client_secret", secrets[header]}, 401, "invalid_client"},
		{"basic, wrong", header, basic(ids[header], "x"), nil, 401, "invalid_client"},
		{"basic, no password", header, basic(ids[header], ""), nil, 401, "invalid_client"},
		{"both", header, basic(ids[header], secrets[header]), []string{"client_secret", secrets[header]}, 400, "invalid_request"},
		{"never chose, post", unset, "", []string{"client_id", ids[unset], "client_secret", secrets[unset]}, 200, ""},
		{"never chose, basic", unset, basic(ids[unset], secrets[unset]), nil, 200, ""},
		{"never chose, none", unset, "", []string{"client_id", ids[unset]}, 401, "invalid_client"},
		{"malformed base64", header, "Basic !!!", nil, 401, "invalid_client"},
		{"no colon", header, "Basic " + base64.StdEncoding.EncodeToString([]byte("x")), nil, 401, "invalid_client"},
		{"bad escape", header, basic("%zz", "x"), nil, 401, "invalid_client"},
		{"nothing after Basic", header, "Basic", nil, 401, "invalid_client"},
		{"other scheme", header, "Bearer x", nil, 401, "invalid_client"},
		{"assertion", "none", "", []string{"client_id", ids["none"], "client_assertion", "x", "client_assertion_type", "y"}, 401, "invalid_client"},
		{"T07 unknown client", "none", "", []string{"client_id", "k2o_c_gone"}, 401, "invalid_client"},
		{"T07 unknown client by Basic", "none", basic("gone", "x"), nil, 401, "invalid_client"},
		{"T07 no client", "none", "", nil, 401, "invalid_client"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code := f.approve(f.pub, query(ids[tt.client])).Get("code")
			headers := []string{"Content-Type", "application/x-www-form-urlencoded"}
			if tt.header != "" {
				headers = append(headers, "Authorization", tt.header)
			}
			w := f.do(f.pub, "POST", "/token", encode(redeem("-", code, tt.params...)...), headers...)
			if tt.status != 200 {
				wantError(t, w, tt.status, tt.code)
			} else if w.Code != 200 {
				t.Fatalf("got %d %s, want 200", w.Code, w.Body)
			}
			want := ""
			if tt.status == 401 && tt.header != "" {
				want = `Basic realm="Key2OAuth"`
			}
			if got := w.Header().Get("WWW-Authenticate"); got != want {
				t.Errorf("WWW-Authenticate: got %q, want %q", got, want)
			}
		})
	}
}

func TestT07UnknownClient(t *testing.T) {
	f := newFixture(t)
	c := f.connect(f.pub)
	foreign := &Clients{Key: [32]byte{1}}
	gone := mustEncode(t, foreign, registration{RedirectURIs: []string{callback}})
	for _, path := range []string{"/token", "/revoke"} {
		wantError(t, f.form(f.pub, path, "client_id", gone, "grant_type", "refresh_token", "refresh_token", c.refresh, "token", c.refresh),
			http.StatusUnauthorized, "invalid_client")
	}
	c.wantCall(c.access, http.StatusOK)
}

// TestLostKey: after the key of the client ids was lost, the apps that a grant
// knows keep working, whether they have a secret or not. No one else gets in, and
// a client that no grant knows is told to register again.
func TestLostKey(t *testing.T) {
	f := newFixture(t)
	public, other := f.connect(f.pub), f.connect(f.pub)
	m := f.register(`{"redirect_uris":["` + callback + `"],"token_endpoint_auth_method":"client_secret_post"}`)
	private := &session{f: f, s: f.pub, client: m["client_id"].(string)}
	secret := []string{"client_secret", m["client_secret"].(string)}
	code := f.approve(f.pub, query(private.client)).Get("code")
	private.refresh = object(t, f.form(f.pub, "/token", redeem(private.client, code, secret...)...))["refresh_token"].(string)
	wantError(t, private.renew(private.refresh, "client_secret", "x"), http.StatusUnauthorized, "invalid_client")

	f.pub.Clients = &Clients{Key: [32]byte{1}}
	access, refresh := public.mustRenew(public.refresh)
	public.wantCall(access, http.StatusOK)
	if w := private.renew(private.refresh, secret...); w.Code != http.StatusOK {
		t.Errorf("a client with a secret gets %d %s", w.Code, w.Body)
	}
	never := mustEncode(t, &Clients{Key: [32]byte{2}}, registration{RedirectURIs: []string{callback}})
	for what, w := range map[string]*httptest.ResponseRecorder{
		"an id that no grant knows":     public.renew(refresh, "client_id", never),
		"another client's token":        public.renew(private.refresh),
		"a made-up token":               public.renew(refresh + "x"),
		"an access token":               public.renew(access),
		"a client without a token":      public.renew("-"),
		"a revocation of another's":     f.form(f.pub, "/revoke", "client_id", private.client, "token", refresh),
		"a code, which is of no client": f.form(f.pub, "/token", redeem(public.client, code)...),
	} {
		if w.Code != http.StatusUnauthorized || object(t, w)["error"] != "invalid_client" {
			t.Errorf("%s = %d %s, want invalid_client", what, w.Code, w.Body)
		}
	}
	f.store.fail = errors.New("disk full")
	if w := public.renew(refresh); w.Code != http.StatusServiceUnavailable {
		t.Errorf("without a disk = %d %s, want 503", w.Code, w.Body)
	}
	f.store.fail = nil
	public.mustRenew(refresh)
	other.mustRenew(other.refresh)
	if w := f.form(f.pub, "/revoke", "client_id", public.client, "token", refresh); w.Code != http.StatusOK {
		t.Errorf("revoke = %d %s", w.Code, w.Body)
	}
	public.wantCall(access, http.StatusUnauthorized)
}

func TestT08Rotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		c := f.connect(f.pub)
		for range 10 { // the answers are lost, or ten back-ends refresh at once
			access, refresh := c.mustRenew(c.refresh)
			c.wantCall(access, http.StatusOK)
			if refresh == c.refresh {
				t.Error("the refresh token was not rotated")
			}
		}
		time.Sleep(30 * 24 * time.Hour) // no successor was used, so it stays valid
		_, second := c.mustRenew(c.refresh)
		_, fork := c.mustRenew(c.refresh)
		_, third := c.mustRenew(second) // the successor's first use
		time.Sleep(refreshOverlap - time.Second)
		access, late := c.mustRenew(c.refresh)
		c.wantCall(access, http.StatusOK)
		for name, token := range map[string]string{"other fork": fork, "late fork": late, "newest": third} {
			access, _ := c.mustRenew(token)
			if w := c.call(access); w.Code != http.StatusOK {
				t.Errorf("%s: got status %d, want 200", name, w.Code)
			}
		}
	})
}

func TestT08Parallel(t *testing.T) {
	f := newFixture(t)
	c := f.connect(f.pub)
	answers := make(chan *httptest.ResponseRecorder)
	for range 10 {
		go func() { answers <- c.renew(c.refresh) }()
	}
	seen := map[string]bool{}
	for range 10 {
		w := <-answers
		if w.Code != http.StatusOK {
			t.Fatalf("got %d %s, want 200", w.Code, w.Body)
		}
		m := object(t, w)
		access, refresh := m["access_token"].(string), m["refresh_token"].(string)
		c.wantCall(access, http.StatusOK)
		c.mustRenew(refresh)
		seen[access] = true
	}
	if len(seen) != 10 {
		t.Errorf("got %d different tokens, want 10", len(seen))
	}
}

func TestT09Reuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		c, other := f.connect(f.pub), f.connect(f.pub)
		access, second := c.mustRenew(c.refresh)
		_, third := c.mustRenew(second)
		a, err := f.tokens.Verify(access)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Release()
		time.Sleep(refreshOverlap)
		wantError(t, (&session{f, f.pub, f.client("https://other.example/"), "", ""}).renew(c.refresh), http.StatusBadRequest, "invalid_grant")
		c.wantCall(access, http.StatusOK) // another client's attempt ends nothing

		wantError(t, c.renew(c.refresh), http.StatusBadRequest, "invalid_grant")
		select {
		case <-a.Done():
		default:
			t.Error("an open stream was not cut")
		}
		c.wantCall(access, http.StatusUnauthorized)
		wantError(t, c.renew(third), http.StatusBadRequest, "invalid_grant")
		other.wantCall(other.access, http.StatusOK)
		other.mustRenew(other.refresh)
	})
}

func TestT10OldAccessTokensLiveOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		c := f.connect(f.pub)
		time.Sleep(12 * time.Hour)
		fresh, _ := c.mustRenew(c.refresh)
		c.wantCall(c.access, http.StatusOK)
		time.Sleep(12*time.Hour - time.Nanosecond)
		c.wantCall(c.access, http.StatusOK)
		time.Sleep(time.Nanosecond)
		c.wantCall(c.access, http.StatusUnauthorized)
		c.wantCall(fresh, http.StatusOK)
	})
}

func TestRefreshSlides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		c := f.connect(f.pub)
		token := c.refresh
		for range 3 {
			time.Sleep(90*24*time.Hour - time.Second)
			_, token = c.mustRenew(token)
		}
		time.Sleep(90 * 24 * time.Hour)
		wantError(t, c.renew(token), http.StatusBadRequest, "invalid_grant")
	})
}

// A clock that is behind, as on a computer with an empty battery, issues
// refresh tokens that are still valid once the clock is right again.
func TestRefreshWithClockBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		c := f.connect(f.pub)
		f.pub.Now = func() time.Time { return time.Now().AddDate(-20, 0, 0) }
		_, token := c.mustRenew(c.refresh)
		_, token = c.mustRenew(token)
		f.pub.Now = nil
		_, token = c.mustRenew(token)
		time.Sleep(90*24*time.Hour - time.Second)
		c.mustRenew(token)
	})
}

func TestT11RefreshResource(t *testing.T) {
	f := newFixture(t)
	c := f.connect(f.pub, "scope", "mcp offline_access")
	grants, tokens := f.store.dump()
	for _, bad := range []string{pub + "/" + slugB + "/mcp", "https://evil.example/", pub + "/" + slugA + "/mcp#x"} {
		wantError(t, c.renew(c.refresh, "resource", bad), http.StatusBadRequest, "invalid_target")
	}
	if g, ts := f.store.dump(); !reflect.DeepEqual(g, grants) || !reflect.DeepEqual(ts, tokens) {
		t.Error("something has changed")
	}
	for _, tt := range []struct{ resource, scope, want string }{
		{"-", "-", "mcp offline_access"}, {pub + "/" + slugA + "/mcp", "mcp", "mcp"}, {pub + "/", "openid", "mcp"},
		{pub + "/" + slugA, "mcp offline_access", "mcp offline_access"},
	} {
		w := c.renew(c.refresh, "resource", tt.resource, "scope", tt.scope)
		if w.Code != http.StatusOK || object(t, w)["scope"] != tt.want {
			t.Errorf("%+v: got %d %s", tt, w.Code, w.Body)
		}
	}
	plain := f.connect(f.pub)
	if got := object(t, plain.renew(plain.refresh, "scope", "mcp offline_access"))["scope"]; got != "mcp" {
		t.Errorf("scope was widened to %q", got)
	}
}

func TestT12OtherBodies(t *testing.T) {
	f := newFixture(t)
	const ct = "application/x-www-form-urlencoded"
	for _, path := range []string{"/token", "/revoke"} {
		for _, tt := range []struct {
			name, method, contentType, body string
			status                          int
		}{
			{"GET", "GET", "", "", 405},
			{"PUT", "PUT", ct, "", 405},
			{"JSON", "POST", "application/json", `{"grant_type":"refresh_token"}`, 400},
			{"no content type", "POST", "", "grant_type=refresh_token", 400},
			{"malformed content type", "POST", ";;", "grant_type=refresh_token", 400},
			{"multipart", "POST", "multipart/form-data; boundary=x", "", 400},
			{"bad encoding", "POST", ct, "a=%zz", 400},
			{"too large", "POST", ct, strings.Repeat("a", 64<<10+1), 400},
			{"client twice", "POST", ct, "client_id=a&client_id=a", 400},
		} {
			t.Run(tt.name+" "+path, func(t *testing.T) {
				w := f.do(f.pub, tt.method, path, tt.body, "Content-Type", tt.contentType)
				wantError(t, w, tt.status, "invalid_request")
				if got := w.Header().Get("Allow"); tt.status == 405 && got != "POST, OPTIONS" {
					t.Errorf("Allow: got %q", got)
				}
				if w.Header().Get("Pragma") != "no-cache" {
					t.Error("Pragma is missing")
				}
			})
		}
	}
	c := f.connect(f.pub)
	for grant, code := range map[string]string{"-": "invalid_request", "": "invalid_request", "password": "unsupported_grant_type"} {
		wantError(t, c.renew(c.refresh, "grant_type", grant), http.StatusBadRequest, code)
	}
	wantError(t, c.renew("-"), http.StatusBadRequest, "invalid_request")
	w := f.do(f.pub, "POST", "/token", encode("grant_type", "refresh_token", "client_id", c.client, "refresh_token", c.refresh), "Content-Type", ct+"; charset=UTF-8")
	if w.Code != http.StatusOK {
		t.Errorf("with a charset: got %d %s", w.Code, w.Body)
	}
	w = f.do(f.pub, "POST", "/token?"+encode("grant_type", "refresh_token", "client_id", c.client, "refresh_token", c.refresh), "", "Content-Type", ct)
	if w.Code == http.StatusOK {
		t.Error("parameters in the URL are accepted")
	}
}

func TestT15StoreFails(t *testing.T) {
	f := newFixture(t)
	client := f.client()
	code := f.approve(f.pub, query(client)).Get("code")
	c := f.connect(f.pub)
	grants, tokens := f.store.dump()
	f.store.fail = fmt.Errorf("%w: no space left", ErrUnavailable)
	for name, w := range map[string]*httptest.ResponseRecorder{
		"code": f.form(f.pub, "/token", redeem(client, code)...), "refresh": c.renew(c.refresh),
		"revoke": f.form(f.pub, "/revoke", "client_id", c.client, "token", c.refresh),
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, w, http.StatusServiceUnavailable, "temporarily_unavailable")
			if w.Header().Get("Retry-After") == "" {
				t.Error("Retry-After is missing")
			}
		})
	}
	// On a full disk, reads may succeed while the write fails.
	f.store.fail = nil
	f.store.onRead = func() { f.store.fail = errors.New("disk full") }
	wantError(t, c.renew(c.refresh), http.StatusServiceUnavailable, "temporarily_unavailable")
	f.store.fail, f.store.onRead = nil, nil
	if g, ts := f.store.dump(); !reflect.DeepEqual(g, grants) || !reflect.DeepEqual(ts, tokens) {
		t.Error("something has changed")
	}
	c.mustRenew(c.refresh)
}

func TestT16OtherOrigin(t *testing.T) {
	f := newFixture(t)
	c := f.connect(f.pub)
	moved := f.server("https://moved.example", f.pub.Clients, f.pub.Requests)
	wantError(t, (&session{f, moved, c.client, "", ""}).renew(c.refresh), http.StatusBadRequest, "invalid_grant")
	restarted := f.server(pub, &Clients{Key: f.pub.Clients.Key}, NewRequests(nil))
	restarted.Tokens = NewTokens(f.store, nil)
	again := &session{f, restarted, c.client, "", ""}
	again.wantCall(c.access, http.StatusOK)
	again.mustRenew(c.refresh)
}

func TestT18Lifetime(t *testing.T) {
	f := newFixture(t)
	f.pub.AccessTTL = func() time.Duration { return 30 * 24 * time.Hour }
	c := f.connect(f.pub)
	if got := object(t, c.renew(c.refresh))["expires_in"]; got != float64(2592000) {
		t.Errorf("got %v, want 2592000", got)
	}
}

func TestT19OnlyDigestsAreKept(t *testing.T) {
	f := newFixture(t)
	c := f.connect(f.pub)
	access, refresh := c.mustRenew(c.refresh)
	grants, tokens := f.store.dump()
	all := fmt.Sprintf("%+v %+v", grants, tokens)
	for _, token := range []string{c.access, c.refresh, access, refresh} {
		if strings.Contains(all, token[len(token)-secretLen:]) {
			t.Error("the store holds a token")
		}
	}
	if n := len(tokens[grantOf(t, access)]); n != 5 {
		t.Errorf("%d digests are kept, want 5", n)
	}
}

// The token endpoint never panics, always answers with JSON, and issues tokens
// only for the code.
func FuzzToken(f *testing.F) {
	fix := newFixture(f)
	client := fix.client()
	for _, s := range []string{encode(redeem("CLIENT", "CODE")...), encode(redeem("CLIENT", "k2o_ac_a."+strings.Repeat("a", 43))...), "", "%", "a=b;c",
		encode("grant_type", "refresh_token", "client_id", "CLIENT", "refresh_token", "k2o_rt_a."+strings.Repeat("a", 43), "scope", "x", "resource", pub)} {
		f.Add(s, "")
		f.Add(s, "Basic Og==")
	}
	f.Fuzz(func(t *testing.T, body, header string) {
		fix.t = t
		body = strings.ReplaceAll(body, "CLIENT", client)
		headers := []string{"Content-Type", "application/x-www-form-urlencoded"}
		if header != "" {
			headers = append(headers, "Authorization", header)
		}
		w := fix.do(fix.pub, "POST", "/token", body, headers...)
		if w.Code != 400 && w.Code != 401 || w.Header().Get("Content-Type") != "application/json" || !json.Valid(w.Body.Bytes()) {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	})
}
