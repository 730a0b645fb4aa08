package web

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/display"
)

func render(p Page) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	testBar(p).Render(w, http.StatusOK, p)
	return w
}

func TestEveryStateRenders(t *testing.T) {
	for _, s := range states() {
		t.Run(s.name, func(t *testing.T) {
			w := render(s.page)
			if w.Code != http.StatusOK {
				t.Fatalf("got status %d, want 200", w.Code)
			}
			body := w.Body.String()
			if !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
				t.Errorf("page ends early: %q", body[max(0, len(body)-80):])
			}
			if strings.Contains(body, "ZgotmplZ") && !strings.Contains(s.name, "hostile") {
				t.Error("html/template refused a value of an ordinary page")
			}
		})
	}
}

// TestRenderSurvivesPanic: if a page's token func fails, the result is an error
// page, not half a page with status 200.
func TestRenderSurvivesPanic(t *testing.T) {
	w := render(Home{Token: func(string) string { panic("no token") }})
	if got, want := w.Code, http.StatusInternalServerError; got != want {
		t.Errorf("got status %d, want %d", got, want)
	}
	if got := w.Body.String(); got != lastResort {
		t.Errorf("got %q, want the last resort", got)
	}
}

func TestHeaders(t *testing.T) {
	nonce := regexp.MustCompile(`'nonce-([A-Z2-7]{26,})'`)
	seen := make(map[string]bool)
	for _, s := range states() {
		w := render(s.page)
		h, csp := w.Header(), w.Header().Get("Content-Security-Policy")
		v := s.page.view()
		directives := strings.Split(csp, "; ")
		has := func(prefix string) bool {
			return slices.ContainsFunc(directives, func(d string) bool { return strings.HasPrefix(d, prefix) })
		}
		t.Run("A12 no framing/"+s.name, func(t *testing.T) {
			if got, want := h.Get("X-Frame-Options"), "DENY"; got != want {
				t.Errorf("X-Frame-Options: got %q, want %q", got, want)
			}
			if !slices.Contains(directives, "frame-ancestors 'none'") {
				t.Errorf("got %q, want frame-ancestors 'none'", csp)
			}
		})
		t.Run("A13 form-action/"+s.name, func(t *testing.T) {
			if got, want := has("form-action"), v.owner; got != want {
				t.Errorf("form-action: got %v, want %v in %q", got, want, csp)
			}
			if _, ok := s.page.(Consent); ok && v.owner {
				t.Error("the consent page counts as a dashboard page")
			}
		})
		t.Run("A17 no opener policy/"+s.name, func(t *testing.T) {
			if got := h.Values("Cross-Origin-Opener-Policy"); got != nil {
				t.Errorf("got %q, want none", got)
			}
		})
		t.Run("A20 other headers/"+s.name, func(t *testing.T) {
			for name, want := range map[string]string{
				"Cache-Control":                "no-store",
				"Content-Type":                 "text/html; charset=utf-8",
				"Cross-Origin-Resource-Policy": "same-origin",
				"Referrer-Policy":              "same-origin",
				"X-Content-Type-Options":       "nosniff",
			} {
				if got := h.Get(name); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
			for _, want := range []string{"default-src 'none'", "base-uri 'none'", "img-src 'self' data:"} {
				if !slices.Contains(directives, want) {
					t.Errorf("got %q, want %s", csp, want)
				}
			}
			if strings.Contains(csp, "unsafe") {
				t.Errorf("got %q, want no unsafe source", csp)
			}
			if got, want := has("script-src"), strings.Contains(w.Body.String(), "<script"+" nonce="); got != want {
				t.Errorf("script-src: got %v, want %v", got, want)
			}
		})
		m := nonce.FindStringSubmatch(csp)
		if m == nil || seen[m[1]] {
			t.Fatalf("%s: got %q, want a fresh nonce", s.name, csp)
		}
		seen[m[1]] = true
	}
}

func TestReturn(t *testing.T) {
	tests := []struct {
		name, url string
		want      string // of the refresh
	}{
		{"custom scheme", "cursor://cb?code=a&state=b%2Bc", "0; url=cursor://cb?code=a&amp;state=b%2Bc"},
		{"reverse domain scheme", "com.example.app:/cb?code=a", "0; url=com.example.app:/cb?code=a"},
		{"https", "https://example.com/cb?a=1&code=2", "0; url=https://example.com/cb?a=1&amp;code=2"},
		{"script", "javascript:alert(1)", ""},
		{"script in capitals", "JavaScript:alert(1)", ""},
		{"script behind a control character", "\x01javascript:alert(1)", ""},
		{"script with a zero-width space", "java\u200bscript:alert(1)", ""},
		{"data", "data:text/html,x", ""},
		{"file", "file:///etc/passwd", ""},
		{"no scheme", "//evil.example/", ""},
		{"quote", `x://a"><script>`, ""},
	}
	refresh := regexp.MustCompile(`<meta http-equiv="refresh" content="([^"]*)">`)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := render(ReturnPage{"Cursor", tt.url, true, false, false}).Body.String()
			got := ""
			if m := refresh.FindStringSubmatch(body); m != nil {
				got = m[1]
			}
			if got != tt.want {
				t.Errorf("refresh: got %q, want %q", got, tt.want)
			}
			if got, want := strings.Contains(body, `class="btn p"`), tt.want != ""; got != want {
				t.Errorf("link: got %v, want %v", got, want)
			}
			if strings.Contains(body, "alert(1)") {
				t.Error("the address is on the page")
			}
		})
	}
}

