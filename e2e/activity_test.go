package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestActivityInChromium watches calls arrive on the owner's page. It kills the
// program right after, and checks that the calls are still listed.
func TestActivityInChromium(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	up := shimtest.NewUpstream(t, shimtest.Options{})
	a := startApp(t)
	e := a.addEndpoint("Linear", up.URL, up.Key())
	c := oauthClient(t, a, "http://127.0.0.1:1/callback", e.Local)
	c.Connect(shimtest.NewBrowser(t, a.origin), up.Key())

	b := newChromium(t)
	b.run(chromedp.Navigate(a.ownerLink()))
	b.eventually("the home page is open", func() bool { return b.location().Path == "/" })
	b.run(click(`nav a[href="/activity"]`))
	b.waitFor(shimtest.Text("activity.none"))
	b.run(chromedp.Navigate(a.origin + "/activity?show=all")) // a list of tools is how app and server talk
	b.waitFor(shimtest.Text("activity.none"))
	b.shoot("activity-empty")
	call(t, e.Local, c.Access)
	b.waitFor("tools/list")
	b.shoot("activity")
	b.noPolicyStopped()

	b.eventually("the call is on disk", func() bool {
		return strings.Contains(readFile(t, filepath.Join(a.dir, "state.db")), "tools/list")
	})
	a.kill()
	a.start()
	b.run(chromedp.Navigate(a.origin+"/activity?show=all"), keys(`#q`, "linear tools\r"))
	b.eventually("the search is in the address", func() bool { return b.location().Query().Get("q") == "linear tools" })
	b.waitFor("tools/list")
	b.run(keys(`#q`, " frobnicate\r"))
	b.waitFor(shimtest.Text("activity.none.found"))
}
