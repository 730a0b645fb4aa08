package e2e

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

const (
	phoneAgent  = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1"
	numberField = chromedp.CSS(`#number`)
)

// A phone is a browser on another device and in another network.
type phone struct {
	*chromium
	site *webApp
	c    *shimtest.OAuthClient
}

// newPhone starts a phone's browser on the page that connects it.
func newPhone(t testing.TB, a *app, e endpointInfo) *phone {
	t.Helper()
	c := claudeClient(t, a, e)
	site := newWebApp(t, c.AuthorizeURL())
	p := &phone{newFarChromium(t, a.world, site.host), site, c}
	p.run(
		command(emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: phoneAgent}),
		chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile),
	)
	return p
}

// ask notifies the owner, and returns the number that the phone shows.
func (p *phone) ask() string {
	p.t.Helper()
	p.run(chromedp.Navigate(claude+"/settings"), click(`#here`))
	p.waitFor(shimtest.Text("signin.h1", "Claude"))
	p.run(chromedp.Click(askButton))
	p.arrive(publicWait)
	var n string
	p.eventually("the waiting page shows a number", func() bool { // it reloads every few seconds
		n = twoDigits.FindString(value(p.chromium, chromedp.Evaluate[string](`document.querySelector(".number")?.innerText ?? ""`)))
		return n != ""
	})
	return n
}

var twoDigits = regexp.MustCompile(`\b[1-9][0-9]\b`)

func otherNumber(n string) string {
	i, _ := strconv.Atoi(n)
	return strconv.Itoa(10 + (i-9)%90)
}

