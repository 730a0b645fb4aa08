package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// Paths of pages, in the form that chromium.path returns.
const (
	publicAuthorize = publicOrigin + "/authorize"
	publicWait      = publicOrigin + "/authorize/"
)

func (a *app) consentPath() string { return a.origin + "/consent/" }

const (
	continueButton = chromedp.CSS(`a.btn[href^="http://127.0.0.1"]`)
	askButton      = chromedp.CSS(`form[action^="/authorize/"] button`)
)

// scriptsOff turns JavaScript off in a tab.
var scriptsOff = command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})

// TestPublicConsentInChromium takes the path of claude.ai's users: from its
// page on the internet through ngrok's edge to this machine and back. The
// browser protects this machine from the internet.
func TestPublicConsentInChromium(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	up := shimtest.NewUpstream(t, shimtest.Options{})

	t.Run("N03 L03 A17 a popup, ngrok's warning and a pasted key", func(t *testing.T) {
		w := newWorld(t, tunneltest.Config{Interstitial: true})
		a := startIn(t, w)
		a.waitOnline()
		e := a.addEndpoint("Linear", up.URL, "")
		c := claudeClient(t, a, e)
		site := newWebApp(t, c.AuthorizeURL())
		b := newFarChromium(t, w, site.host)

		b.run(chromedp.Navigate(claude + "/settings"))
		p := b.popup(t, click(`#connect`))
		p.waitFor("You are about to visit")
		if got := len(a.pending()); got != 0 {
			t.Errorf("%d requests wait, although the browser is still on the warning page", got)
		}
		p.visitSite()
		p.arrive(a.consentPath()) // automatic: the browser has this machine's own address
		p.waitFor(shimtest.Text("consent.h1.one", "Claude", "Linear"))
		p.paste(up.Key())
		q := site.wait(t)
		p.waitFor("Told the opener")
		b.waitFor("Heard code from " + claude)
		redeem(t, c, q)
		if closed := value(b, chromedp.Evaluate[bool](`self.popup.closed`)); closed {
			t.Error("the opener sees its window as closed")
		}
		for _, tab := range []*chromium{b, p} {
			tab.noPolicyStopped()
			tab.nothingKept(a)
		}
	})

	t.Run("A09 a reload and the way back show the choice", func(t *testing.T) {
		w := newWorld(t, tunneltest.Config{})
		a := startIn(t, w)
		a.waitOnline()
		e := a.addEndpoint("Linear", up.URL, "")
		c := claudeClient(t, a, e)
		site := newWebApp(t, c.AuthorizeURL())
		b := newFarChromium(t, w, site.host)
		stays := func() {
			t.Helper()
			b.waitFor(shimtest.Text("signin.h1", "Claude"))
			time.Sleep(2 * time.Second) // twice as long as the page waits before it continues automatically, which it must not
			if got := b.path(); got != publicAuthorize {
				t.Errorf("the page went on to %s", got)
			}
			if auto := value(b, chromedp.Evaluate[int](`document.querySelectorAll("meta[http-equiv=refresh]").length`)); auto != 0 {
				t.Error("the page would continue automatically a second time")
			}
		}
		b.run(chromedp.Navigate(claude+"/settings"), click(`#here`))
		b.arrive(a.consentPath())
		first := b.location().Path
		// The automatic redirect left no page in the history, which would send a person
		// who presses Back forward again.
		b.goBack()
		b.arrive(claude + "/settings")
		b.press(`#here`)
		stays()
		b.run(chromedp.Reload())
		stays()
		b.look("public-sign-in")
		b.run(chromedp.Click(continueButton))
		b.arrive(a.consentPath())
		if got := b.location().Path; got != first {
			t.Errorf("Continue leads to %s, want the same request, %s", got, first)
		}
		b.goBack()
		b.arrive(publicAuthorize)
		stays()
		b.press(`a.btn.p`)
		b.arrive(a.consentPath())
		if got := len(a.pending()); got != 1 {
			t.Errorf("%d requests wait, want one", got)
		}
		b.paste(up.Key())
		redeem(t, c, site.wait(t))
		b.waitFor("The client has its answer")

		// The request is answered: neither page may act on it again.
		b.run(chromedp.Navigate(a.origin + first))
		b.waitFor(shimtest.TitleRequestOver)
		b.run(chromedp.Navigate(publicOrigin + "/authorize/" + strings.TrimPrefix(first, "/consent/")))
		b.waitFor(shimtest.TitleElsewhere)
		b.look("public-finished")
		if got := len(a.grants()); got != 1 {
			t.Errorf("there are %d grants, want one", got)
		}
		b.noPolicyStopped()
		b.nothingKept(a)
	})

	t.Run("N03 without JavaScript", func(t *testing.T) {
		w := newWorld(t, tunneltest.Config{Interstitial: true})
		a := startIn(t, w)
		a.waitOnline()
		e := a.addEndpoint("Linear", up.URL, "")
		c := claudeClient(t, a, e)
		site := newWebApp(t, c.AuthorizeURL())
		b := newFarChromium(t, w, site.host)
		b.run(scriptsOff, chromedp.Navigate(claude+"/settings"), click(`#here`))
		b.waitFor("You are about to visit")
		b.run(click(`noscript button`))
		b.arrive(a.consentPath())
		b.shoot("public-consent-without-javascript")
		b.paste("wrong-key")
		b.run(chromedp.WaitVisible(problem))
		b.paste(up.Key())
		redeem(t, c, site.wait(t))
		b.waitFor("No opener")
		b.noPolicyStopped()
		b.nothingKept(a)
	})

	t.Run("the owner and a saved key", func(t *testing.T) {
		w := newWorld(t, tunneltest.Config{})
		a := startIn(t, w)
		a.waitOnline()
		e := a.addEndpoint("Linear", up.URL, up.Key())
		c := claudeClient(t, a, e)
		site := newWebApp(t, c.AuthorizeURL())
		b := newFarChromium(t, w, site.host)
		b.signIn(a)
		b.run(chromedp.Navigate(claude + "/settings"))
		p := b.popup(t, click(`#connect`))
		p.arrive(a.consentPath())
		p.waitFor(shimtest.Text("consent.with"))
		p.look("public-consent-saved-key")
		p.approve() // with the only key, which is chosen
		redeem(t, c, site.wait(t))
		b.waitFor("Heard code from " + claude)
		grants := a.grants()
		if len(grants) != 1 || grants[0].Credential == "" {
			t.Errorf("the grants are %+v, want one with the saved key", grants)
		}
		for _, tab := range []*chromium{b, p} {
			tab.noPolicyStopped()
			tab.nothingKept(a)
		}
	})

	t.Run("A14 deny", func(t *testing.T) {
		w := newWorld(t, tunneltest.Config{})
		a := startIn(t, w)
		a.waitOnline()
		e := a.addEndpoint("Linear", up.URL, "")
		c := claudeClient(t, a, e)
		site := newWebApp(t, c.AuthorizeURL())
		b := newFarChromium(t, w, site.host)
		b.run(chromedp.Navigate(c.AuthorizeURL()))
		b.arrive(a.consentPath())
		b.run(chromedp.Click(denyButton))
		q := site.wait(t)
		if q.Get("error") != "access_denied" || q.Get("state") != c.State || q.Get("iss") != publicOrigin || q.Has("code") {
			t.Errorf("Deny answered error %q, state as sent: %v, iss %q, code: %v; want access_denied, true, %q, false",
				q.Get("error"), q.Get("state") == c.State, q.Get("iss"), q.Has("code"), publicOrigin)
		}
		b.noPolicyStopped()
	})
}

