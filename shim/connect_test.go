package shim_test

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/apps"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// waitingState matches what the page of an app says about it.
var waitingState = regexp.MustCompile(`data-part="wait" data-state="([a-z]+)"`)

// TestConnectPage follows a client on the page of its app, by reloads as without
// JavaScript: an approval is not yet a connection, the first token is.
func TestConnectPage(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, mcpURL := p.add(up.URL, nil)
	b := p.owner()
	page := b.Open(web.ConnectPath(slug, "claude-code"))
	if page.Status != http.StatusOK || page.URL.Query().Get("since") == "" {
		t.Fatalf("the page is at %s, with %d; it has to say since when it waits", page.URL, page.Status)
	}
	if !strings.Contains(page.Body, mcpURL) {
		t.Errorf("the page does not give the address %s", mcpURL)
	}
	says := func(when, want string) {
		t.Helper()
		again := b.Open(page.URL.RequestURI())
		got := ""
		if m := waitingState.FindStringSubmatch(again.Body); m != nil {
			got = m[1]
		}
		if got != want {
			t.Errorf("%s the page says %q, want %q", when, got, want)
		}
	}
	says("at first", web.WaitingStill)
	p.post(mcpURL, "", initialize)
	says("after a look", web.WaitingGoing)
	c := p.client(mcpURL)
	consent := b.Open(c.AuthorizeURL())
	says("while it asks", web.WaitingGoing)
	if again := b.Open(page.URL.RequestURI()); !strings.Contains(again.Body, `href="`+consent.URL.String()+`"`) && !strings.Contains(again.Body, `href="`+consent.URL.Path+`"`) {
		t.Errorf("the page does not lead to the request at %s", consent.URL)
	}
	done := b.Submit(b.Form(consent, consent.URL.Path), map[string]string{"api_key": up.Key(), "action": "approve"})
	says("after the approval", web.WaitingGoing)
	if status, body := c.Redeem(c.CodeFrom(done.Location)); status != http.StatusOK {
		t.Fatalf("POST /token = %d %v", status, body)
	}
	says("after the first token", web.WaitingConnected)
	s := session(t, mcpURL, c.Access)
	says("after the first call", web.WaitingWorks)
	toolCount(t, s)
	says("later", web.WaitingWorks)

	t.Run("another app and another server still wait", func(t *testing.T) {
		for path, want := range map[string]string{web.ConnectPath(slug, "cursor"): web.WaitingWorks, web.ConnectPath(func() string { s, _ := p.add(up.URL, nil); return s }(), "cursor"): web.WaitingStill} {
			got := b.Open(path + "?since=" + page.URL.Query().Get("since"))
			if m := waitingState.FindStringSubmatch(got.Body); m == nil || m[1] != want {
				t.Errorf("%s says %v, want %s", path, m, want)
			}
		}
	})
	t.Run("two minutes without a sign", func(t *testing.T) {
		quiet, _ := p.add(up.URL, nil)
		old := strconv.FormatInt(time.Now().Add(-2*time.Minute).Unix(), 10)
		got := b.Open(web.ConnectPath(quiet, "cursor") + "?since=" + old)
		if m := waitingState.FindStringSubmatch(got.Body); m == nil || m[1] != web.WaitingNothing || strings.Count(got.Body, `class="tag w"`) != 3 {
			t.Errorf("the page says %v; it should name three causes and who has to fix each", m)
		}
		// A link from yesterday begins to wait again.
		got = b.Open(web.ConnectPath(quiet, "cursor") + "?since=1764417600")
		if m := waitingState.FindStringSubmatch(got.Body); m == nil || m[1] != web.WaitingStill {
			t.Errorf("a link from long ago says %v", m)
		}
	})
	t.Run("the script's copy is for our own pages", func(t *testing.T) {
		live := func(site string) int {
			req := must(http.NewRequest("GET", p.origin+"/live"+page.URL.RequestURI(), nil))
			req.Header.Set("Sec-Fetch-Site", site)
			return b.Do(req).Status
		}
		if got := live("same-origin"); got != http.StatusOK {
			t.Errorf("for our own page: %d", got)
		}
		if got := live("cross-site"); got != http.StatusForbidden {
			t.Errorf("for another site's page: %d, want 403", got)
		}
	})
	t.Run("pages that do not exist", func(t *testing.T) {
		for _, path := range []string{web.ConnectPath("nothing", ""), web.ConnectPath("nothing", "cursor"), web.ConnectPath(slug, "nothing")} {
			if got := b.Open(path).Status; got != http.StatusNotFound {
				t.Errorf("%s = %d, want 404", path, got)
			}
		}
	})
	t.Run("a stranger sees nothing", func(t *testing.T) {
		if got := p.browser().Open(web.ConnectPath(slug, "cursor")); got.Status != http.StatusUnauthorized || strings.Contains(got.Body, mcpURL) {
			t.Errorf("a browser that is not the owner's gets %d", got.Status)
		}
	})
}

// TestConnectSides: an app is told of the address that it can reach, and of
// nothing else.
func TestConnectSides(t *testing.T) {
	for _, online := range []bool{false, true} {
		p := start(t)
		if online {
			p = startPublic(t)
		}
		up := shimtest.NewUpstream(t, shimtest.Options{})
		slug, _ := p.add(up.URL, nil)
		b := p.owner()
		for _, a := range apps.All() {
			for _, at := range []apps.Place{apps.Computer, apps.Internet} {
				if a.Where != apps.Either && a.Where != at {
					continue
				}
				body := b.Open(web.ConnectPath(slug, a.ID) + "?at=" + string(at)).Body
				_, guide, _ := strings.Cut(body, `data-part="guide"`)
				guide = strings.NewReplacer("%3A", ":", "%2F", "/").Replace(guide) // of links
				local, public := strings.Contains(guide, p.origin+"/"+slug), strings.Contains(guide, publicOrigin+"/"+slug)
				if at == apps.Computer && public || at == apps.Internet && local {
					t.Errorf("online %t: %s at %s is told of the other side", online, a.ID, at)
				}
				if at == apps.Internet && public != online {
					t.Errorf("online %t: %s is told of the public address: %t", online, a.ID, public)
				}
				if leads := strings.Contains(guide, `href="/tunnel"`); at == apps.Internet && leads == online {
					t.Errorf("online %t: %s is led through Internet: %t", online, a.ID, leads)
				}
			}
		}
	}
}

// TestConnectNames: commands of two servers of one name add two servers.
func TestConnectNames(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	b := p.owner()
	for _, want := range []string{" weather http", " weather-2 http", " weather-3 http"} {
		slug, mcpURL := p.add(up.URL, map[string]any{"display_name": "Weather"})
		if body := b.Open(web.ConnectPath(slug, "claude-code")).Body; !strings.Contains(body, strings.TrimSuffix(want, "http")+mcpURL) {
			t.Errorf("the command of %s does not call it %q", slug, strings.TrimSuffix(want, " http"))
		}
	}
}