// TestOtherDevice signs in on a phone. The owner goes to the computer, where
// the dashboard shows that the phone waits, and types the phone's number.
func TestOtherDevice(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	up := shimtest.NewUpstream(t, shimtest.Options{})
	var network atomic.Int64 // the network of the phone
	w := newWorld(t, tunneltest.Config{ClientAddr: func(r *http.Request) string {
		if r.UserAgent() != phoneAgent {
			return ""
		}
		return "203.0.113." + strconv.FormatInt(network.Load(), 10)
	}})
	a := startIn(t, w)
	a.waitOnline()
	e := a.addEndpoint("Linear", up.URL, up.Key())
	owner := newChromium(t)
	owner.signIn(a)
	b := newFarChromium(t, w) // another person's browser

	review := func(t *testing.T, tab *chromium) {
		t.Helper()
		tab.run(chromedp.Navigate(a.origin + "/"))
		tab.waitFor(shimtest.Text("home.asked"))
		tab.run(click(`.pending li[data-asked] a.btn`))
		tab.waitFor(shimtest.Text("consent.device.band"))
	}
	typeNumber := func(tab *chromium, number string) {
		tab.t.Helper()
		tab.run(chromedp.SendKeys(numberField, number), click(`main form button.p`))
	}
	approve := func(tab *chromium, number string) {
		tab.t.Helper()
		typeNumber(tab, number)
		tab.run(click(`input[name=credential]:not([value=new])`), click(`input[name=confirmed]`))
		tab.approve()
	}

	t.Run("L10 A18 the owner types the number", func(t *testing.T) {
		network.Store(1)
		p := newPhone(t, a, e)
		tab := owner.openTab(t)
		tab.run(chromedp.Navigate(a.origin+"/"), chromedp.WaitVisible(chromedp.CSS(`.list`)))
		value(tab, chromedp.Evaluate[chromedp.Void](`self.untouched = true; null`))
		p.run(chromedp.Navigate(claude+"/settings"), click(`#here`))
		p.waitFor(shimtest.Text("signin.h1", "Claude"))
		time.Sleep(2 * time.Second) // twice as long as a page waits before it continues automatically, which this one must not
		if got := p.path(); got != publicAuthorize {
			t.Fatalf("a phone is sent on to %s", got)
		}
		if n := len(a.pending()); n != 0 {
			t.Errorf("%d requests wait for the owner before the phone asked", n)
		}
		if first := value(p.chromium, chromedp.Evaluate[string](`document.querySelector(".ways .p").textContent`)); first != shimtest.Text("signin.ask") {
			t.Errorf("what a phone is offered first is %q", first)
		}
		windows := owner.windows()
		number := p.ask()
		waiting := p.location().String()
		// On a busy machine a screenshot takes longer than the page waits.
		value(p.chromium, chromedp.Evaluate[chromedp.Void](`window.stop(); null`))
		p.look("public-waiting")
		p.run(chromedp.Navigate(waiting))

		tab.waitFor(shimtest.Text("home.waiting"))
		tab.look("home-new-request")
		if !value(tab, chromedp.Evaluate[bool](`self.untouched === true`)) || tab.location().Path != "/" {
			t.Error("the dashboard navigated while it was in use")
		}
		if got := owner.windows(); got != windows {
			t.Errorf("the owner's browser has %d windows, want %d as before", got, windows)
		}
		if list := a.pending(); len(list) != 1 || !list[0].Asked {
			t.Fatalf("the status lists %+v, want one request that another device waits for", list)
		}

		tab.run(click(`[data-waiting] a`))
		tab.waitFor(shimtest.Text("home.asked"))
		tab.look("home-another-device")
		review(t, tab)
		tab.look("public-number")
		if text := value(tab, chromedp.Evaluate[string](`document.body.innerText`)); slices.Contains(twoDigits.FindAllString(text, -1), number) {
			t.Errorf("the owner's page shows the number that the owner has to type, %s:\n%s", number, text)
		}

		b.run(chromedp.Navigate(waiting))
		b.waitFor(shimtest.TitleOtherBrowser)
		b.look("public-other-browser")
		// A separate request, with a separate cookie, does not help either.
		b.run(chromedp.Navigate(p.c.AuthorizeURL()))
		b.arrive(a.consentPath())
		b.run(chromedp.Navigate(waiting))
		b.waitFor(shimtest.TitleOtherBrowser)

		approve(tab, number)
		tab.waitFor(shimtest.TitleApproved)
		tab.look("public-approved")
		b.run(chromedp.Navigate(waiting))
		b.waitFor(shimtest.TitleOtherBrowser)

		redeem(t, p.c, p.site.wait(t)) // the phone was not touched since
		p.waitFor("The client has its answer")
		for _, c := range []*chromium{tab, p.chromium, b} {
			c.noPolicyStopped()
		}
		p.nothingKept(a)
	})

	t.Run("L10 a wrong number ends it", func(t *testing.T) {
		network.Store(2)
		grants := len(a.grants())
		p := newPhone(t, a, e)
		number := p.ask()
		tab := owner.openTab(t)
		review(t, tab)
		typeNumber(tab, otherNumber(number))
		tab.waitFor(shimtest.TextWrongNumberTitle)
		tab.look("public-wrong-number-owner")
		p.waitFor(shimtest.TitleWrongNumber)
		p.look("public-wrong-number")
		if n := len(a.grants()); n != grants || a.asked() != 0 {
			t.Errorf("there are %d grants, want %d as before, and %d requests wait, want none", n, grants, a.asked())
		}
		select {
		case q := <-p.site.arrived:
			t.Errorf("the client was answered: code %v", q.Has("code"))
		default:
		}
	})

	t.Run("A14 deny", func(t *testing.T) {
		network.Store(3)
		p := newPhone(t, a, e)
		p.ask()
		tab := owner.openTab(t)
		review(t, tab)
		tab.run(click(`button[value=deny]`))
		tab.waitFor(shimtest.TitleDenied)
		tab.look("public-denied")
		if q := p.site.wait(t); q.Get("error") != "access_denied" || q.Get("state") != p.c.State || q.Has("code") {
			t.Errorf("the client was answered error %q, code %v; want access_denied alone", q.Get("error"), q.Has("code"))
		}
	})

	t.Run("L10 without JavaScript", func(t *testing.T) {
		network.Store(4)
		p := newPhone(t, a, e)
		p.run(scriptsOff)
		number := p.ask()
		tab := owner.openTab(t)
		tab.run(scriptsOff)
		review(t, tab)
		approve(tab, number)
		tab.waitFor(shimtest.TitleApproved)
		redeem(t, p.c, p.site.wait(t))
	})

	t.Run("again and again, and a restart", func(t *testing.T) {
		network.Store(5)
		p := newPhone(t, a, e)
		request := func() {
			p.c.State += "x" // otherwise it would count as the same request
			p.run(chromedp.Navigate(p.c.AuthorizeURL()))
			p.waitFor(shimtest.Text("signin.h1", "Claude"))
		}
		for range 3 {
			request()
			p.run(chromedp.Click(askButton))
			p.arrive(publicWait)
		}
		// A browser waits with its newest request alone.
		if n := a.asked(); n != 1 {
			t.Errorf("%d requests of one browser wait, want 1", n)
		}
		link := p.location().String()
		a.restart()
		p.run(chromedp.Navigate(link))
		p.waitFor(shimtest.TitleRequestOver)
		p.look("public-over")
	})
}