// TestNewWebsiteInChromium asks for a website that was never approved before.
func TestNewWebsiteInChromium(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	const host = "claude.ai.login-session.example"
	up := shimtest.NewUpstream(t, shimtest.Options{})
	w := newWorld(t, tunneltest.Config{})
	a := startIn(t, w)
	a.waitOnline()
	e := a.addEndpoint("Linear", up.URL, up.Key())
	cb := newCallback(t, true, "")
	via := w.Client(false)
	register := func() *shimtest.OAuthClient {
		c := shimtest.NewOAuthClientVia(t, via, publicOrigin, "https://"+host+"/callback")
		c.Resource = e.MCP
		return c
	}
	b := newFarChromium(t, w, host+"="+cb.addr)

	t.Run("somebody else cannot even paste a key", func(t *testing.T) {
		b := b.openTab(t)
		b.run(chromedp.Navigate(register().AuthorizeURL()))
		b.arrive(a.consentPath())
		b.waitFor(shimtest.TextOwnerForNew)
		b.look("public-new-website-not-the-owner")
		if n := value(b, chromedp.Evaluate[int](`document.querySelectorAll("form").length`)); n != 0 {
			t.Errorf("the page has %d forms, want none", n)
		}
	})
	t.Run("the owner has to say that he knows it", func(t *testing.T) {
		b, c := b.openTab(t), register()
		b.signIn(a)
		b.run(chromedp.Navigate(c.AuthorizeURL()))
		b.arrive(a.consentPath())
		b.waitFor(shimtest.Text("consent.https.warn", "Linear"))
		b.look("public-new-website")
		b.run(click(`input[name=credential]:not([value=new])`))
		// The browser does not send the form: a box is not checked.
		value(b, chromedp.Evaluate[chromedp.Void](`document.querySelector("input[name=confirmed]").addEventListener("invalid", () => { self.held = true; }); null`))
		b.approve()
		b.eventually("the browser holds the form back", func() bool { return b.is(`self.held === true`) })
		if got := len(a.grants()); got != 0 {
			t.Fatalf("there are %d grants without the statement", got)
		}
		// The program must also reject the form when the browser does not check it.
		value(b, chromedp.Evaluate[chromedp.Void](`document.querySelector("form").noValidate = true; null`))
		b.approve()
		b.waitFor(shimtest.TextSayYouKnow)
		b.look("public-new-website-not-said")
		b.run(click(`input[name=confirmed]`), click(`input[name=credential]:not([value=new])`))
		b.approve()
		redeem(t, c, cb.wait(t))
		b.waitFor("The client has its answer")
		b.noPolicyStopped()
		b.nothingKept(a)
	})
	t.Run("once approved it looks like any other", func(t *testing.T) {
		b := b.openTab(t)
		b.run(chromedp.Navigate(register().AuthorizeURL()))
		b.arrive(a.consentPath())
		b.waitFor(shimtest.Text("consent.known"))
		if n := value(b, chromedp.Evaluate[int](`document.querySelectorAll("input[name=confirmed], .unknown").length`)); n != 0 {
			t.Error("the page still asks whether the website is known")
		}
	})
}
