package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// look takes screenshots of the page and fails the test if axe-core reports a
// problem.
func (c *chromium) look(name string) {
	c.t.Helper()
	load, axe := testenv.Axe(c.t, ".")
	value(c, chromedp.Evaluate[bool](load))
	for _, w := range value(c, chromedp.Evaluate[[]string](axe, chromedp.EvalAwaitPromise)) {
		c.t.Errorf("%s: %s", name, w)
	}
	c.shoot(name)
}

// loads counts the responses from an address.
func (c *chromium) loads(address string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, got := range c.answers {
		if got.url == address {
			n++
		}
	}
	return n
}

// tabTo presses Tab until selector has the focus.
func (c *chromium) tabTo(selector string) {
	c.t.Helper()
	for range 60 {
		c.run(chromedp.KeyEvent(kb.Tab))
		if value(c, chromedp.Evaluate[bool](`document.activeElement.matches(`+"`"+selector+"`"+`)`)) {
			return
		}
	}
	c.t.Fatalf("Tab did not reach %s in 60 presses", selector)
}

// showsState waits until the tunnel's page shows its state.
func (c *chromium) showsState(words string) {
	c.t.Helper()
	c.eventually("the tunnel is shown as "+words, func() bool {
		return value(c, chromedp.Evaluate[bool](`document.querySelector("[data-watch]")?.textContent === "`+words+`"`))
	})
}

// TestTunnelPageInChromium sets up the tunnel as the owner does, first with a
// wrong authtoken. The state on the page must update automatically.
func TestTunnelPageInChromium(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	const wrong = "2wrongCanaryAuthtoken_4f8a1c9e7b"
	w := newWorld(t, tunneltest.Config{Accounts: map[string]tunneltest.Account{authtoken: {}}})
	a := startExe(t, built(t, buildForTests), "KEY2OAUTH_TEST_EDGE="+w.Addr(), "KEY2OAUTH_TEST_EDGE_CA="+w.ca, "KEY2OAUTH_PUBLIC_ADDR="+freeAddr(t))
	a.world = w
	up := shimtest.NewUpstream(t, shimtest.Options{})
	a.addEndpoint("Linear", up.URL, up.Key())
	b := newChromium(t)
	b.signIn(a)
	b.look("home-without-tunnel")
	b.run(click(`nav a[href="/tunnel"]`), chromedp.WaitVisible(chromedp.CSS(`#authtoken`)))
	b.showsState(shimtest.Text("internet.off"))
	b.look("tunnel-first-run")

	t.Log("a wrong authtoken")
	begin := time.Now()
	b.run(keys(`#authtoken`, wrong), click(`form[action="/tunnel/ngrok"] button.p`), chromedp.WaitVisible(chromedp.CSS(`#authtoken-error`)))
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("it took %v to say that the authtoken is wrong", took)
	}
	b.waitFor(tunnel.ProblemOf("107").Words)
	if n := len(w.Auths()); n != 1 {
		t.Errorf("the edge was tried %d times with it, want once", n)
	}
	if html := value(b, chromedp.Evaluate[string](`document.documentElement.outerHTML`)); strings.Contains(html, wrong) {
		t.Error("the page holds the authtoken that was pasted")
	}
	b.look("tunnel-wrong-token")

	t.Log("the right one, by keyboard alone")
	b.run(chromedp.Navigate(a.origin + "/tunnel"))
	b.tabTo(`#authtoken`)
	b.run(chromedp.KeyEvent(authtoken + kb.Enter))
	b.showsState(shimtest.Text("internet.online"))
	b.waitFor(publicOrigin)
	b.waitFor(shimtest.Text("usage.requests"))
	b.look("tunnel-online")
	b.tabTo(`form[action="/tunnel/off"] button`)
	b.run(chromedp.KeyEvent(kb.Enter))
	b.showsState(shimtest.Text("internet.off"))
	b.look("tunnel-offline")
	if hosts := w.Hosts(); len(hosts) != 0 {
		t.Errorf("the edge still leads from %q to this machine", hosts)
	}
	b.tabTo(`form[action="/tunnel/on"] button`)
	b.run(chromedp.KeyEvent(" "))
	b.showsState(shimtest.Text("internet.online"))

	t.Log("the test, and changes that come by themselves")
	b.run(click(`form[action="/tunnel/test"] button`))
	b.waitFor(shimtest.TextTestPassed)
	b.look("tunnel-tested")
	w.Close()
	b.showsState(shimtest.Text("internet.connecting"))
	b.look("tunnel-retrying")
	if n := b.loads(a.origin + "/tunnel/test"); n != 1 {
		t.Errorf("the test was asked for %d times, want once: the page that showed its outcome must not send it again", n)
	}
	if err := w.Reopen(); err != nil {
		t.Fatal(err)
	}
	b.showsState(shimtest.Text("internet.online"))

	t.Log("a tunnel of the owner's own")
	const form = `form[action="/tunnel/external"] `
	b.run(chromedp.Navigate(a.origin+"/tunnel?change=1&with=caddy"), keys(`#public_url`, "http://key2oauth.example.com"), click(form+`button[data-busy]`))
	b.run(chromedp.WaitVisible(chromedp.CSS(`#public_url-error`)))
	b.look("tunnel-external-wrong")
	b.run(chromedp.Clear(chromedp.CSS(`#public_url`)), keys(`#public_url`, "https://key2oauth.example.com"), click(form+`button[data-busy]`))
	b.eventually("the tunnel is the owner's own", func() bool { return a.tunnel().Provider == "external" })
	b.waitFor(shimtest.Text("tunnel.listener"))
	b.look("tunnel-external")
	b.noPolicyStopped()
}