// TestPasteFieldIsNoPassword: no password manager may save the key, and no page
// may contain it.
func TestPasteField(t *testing.T) {
	for _, p := range []Page{Consent{}, Home{}, ReplaceKeyPage{}} {
		body := render(p).Body.String()
		field := regexp.MustCompile(`<input[^>]*name="api_key"[^>]*>`).FindString(body)
		for _, want := range []string{`type="text"`, `autocomplete="off"`, `spellcheck="false"`, "data-1p-ignore", `data-lpignore="true"`, "data-bwignore"} {
			if !strings.Contains(field, want) {
				t.Errorf("%T: got %s, want %s", p, field, want)
			}
		}
		if strings.Contains(field, "value=") {
			t.Errorf("%T: got %s, want no value", p, field)
		}
		if strings.Contains(body, `type="password"`) {
			t.Errorf("%T has a password field", p)
		}
	}
}

// TestConsentSays: A16, and how the page shows that a website is unknown.
func TestConsentSays(t *testing.T) {
	page := func(change func(*Consent)) string { return render(consent(change)).Body.String() }
	t.Run("A16 who, where, what", func(t *testing.T) {
		body := page(func(c *Consent) {
			c.App, c.Answer = display.App{Name: "Claude", Host: "id.example"}, Answer{Kind: "https", Host: "claude.ai", Flow: FlowPublic}
		})
		for _, want := range []string{"id.example", "claude.<wbr>ai", "mcp.linear.app", "Linear", t2("consent.moment", "id.example")} {
			if !strings.Contains(body, want) {
				t.Errorf("the page does not say %q", want)
			}
		}
	})
	t.Run("A16 unverified name", func(t *testing.T) {
		const mark, warning = `<span class="tag">&#10003;`, `<span class="tag w">`
		for _, tt := range []struct {
			name      string
			app       display.App
			unchecked bool
			who       string // in the heading
			says      []string
			verified  bool
		}{
			{"self-declared", display.App{Name: "Claude"}, false, "\u201cClaude\u201d", []string{t2("consent.itself", "\u201cClaude\u201d"), t2("consent.unverified"), warning}, false},
			{"dressed up", display.App{Name: "Claude (claude.ai) verified"}, false, "\u201cClaude (claude.ai) verified\u201d", []string{t2("consent.unverified"), warning}, false},
			{"a document of anyone's", display.App{Name: "Claude", Host: "claude-desktop.example"}, false, "claude-desktop.example", []string{"<strong>claude-desktop.example</strong>", t2("consent.claim", "\u201cClaude\u201d")}, false},
			{"a document that came with the program", display.App{Name: "Claude", Host: "claude.ai", Known: true}, false, "Claude", []string{mark, t2("consent.verified.by", "claude.ai")}, true},
			{"a document that could not be read", display.App{Name: "client.example"}, true, "\u201cclient.example\u201d", []string{t2("consent.unchecked"), t2("consent.unchecked.2", "\u201cclient.example\u201d"), warning}, false},
			{"no name", display.App{}, false, t2("consent.anapp"), []string{display.App{}.String(), warning}, false},
		} {
			body := page(func(c *Consent) { c.App, c.Unchecked = tt.app, tt.unchecked })
			for _, want := range append(tt.says, `<h1 class="c">`+t2("consent.h1.one", tt.who, "Linear")+"</h1>") {
				if !strings.Contains(body, want) {
					t.Errorf("%s: the page does not say %q", tt.name, want)
				}
			}
			if got := strings.Contains(body, mark); got != tt.verified {
				t.Errorf("%s: the page has the mark of a verified app: %t, want %t", tt.name, got, tt.verified)
			}
		}
	})
}

// TestPreselected: the only saved key is chosen unless it is known to be of no
// use, and of several none is. What the form sent stays chosen.
func TestPreselected(t *testing.T) {
	checked := regexp.MustCompile(`<input type="radio" name="credential" value="([^"]*)" required checked`)
	ok, bad, lost := SavedKey{"c1", "key 1", "ok"}, SavedKey{"c2", "key 2", "rejected"}, SavedKey{"c3", "key 3", "key needed"}
	untried := SavedKey{"c4", "key 4", "unverified"}
	for _, tt := range []struct {
		name  string
		saved []SavedKey
		sent  string
		want  string
	}{
		{"one that works", []SavedKey{ok}, "", "c1"},
		{"one that was not tried", []SavedKey{untried}, "", "c4"},
		{"one that was rejected", []SavedKey{bad}, "", "new"},
		{"one that cannot be read", []SavedKey{lost}, "", "new"},
		{"one, and another was wanted", []SavedKey{ok}, "new", "new"},
		{"a rejected one that was wanted", []SavedKey{bad}, "c2", "c2"},
		{"several", []SavedKey{ok, bad}, "", ""},
		{"several, one of which was wanted", []SavedKey{ok, bad}, "c1", "c1"},
	} {
		body := render(consent(func(c *Consent) { c.Saved, c.SelectedKey = tt.saved, tt.sent })).Body.String()
		got := ""
		if all := checked.FindAllStringSubmatch(body, -1); len(all) == 1 {
			got = all[0][1]
		} else if len(all) > 1 {
			t.Errorf("%s: %d are chosen", tt.name, len(all))
		}
		if got != tt.want {
			t.Errorf("%s: %q is chosen, want %q", tt.name, got, tt.want)
		}
	}
}

// TestOwnPath: a form goes only to one of our own paths.
func TestOwnPath(t *testing.T) {
	for s, want := range map[string]bool{
		"/consent/k3v9": true, "/grants/a/revoke": true, "/": true,
		"": false, "consent": false, "https://evil.example/": false, "//evil.example/": false, `/\evil.example/`: false,
		"/\t/evil.example/": false, "javascript:alert(1)": false,
	} {
		if got := ownPath(s); got != s && got != "" || (got == s && s != "") != want {
			t.Errorf("ownPath(%q) = %q, want it taken: %t", s, got, want)
		}
	}
}
