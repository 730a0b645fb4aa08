package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// newFarChromium starts a Chromium that sees the internet as a remote browser
// does. It takes the addresses of the edge and of hosts for public ones, and
// therefore protects this machine from their pages.
func newFarChromium(t testing.TB, w *world, hosts ...string) *chromium {
	t.Helper()
	hosts = append([]string{tunneltest.DefaultDomain + "=" + w.Addr()}, hosts...)
	return startChromium(t, hosts, countAsPublic(hosts...))
}

// countAsPublic tells the browser that the addresses of hosts are public.
func countAsPublic(hosts ...string) chromedp.ExecAllocatorOption {
	var public []string
	for _, h := range hosts {
		_, addr, _ := strings.Cut(h, "=")
		public = append(public, addr+"=public")
	}
	return chromedp.Flag("ip-address-space-overrides", strings.Join(public, ","))
}

// nothingKept fails the test if the browser blocked a page's access to this
// machine, or if a page reached this machine other than by navigation. For such
// access the browser would ask the user for permission.
func (c *chromium) nothingKept(a *app) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.kept {
		c.t.Errorf("the browser says: %s", k)
	}
	for _, got := range c.answers {
		// The owner's pages request events, and a fresh copy of themselves.
		own := got.url == a.origin+"/api/events" || strings.HasPrefix(got.url, a.origin+"/live")
		if strings.HasPrefix(got.url, a.origin+"/") && got.kind != "Document" && !own {
			c.t.Errorf("%s was loaded as %s, not by navigation", got.url, got.kind)
		}
	}
}

// popup runs a step that opens a window, and returns the window.
func (c *chromium) popup(t testing.TB, open step) *chromium {
	t.Helper()
	opened := chromedp.WaitNewTarget(c.ctx, func(i *target.Info) bool { return i.Type == "page" })
	c.run(open)
	select {
	case id := <-opened:
		ctx, cancel := chromedp.NewContext(c.ctx, chromedp.WithTargetID(id))
		t.Cleanup(cancel)
		w := &chromium{t: t, ctx: ctx}
		w.prepare()
		return w
	case <-time.After(patience):
		t.Fatal("no window was opened")
		return nil
	}
}

// A webApp stands in for claude.ai. Its page has a Connect button that opens a
// window, and its callback page tells the opener what arrived.
type webApp struct {
	host    string // name=address
	arrived chan url.Values
}

const (
	claude         = "https://claude.ai"
	claudeCallback = claude + "/api/mcp/auth_callback"
	claudeID       = claude + "/oauth/mcp-oauth-client-metadata"
)

const webAppPage = `<!doctype html><html lang="en"><title>Connectors</title><h1>Connectors</h1>
<button id="connect">Connect</button> <a id="here" href="%[1]s">Connect in this window</a>
<p id="heard">Nothing yet.</p><script>
connect.onclick = () => { self.popup = open(%[2]q, "oauth", "popup,width=600,height=700"); };
onmessage = e => { heard.textContent = "Heard " + e.data + " from " + e.origin; };
</script>`

const webAppCallback = `<!doctype html><html lang="en"><title>Connectors</title><p>The client has its answer.</p><p id="how">No opener.</p><script>
if (opener) { how.textContent = "Told the opener."; opener.postMessage(new URLSearchParams(location.search).has("code") ? "code" : "error", %q); }
</script>`

