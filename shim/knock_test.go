package shim_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestKnock: a request whose page a browser shows that is not signed in waits
// for the owner, until the owner has seen it.
func TestKnock(t *testing.T) {
	p := startPublic(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, mcpURL := p.add(up.URL, map[string]any{"api_key": up.Key()})
	local := p.origin + "/" + slug + "/mcp"
	// knocks lists the ids of the requests that wait for the owner on this computer.
	knocks := func() (ids []string) {
		for _, q := range p.shim.Status().Pending {
			if q.NeedsOwner {
				ids = append(ids, q.URL[strings.LastIndexByte(q.URL, '/')+1:])
			}
		}
		return ids
	}
	client := func(redirect string) *shimtest.OAuthClient {
		c := shimtest.NewOAuthClient(t, p.origin, redirect)
		c.Resource = local
		return c
	}
	id := func(page *shimtest.Page) string { return strings.TrimPrefix(page.URL.Path, "/consent/") }

	stranger, owner := p.browser(), p.owner()
	told := make(chan bool, 100)
	go p.shim.Watch(t.Context(), func() { told <- true })
	<-told // how things stand
	page := stranger.Open(client("http://127.0.0.1:3118/callback").AuthorizeURL())
	if got := knocks(); len(got) != 1 || got[0] != id(page) {
		t.Fatalf("%q wait for the owner, want the request whose page is open", got)
	}
	select {
	case <-told:
	case <-time.After(testenv.Patience):
		t.Error("the tray is not told")
	}
	if mine := owner.Open(client("http://127.0.0.1:3118/callback").AuthorizeURL()); len(knocks()) != 1 {
		t.Errorf("the owner is told of the request on the owner's own screen, %s: %q", id(mine), knocks())
	}
	owner.Open(page.URL.Path)
	if got := knocks(); len(got) != 0 {
		t.Errorf("%q wait after the owner has seen them", got)
	}
	stranger.Open(page.URL.Path) // a reload in the first browser
	if got := knocks(); len(got) != 0 {
		t.Errorf("%q wait though the owner has seen them", got)
	}

	t.Run("a page that shows the owner alone what is asked", func(t *testing.T) {
		c := p.farClient("https://stranger.example/callback", mcpURL)
		link := continueLink(t, p, p.farBrowser(farAddr).Open(c.AuthorizeURL()))
		page := stranger.Open(link)
		if page.Status != http.StatusUnauthorized || len(page.Forms) != 0 {
			t.Fatalf("got %d, want 401 and no form", page.Status)
		}
		if got := knocks(); len(got) != 1 || got[0] != id(page) {
			t.Fatalf("%q wait for the owner, want %s", got, id(page))
		}
		for _, q := range p.shim.Status().Pending {
			if q.NeedsOwner && q.Familiar {
				t.Errorf("a website that was never approved counts as known: %+v", q)
			}
		}
		if !strings.Contains(page.Body, `data-keep="`+page.URL.Path+`/open"`) {
			t.Error("the page does not say that it is still open")
		}
		owner.Open(page.URL.Path)
		if got := knocks(); len(got) != 0 {
			t.Errorf("%q wait after the owner has seen them", got)
		}
	})
	t.Run("another device waits already", func(t *testing.T) {
		ph := p.ask(farAddr, "https://claude.ai/api/mcp/auth_callback", mcpURL)
		stranger.Open("/consent/" + ph.id)
		if got := knocks(); len(got) != 0 {
			t.Errorf("%q wait twice", got)
		}
	})
	t.Run("a forged form tells no one", func(t *testing.T) {
		c := client("https://other.example/callback")
		link := owner.Open(c.AuthorizeURL()).URL.Path
		stranger.Do(stranger.FormRequest(shimtest.Form{Action: link}, map[string]string{"action": "approve"}))
		if got := knocks(); len(got) != 0 {
			t.Errorf("%q wait for the owner", got)
		}
	})
}
