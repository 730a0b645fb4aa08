package oauth

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBearer(t *testing.T) {
	for _, tt := range []struct {
		name        string
		headers     []string
		token       string
		present, ok bool
	}{
		{"none", nil, "", false, false},
		{"plain", []string{"Bearer abc"}, "abc", true, true},
		{"W05 lower case", []string{"bearer abc"}, "abc", true, true},
		{"W05 upper case", []string{"BEARER abc"}, "abc", true, true},
		{"W05 extra spaces", []string{"  Bearer   abc  "}, "abc", true, true},
		{"W05 tab after the space", []string{"Bearer \tabc"}, "abc", true, true},
		{"all signs", []string{"Bearer aZ0-._~+/="}, "aZ0-._~+/=", true, true},
		{"empty", []string{""}, "", true, false},
		{"no token", []string{"Bearer"}, "", true, false},
		{"only spaces", []string{"Bearer   "}, "", true, false},
		{"other scheme", []string{"Basic abc"}, "", true, false},
		{"scheme of another length", []string{"Bearers abc"}, "", true, false},
		{"no space", []string{"Bearerabc"}, "", true, false},
		{"W09 two headers", []string{"Bearer abc", "Bearer abc"}, "", true, false},
		{"W09 the second is empty", []string{"Bearer abc", ""}, "", true, false},
		{"W09 list in one header", []string{"Bearer abc, Bearer def"}, "", true, false},
		{"W09 two tokens", []string{"Bearer abc def"}, "", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			for _, h := range tt.headers {
				r.Header.Add("Authorization", h)
			}
			token, present, ok := Bearer(r)
			if token != tt.token || present != tt.present || ok != tt.ok {
				t.Errorf("Bearer(%q): got %q, %v, %v, want %q, %v, %v", tt.headers, token, present, ok, tt.token, tt.present, tt.ok)
			}
		})
	}
}

const challengeA = `Bearer realm="Key2OAuth", resource_metadata="` + pub + resourceMetadataPath + `/` + slugA + `/mcp", scope="mcp"`

func TestW01W03Challenge(t *testing.T) {
	f := newFixture(t)
	for _, method := range []string{"GET", "POST", "DELETE"} {
		w := f.do(f.pub, method, "/"+slugA+"/mcp", "")
		wantError(t, w, http.StatusUnauthorized, "invalid_token")
		if got := w.Header().Values("WWW-Authenticate"); len(got) != 1 || got[0] != challengeA {
			t.Errorf("%s: got %q, want %q once", method, got, challengeA)
		}
	}
}

func TestW02W10BadTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.pub.AccessTTL = func() time.Duration { return time.Hour }
		ended, expired, fresh := f.connect(f.pub), f.connect(f.pub), f.connect(f.pub)
		if err := f.tokens.EndGrant(grantOf(t, ended.access)); err != nil {
			t.Fatal(err)
		}
		expired.wantCall(expired.access, http.StatusOK) // also from the cache
		time.Sleep(time.Hour)
		want := ""
		for name, token := range map[string]string{
			"revoked": ended.access, "expired": expired.access, "unknown": "k2o_at_nobody." + strings.Repeat("x", 43),
			"nonsense": "nonsense", "refresh token": fresh.refresh, "too long": strings.Repeat("x", 5000),
		} {
			w := fresh.call(token)
			got := w.Header().Get("WWW-Authenticate") + "\n" + w.Body.String()
			if w.Code != http.StatusUnauthorized || !strings.Contains(got, challengeA+`, error="invalid_token", error_description="`) {
				t.Errorf("%s: got %d %s", name, w.Code, got)
			}
			if want == "" {
				want = got
			} else if got != want {
				t.Errorf("%s: can be told apart:\n%s\n%s", name, got, want)
			}
		}
		if w := f.do(f.pub, "GET", "/"+slugA+"/mcp", ""); strings.Contains(w.Header().Get("WWW-Authenticate"), "error") {
			t.Errorf("no credentials: got %q, want no error", w.Header().Get("WWW-Authenticate"))
		}
	})
}