// newWebApp serves the pages of claude.ai, for a client that sends its users to
// authorize.
func newWebApp(t testing.TB, authorize string) *webApp {
	t.Helper()
	a := &webApp{arrived: make(chan url.Values, 10)}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch r.URL.Path {
		case "/settings":
			fmt.Fprintf(w, webAppPage, strings.ReplaceAll(authorize, "&", "&amp;"), authorize)
		case "/api/mcp/auth_callback":
			a.arrived <- r.URL.Query()
			fmt.Fprintf(w, webAppCallback, claude)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	a.host = "claude.ai=" + srv.Listener.Addr().String()
	return a
}

// wait returns the parameters of the redirect.
func (a *webApp) wait(t testing.TB) url.Values {
	t.Helper()
	return (&callback{arrived: a.arrived}).wait(t)
}

// claudeClient is claude.ai's client, which runs in the cloud and has a
// metadata document instead of a registration.
func claudeClient(t testing.TB, a *app, e endpointInfo) *shimtest.OAuthClient {
	t.Helper()
	via := a.world.Client(false)
	c := shimtest.NewDocumentClient(t, publicOrigin, claudeID, claudeCallback).Via(via)
	c.Resource = e.MCP
	return c
}

// path is the page's path without the id of a request.
func (c *chromium) path() string {
	c.t.Helper()
	u := c.location()
	p := u.Path
	if first, id, ok := strings.Cut(strings.TrimPrefix(p, "/"), "/"); ok && id != "" {
		p = "/" + first + "/"
	}
	return u.Scheme + "://" + u.Host + p
}

// arrive waits until the page is at a path of origin.
func (c *chromium) arrive(at string) {
	c.t.Helper()
	c.eventually("the page is at "+at, func() bool { return c.path() == at })
}

// goBack presses Back.
func (c *chromium) goBack() {
	c.t.Helper()
	value(c, chromedp.Evaluate[chromedp.Void](`setTimeout(() => history.back()), null`))
}

// press clicks a button or link by script. After Back, the driver has lost
// track of the page in the tab.
func (c *chromium) press(selector string) {
	c.t.Helper()
	value(c, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`setTimeout(() => document.querySelector(%q).click()), null`, selector)))
}

// visitSite presses the button of ngrok's warning page.
func (c *chromium) visitSite() {
	c.t.Helper()
	c.waitFor("You are about to visit")
	c.run(chromedp.Click(chromedp.CSS(`#visit`)))
}

// TestPublicAddressesCount proves that the other tests here can fail. The
// browser that they use blocks a public host's page from this machine's ports,
// and the address is the only reason.
func TestPublicAddressesCount(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	reached := make(chan string, 10)
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		reached <- r.URL.Path
	}))
	t.Cleanup(here.Close)
	site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
	}))
	t.Cleanup(site.Close)
	far := "far.example=" + site.Listener.Addr().String()
	fetch := func(b *chromium, path string) string {
		b.run(chromedp.Navigate("https://far.example/"))
		return value(b, chromedp.Evaluate[string](fmt.Sprintf(`fetch(%q).then(r => "reached", e => "refused")`, here.URL+path), chromedp.EvalAwaitPromise))
	}
	near, public := newChromium(t, far), startChromium(t, []string{far}, countAsPublic(far))
	if got := fetch(near, "/near"); got != "reached" {
		t.Errorf("a page that does not count as public: %s, want reached", got)
	}
	if got := fetch(public, "/public"); got != "refused" {
		t.Errorf("a page that counts as public: %s, want refused", got)
	}
	public.eventually("the browser says why", func() bool {
		public.mu.Lock()
		defer public.mu.Unlock()
		return len(public.kept) > 0
	})
	here.Close()
	close(reached)
	var paths []string
	for p := range reached {
		paths = append(paths, p)
	}
	if !slices.Equal(paths, []string{"/near"}) {
		t.Errorf("the port was asked for %q, want only /near", paths)
	}
}

// A pendingInfo is a request that waits for an answer, as the status shows it.
type pendingInfo struct {
	URL   string
	Slug  string
	Asked bool
}

func (a *app) pending() []pendingInfo {
	a.t.Helper()
	var s struct{ Pending []pendingInfo }
	a.api("GET", "/api/status", nil, &s)
	return s.Pending
}

// asked counts the requests that other devices wait for.
func (a *app) asked() (n int) {
	a.t.Helper()
	for _, p := range a.pending() {
		if p.Asked {
			n++
		}
	}
	return n
}

// windows counts the tabs and windows of the browser.
func (c *chromium) windows() (n int) {
	c.t.Helper()
	all, err := chromedp.Targets(c.ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, i := range all {
		if i.Type == "page" {
			n++
		}
	}
	return n
}
