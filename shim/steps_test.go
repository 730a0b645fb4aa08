package shim_test

import (
	"errors"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

var stepTag = regexp.MustCompile(`<li data-step="([0-9])"( class="dn")?`)

// ticks names the finished steps of a home page.
func ticks(body string) string {
	var done []string
	for _, m := range stepTag.FindAllStringSubmatch(body, -1) {
		if m[2] != "" {
			done = append(done, m[1])
		}
	}
	return strings.Join(done, " ")
}

// TestFirstSteps starts with nothing and ends with a connected client. Each
// step gets its tick.
func TestFirstSteps(t *testing.T) {
	p := start(t)
	b := p.owner()
	want := func(ticked string) {
		t.Helper()
		if got := ticks(b.Open("/").Body); got != ticked {
			t.Errorf("done are %q, want %q", got, ticked)
		}
	}
	want("")
	up := shimtest.NewUpstream(t, shimtest.Options{})
	_, mcpURL := p.add(up.URL, nil)
	want("1")
	c := p.client(mcpURL)
	consent := b.Open(c.AuthorizeURL())
	want("1 2")
	page := b.Submit(b.Form(consent, consent.URL.Path), map[string]string{"credential": "new", "api_key": up.Key(), "action": "approve"})
	want("1") // approved, and not connected before it has its token
	if status, body := c.Redeem(c.CodeFrom(page.Location)); status != http.StatusOK {
		t.Fatalf("POST /token = %d %v", status, body)
	}
	want("1 2 3")
	if page := b.Open("/"); strings.Contains(page.Body, "/steps/login") {
		t.Error("start at login is offered where it cannot be changed")
	}

	b.Submit(b.Form(b.Open("/"), "/steps/hide"), nil)
	p = p.restart()
	if got := ticks(p.owner().Open("/").Body); got != "" {
		t.Error("steps that were hidden are there again after a restart")
	}
}

// TestFirstStepsLogin: in the last step the owner may turn on start at login,
// and sees whether that worked.
func TestFirstStepsLogin(t *testing.T) {
	desk := new(login)
	p := startConfig(t, shim.Config{Dir: t.TempDir(), Keychain: "file", Login: desk}, "127.0.0.1:0")
	p.connect()
	b := p.owner()
	desk.err = errors.New("the disk is full")
	if page := b.Submit(b.Form(b.Open("/"), "/steps/login"), nil); !strings.Contains(html.UnescapeString(page.Body), web.TextLoginTrouble) {
		t.Errorf("the page does not say that start at login was not changed:\n%s", page.Body)
	}
	desk.err = nil
	page := b.Submit(b.Form(b.Open("/"), "/steps/login"), nil)
	if !desk.on || page.URL.Path != "/" || !strings.Contains(page.Body, web.DoneNotices["login"].Text) {
		t.Errorf("start at login is %v, and the page at %s does not say so", desk.on, page.URL.Path)
	}
	if page := b.Open("/"); ticks(page.Body) != "1 2 3" || strings.Contains(page.Body, "/steps/login") {
		t.Error("start at login is offered although it is on")
	}
}

// TestLive: only the home page's script, with the owner's session, gets its
// live part.
func TestLive(t *testing.T) {
	p := start(t)
	b := p.owner()
	ask := func(b *shimtest.Browser, site string) int {
		t.Helper()
		req, err := http.NewRequest("GET", p.origin+"/live", nil)
		if err != nil {
			t.Fatal(err)
		}
		if site != "" {
			req.Header.Set("Sec-Fetch-Site", site)
			req.Header.Set("Sec-Fetch-Mode", "cors")
			req.Header.Set("Sec-Fetch-Dest", "empty")
		}
		return b.Do(req).Status
	}
	for _, tt := range []struct {
		name string
		b    *shimtest.Browser
		site string
		want int
	}{
		{"the script", b, "same-origin", 200},
		{"a page of another port", b, "same-site", 403},
		{"a page of another site", b, "cross-site", 403},
		{"no browser", b, "", 403},
		{"not the owner", p.browser(), "same-origin", 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ask(tt.b, tt.site); got != tt.want {
				t.Errorf("GET /live = %d, want %d", got, tt.want)
			}
		})
	}
}