func grantOf(t testing.TB, access string) string {
	t.Helper()
	id, ok := tokenGrant(accessPrefix, access)
	if !ok {
		t.Fatal("malformed access token")
	}
	return id
}

func TestW04ChallengeComesFirst(t *testing.T) {
	f := newFixture(t)
	for _, body := range []string{"", "not json", `{"jsonrpc":"2.0"}`, strings.Repeat("x", 1<<20)} {
		for _, accept := range []string{"", "text/html", "application/json"} {
			w := f.do(f.pub, "POST", "/"+slugA+"/mcp", body, "Accept", accept, "Content-Type", "text/plain")
			if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != challengeA {
				t.Errorf("body of %d bytes, Accept %q: got %d %q", len(body), accept, w.Code, w.Header().Get("WWW-Authenticate"))
			}
		}
	}
}

func TestW06OtherPlaces(t *testing.T) {
	f := newFixture(t)
	far, near := f.connect(f.pub), f.connect(f.loc)
	far.wantCall(far.access, http.StatusOK)
	near.wantCall(near.access, http.StatusOK)
	for _, tt := range []struct {
		name  string
		s     *Server
		slug  string
		token string
	}{
		{"token of another endpoint", f.pub, slugB, far.access},
		{"local token on the public origin", f.pub, slugA, near.access},
		{"public token on the local origin", f.loc, slugA, far.access},
	} {
		w := f.do(tt.s, "POST", "/"+tt.slug+"/mcp", "", "Authorization", "Bearer "+tt.token)
		if w.Code != http.StatusUnauthorized || !strings.Contains(w.Header().Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("%s: got %d %q, want 401 invalid_token", tt.name, w.Code, w.Header().Get("WWW-Authenticate"))
		}
	}
	for _, a := range f.tokens.cache {
		if n := a.users.Load(); n != 0 {
			t.Errorf("%d users of a token are left after all calls", n)
		}
	}
}

func TestW07OnlyTheHeaderCounts(t *testing.T) {
	f := newFixture(t)
	c := f.connect(f.pub)
	w := f.do(f.pub, "POST", "/"+slugA+"/mcp?access_token="+c.access, "access_token="+c.access,
		"Content-Type", "application/x-www-form-urlencoded", "Cookie", "access_token="+c.access)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("got status %d, want 401", w.Code)
	}
}

func TestW08ASCII(t *testing.T) {
	f := newFixture(t)
	f.pub.Endpoint = func(string) (string, bool) { return "\u00fc\u2713", true }
	for _, path := range []string{"/" + slugB + "/mcp", "/" + slugB + "/mcp/%C3%BC%22", "/" + slugB + "/mcp/\u00fc"} {
		v := f.do(f.pub, "GET", path, "").Header().Get("WWW-Authenticate")
		for _, c := range []byte(v) {
			if c < ' ' || c >= 0x7f {
				t.Errorf("%s: not ASCII: %q", path, v)
				break
			}
		}
		if strings.Count(v, `"`) != 6 {
			t.Errorf("%s: got %q, want three quoted values", path, v)
		}
	}
	for path, want := range map[string]string{"/a\"b": "/a%22b", "/\u00fc": "/%C3%BC", "/a b": "/a%20b", "/ok%20": "/ok%20"} {
		if got := headerPath(path); got != want {
			t.Errorf("headerPath(%q): got %q, want %q", path, got, want)
		}
	}
}

func TestStoreFailureIsNoChallenge(t *testing.T) {
	f := newFixture(t)
	c := f.connect(f.pub)
	f.store.fail = errors.Join(ErrUnavailable, errors.New("disk full"))
	w := c.call(c.access)
	wantError(t, w, http.StatusServiceUnavailable, "temporarily_unavailable")
	if w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("got headers %v, want Retry-After and no challenge", w.Header())
	}
	f.store.fail = nil
	c.wantCall(c.access, http.StatusOK)
}
