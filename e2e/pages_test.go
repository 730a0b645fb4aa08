package e2e

import (
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// click and keys keep the tests of the pages short.
func click(selector string) step { return chromedp.Click(chromedp.CSS(selector)) }

func keys(selector, text string) step { return chromedp.SendKeys(chromedp.CSS(selector), text) }

// TestOwnersPagesInChromium does everything that the owner can do with a mouse,
// and keeps a screenshot of each page and state.
func TestOwnersPagesInChromium(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	up := shimtest.NewUpstream(t, shimtest.Options{})
	html := shimtest.NewUpstream(t, shimtest.Options{})
	html.Break(shimtest.HTML())
	a := startApp(t)
	b := newChromium(t)
	at := func(path string) func() bool { return func() bool { return b.location().Path == path } }

	b.run(chromedp.Navigate(a.origin + "/"))
	b.shoot("home-not-the-owner")
	link := a.ownerLink()
	b.run(chromedp.Navigate(link))
	b.eventually("the home page is open", at("/"))
	b.shoot("home-empty")

	const create = `form[action="/servers"] `
	add := chromedp.Navigate(a.origin + "/servers/add")
	b.run(keys(`#upstream_url`, html.URL), keys(`#api_key`, html.Key()), click(create+`button.p`))
	b.waitFor(shimtest.Text("create.force"))
	b.shoot("home-add-not-mcp")
	b.run(add, keys(`#upstream_url`, up.URL), keys(`#api_key`, "wrong-key"), click(create+`button.p`))
	b.run(chromedp.WaitVisible(chromedp.CSS(`.field.wrong, #problem`)))
	b.shoot("home-add-wrong-key")
	b.run(keys(`#api_key`, up.Key()), click(create+`button.p`))
	b.waitFor(shimtest.Notice("added"))
	b.shoot("home-added")
	var list struct {
		Slugs []struct {
			Slug, UpstreamURL string
			Name              string `json:"display_name"`
		}
	}
	a.api("GET", "/api/slugs", nil, &list)
	if len(list.Slugs) != 1 {
		t.Fatalf("there are %d endpoints, want 1", len(list.Slugs))
	}
	slug := list.Slugs[0].Slug

	b.run(chromedp.Navigate(a.origin + "/"))
	b.shoot("home-one")
	b.run(chromedp.Navigate(a.origin+"/servers/"+slug+"/edit"), chromedp.WaitVisible(chromedp.CSS(`#display_name`)))
	b.shoot("edit")
	b.run(chromedp.Clear(chromedp.CSS(`#display_name`)), keys(`#display_name`, "Linear"), click(`form button.p`))
	b.eventually("the server's page is open", at("/servers/"+slug))
	b.waitFor("Linear")
	b.run(chromedp.Navigate(a.origin + "/servers/" + slug + "/key"))
	b.shoot("replace-key")
	b.run(keys(`#api_key`, "wrong-key"), click(`form button.p`), chromedp.WaitVisible(problem))
	b.shoot("replace-key-wrong")

	c := oauthClient(t, a, "https://client.example/callback", "http://"+a.addr+"/"+slug+"/mcp")
	c.Connect(shimtest.NewBrowser(t, a.origin), up.Key())
	pending := oauthClient(t, a, "http://127.0.0.1:1/callback", c.Resource)
	shimtest.NewBrowser(t, a.origin).Open(pending.AuthorizeURL())
	b.run(chromedp.Navigate(a.origin + "/"))
	b.shoot("home-connected-and-pending")
	b.run(chromedp.Navigate(a.origin + "/grants/" + a.grants()[0].ID + "/revoke"))
	b.shoot("revoke")
	b.run(click(`form button.d`))
	b.eventually("the server's page is open", at("/servers/"+slug))
	if n := len(a.grants()); n != 0 {
		t.Errorf("there are %d grants after revoking the only one", n)
	}

	b.run(chromedp.Navigate(a.origin+"/"), click(`form[action="/pause"] button`))
	b.run(chromedp.WaitVisible(chromedp.CSS(`form[action="/resume"]`)))
	b.shoot("home-paused")
	b.run(click(`form[action="/resume"] button`), chromedp.WaitVisible(chromedp.CSS(`form[action="/pause"]`)))

	b.run(chromedp.Navigate(a.origin + "/servers/" + slug + "/delete"))
	b.shoot("delete")
	b.run(click(`form button.d`))
	b.eventually("the home page is open", at("/"))
	a.api("GET", "/api/slugs", nil, &list)
	if len(list.Slugs) != 0 {
		t.Error("the endpoint is still there after it was deleted")
	}

	gone := shimtest.NewOAuthClient(t, a.origin, "https://client.example/callback")
	b.run(chromedp.Navigate(gone.AuthorizeURL()))
	b.shoot("consent-nothing-to-connect-to")
	b.run(chromedp.Navigate(a.origin + "/consent/over"))
	b.shoot("consent-over")
	b.run(chromedp.Navigate(a.origin + "/authorize?" + url.Values{"client_id": {"unknown"}, "redirect_uri": {"https://evil.example/"}}.Encode()))
	b.shoot("authorize-unknown-client")
	b.run(chromedp.Navigate(strings.Replace(gone.AuthorizeURL(), "S256", "plain", 1)))
	b.shoot("authorize-wrong-request")

	b.run(chromedp.Navigate(a.origin+"/"), click(`form[action="/sign-out"] button`))
	b.eventually("the owner is signed out", at("/sign-out"))
	b.shoot("signed-out")
	b.run(chromedp.Navigate(link))
	b.waitFor(shimtest.TextTicketUsed)
	b.shoot("one-time-link-used")
	b.noPolicyStopped()
}
