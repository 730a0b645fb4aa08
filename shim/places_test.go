package shim_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestTwoPlacesAreShown: a sign-in that two parties use is named in the status
// and at its server, over a restart, until it is disconnected or one stops.
func TestTwoPlacesAreShown(t *testing.T) {
	p := start(t)
	p.connect()
	_, out := p.api("GET", "/api/grants", nil)
	id := out["grants"].([]any)[0].(map[string]any)["id"].(string)
	slug := out["grants"].([]any)[0].(map[string]any)["slug"].(string)
	if got := p.shim.Status().TwoPlaces; len(got) != 0 {
		t.Errorf("status names %+v, want nothing", got)
	}
	since := time.Date(2026, 11, 12, 12, 0, 0, 0, time.UTC)
	set := func(at time.Time) {
		t.Helper()
		if err := p.shim.ChangeGrant(id, func(g *oauth.Grant) { g.InTwoPlaces = at }); err != nil {
			t.Fatal(err)
		}
	}
	set(since)
	for _, when := range []string{"at once", "after a restart"} {
		got := p.shim.Status().TwoPlaces
		if len(got) != 1 || got[0].Grant != id || !got[0].Since.Equal(since) || got[0].App != "\u201cTest client\u201d" {
			t.Errorf("%s: status names %+v, want the grant %s", when, got, id)
		}
		home := p.owner().Open("/servers/" + slug).Body
		if words := web.Text("card.places", web.Day(since)); strings.Count(home, words) != 1 {
			t.Errorf("%s: the Servers page does not say %q once", when, words)
		}
		p = p.restart()
	}
	set(time.Time{})
	if got := p.shim.Status().TwoPlaces; len(got) != 0 {
		t.Errorf("after one has stopped status names %+v, want nothing", got)
	}
	set(since)
	if status, _ := p.api("DELETE", "/api/grants/"+id, nil); status != http.StatusNoContent {
		t.Fatalf("DELETE of the grant = %d", status)
	}
	if got := p.shim.Status().TwoPlaces; len(got) != 0 {
		t.Errorf("after Disconnect status names %+v, want nothing", got)
	}
}

// TestOwnUserRefreshes: only at the local origin the kernel can show who
// refreshes. What comes through a tunnel comes from a process of the owner's,
// no matter who sent it.
func TestOwnUserRefreshes(t *testing.T) {
	p := startPublic(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, far := p.add(up.URL, map[string]any{"api_key": up.Key()})
	for _, tt := range []struct {
		name string
		c    *shimtest.OAuthClient
		own  bool
	}{
		{"local", p.client(p.origin + "/" + slug + "/mcp"), owner.ChecksUser()},
		{"public", p.farClient("http://127.0.0.1:3118/callback", far), false},
	} {
		link := tt.c.AuthorizeURL()
		if tt.name == "public" {
			link = continueLink(t, p, p.farBrowser(farAddr).Open(link))
		}
		done := p.owner().Consent(link, map[string]string{"api_key": up.Key(), "credential": "new", "action": "approve"})
		if status, body := tt.c.Redeem(tt.c.CodeFrom(done.Location)); status != http.StatusOK {
			t.Fatalf("POST /token = %d %v", status, body)
		}
		if status, body := tt.c.DoRefresh(tt.c.Refresh); status != http.StatusOK {
			t.Fatalf("refresh = %d %v", status, body)
		}
		_, out := p.api("GET", "/api/grants", nil)
		for _, x := range out["grants"].([]any) {
			m := x.(map[string]any)
			if m["origin"] != tt.c.Issuer {
				continue
			}
			g, err := p.shim.Grant(m["id"].(string))
			if err != nil || len(g.OwnUsed) > 0 != tt.own {
				t.Errorf("%s: refreshes shown to be the owner's: %d (%v), want some: %t", tt.name, len(g.OwnUsed), err, tt.own)
			}
		}
	}
}
