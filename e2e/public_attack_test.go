package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// TestPhishedOwnerInChromium lets a stranger begin to connect in the stranger's
// own browser, and lure the owner into opening the page on the owner's computer
// and approving. The code must never reach the stranger's browser.
func TestPhishedOwnerInChromium(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	up := shimtest.NewUpstream(t, shimtest.Options{})
	w := newWorld(t, tunneltest.Config{ClientAddr: func(r *http.Request) string {
		if r.UserAgent() == phoneAgent {
			return "203.0.113.66"
		}
		return ""
	}})
	a := startIn(t, w)
	a.waitOnline()
	e := a.addEndpoint("Linear", up.URL, up.Key())

	// The stranger sends the owner the link from the stranger's own page.
	lure := func(p *phone) string {
		p.t.Helper()
		return value(p.chromium, chromedp.Evaluate[string](`document.querySelector("a.btn").href`))
	}
	noCode := func(t *testing.T, stranger *phone) {
		t.Helper()
		for _, got := range stranger.answers {
			if strings.Contains(got.url, "code=") || strings.HasPrefix(got.url, claudeCallback) {
				t.Error("the stranger's browser was sent to the client")
			}
		}
	}

	t.Run("A18 by the link to this computer", func(t *testing.T) {
		stranger := newPhone(t, a, e)
		stranger.run(chromedp.Navigate(stranger.c.AuthorizeURL()))
		stranger.waitFor(shimtest.Text("signin.h1", "Claude"))
		link := lure(stranger)
		owner := newFarChromium(t, w, stranger.site.host)
		owner.signIn(a)
		owner.run(chromedp.Navigate(link), click(`input[name=credential]:not([value=new])`))
		owner.approve()
		stranger.c.CodeFrom("/?" + stranger.site.wait(t).Encode())
		owner.waitFor("The client has its answer") // the client does not know this request there

		stranger.run(chromedp.Navigate(publicWait + link[strings.LastIndexByte(link, '/')+1:]))
		stranger.waitFor(shimtest.TitleElsewhere)
		stranger.run(chromedp.Navigate(stranger.c.AuthorizeURL()))
		stranger.waitFor(shimtest.Text("signin.h1", "Claude")) // the page starts over
		noCode(t, stranger)
	})

	t.Run("A18 L10 by asking", func(t *testing.T) {
		stranger := newPhone(t, a, e)
		stranger.run(chromedp.Navigate(stranger.c.AuthorizeURL()))
		stranger.waitFor(shimtest.Text("signin.h1", "Claude"))
		link := lure(stranger)
		owner := newFarChromium(t, w, stranger.site.host)
		owner.signIn(a)
		owner.run(chromedp.Navigate(link), chromedp.WaitVisible(approveButton))
		stranger.run(chromedp.Click(askButton)) // while the owner has the page open
		stranger.arrive(publicWait)
		owner.run(click(`input[name=credential]:not([value=new])`))
		owner.approve()
		owner.waitFor(shimtest.TextTypeNumber)
		grants := len(a.grants())
		waiting := stranger.location().String()
		before := stranger.loads(waiting)
		stranger.eventually("the stranger's page has looked twice whether the owner has answered", func() bool { return stranger.loads(waiting) > before+1 })
		if got := stranger.path(); got != publicWait {
			t.Errorf("the stranger's browser is at %s", got)
		}
		if got := len(a.grants()); got != grants {
			t.Errorf("there are %d grants, want %d as before", got, grants)
		}
		noCode(t, stranger)
	})
}

// TestL09HundredStrangers checks that the owner is notified once and that
// nothing opens, however many strangers ask.
func TestL09HundredStrangers(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	w := newWorld(t, tunneltest.Config{ClientAddr: takeFrom})
	a := startIn(t, w)
	a.waitOnline()
	e := a.addEndpoint("Linear", "http://127.0.0.1:1/mcp", "")
	c := claudeClient(t, a, e)
	owner := newChromium(t)
	owner.signIn(a)
	owner.run(chromedp.WaitVisible(chromedp.CSS(`.list`)))
	value(owner, chromedp.Evaluate[chromedp.Void](`self.shown = 0; self.untouched = true;
		new MutationObserver(() => { if (!document.querySelector("[data-waiting]").hidden) shown++; }).observe(document.querySelector("[data-waiting]"), {attributes: true, attributeFilter: ["hidden"]}); null`))
	windows := owner.windows()

	refused := 0
	for i := range 100 {
		b := a.farBrowser()
		b.HTTP.Transport = fromAddr{fmt.Sprintf("203.0.113.%d", i), b.HTTP.Transport}
		c.State = fmt.Sprintf("stranger-%d", i)
		p := b.Open(c.AuthorizeURL())
		if p.Status != http.StatusOK || len(p.Forms) != 1 {
			t.Fatalf("stranger %d: GET /authorize = %d with %d forms", i, p.Status, len(p.Forms))
		}
		if p = b.Submit(p.Forms[0], nil); p.Status == http.StatusTooManyRequests {
			refused++
		} else if p.Status != http.StatusOK {
			t.Fatalf("stranger %d: asking = %d", i, p.Status)
		}
	}
	owner.waitFor(shimtest.Text("home.waiting"))
	if n := len(a.pending()); n != 5 || refused > 0 {
		t.Errorf("%d requests wait and %d were refused, want the newest 5 to wait", n, refused)
	}
	if n := value(owner, chromedp.Evaluate[int](`self.untouched ? self.shown : -1`)); n != 1 {
		t.Errorf("the dashboard said so %d times, want once, and no reload", n)
	}
	if got := owner.windows(); got != windows {
		t.Errorf("the owner's browser has %d windows, want %d as before", got, windows)
	}
	owner.look("home-many-strangers")
}

// publicAttacks are what pages try on the public side. Besides what attack
// names there is
//
//	ask         path of the request that this very browser has open
//	authorize   path and query that begin it
var publicAttacks = []attack{
	{"ask by a form", `
		await form(ask, {});
		await form(ask, {form_token: ""});
		await form(ask, {form_token: "guessed"}, "text/plain");`},
	{"ask in a window", `
		const f = document.createElement("form");
		f.method = "post"; f.action = target + ask; f.target = "victim";
		document.body.append(f);
		open("about:blank", "victim");
		f.submit();
		await sleep(1500);`},
	{"ask with fetch", `
		const read = ` + readable + `;
		await read(ask, {method: "POST", body: new URLSearchParams({form_token: ""})});
		await fetch(target + ask, {method: "POST", mode: "no-cors", credentials: "include", body: new URLSearchParams({form_token: ""})}).catch(() => {});
		navigator.sendBeacon(target + ask, new Blob(["form_token="], {type: "text/plain"}));
		await sleep(500);`},
	{"read", `
		const read = ` + readable + `;
		for (const p of [ask, authorize]) { await read(p); await read(p, {credentials: "omit"}); }`},
	{"frame", `
		for (const p of [ask, authorize])
			await new Promise(done => { const e = document.createElement("iframe"); e.onload = e.onerror = done; e.src = target + p; document.body.append(e); setTimeout(done, 1500); });`},
	{"picture and script", `
		for (const p of [ask, authorize])
			for (const tag of ["img", "script"])
				await new Promise(done => { const e = document.createElement(tag); e.onload = () => { note("LEAK " + tag); done(); }; e.onerror = done; e.src = target + p; document.body.append(e); setTimeout(done, 1500); });`},
	{"window", `
		const w = open(target + ask);
		await arrived(w);
		try { note("LEAK " + w.document.body.innerText.slice(0, 100)); } catch (e) { note("refused " + e.name); }
		w.close();`},
}

// TestL02AttackPagesOnTheInternet opens hostile pages from the internet in the
// owner's browser, which has a request open on the public side.
func TestL02AttackPagesOnTheInternet(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	up := shimtest.NewUpstream(t, shimtest.Options{})
	a := startTunneled(t)
	e := a.addEndpoint("Linear", up.URL, up.Key())
	c := claudeClient(t, a, e)
	authorize := c.AuthorizeURL()
	begun := shimtest.NewOAuthClient(t, a.origin, "https://evil.example/callback")
	begun.Resource = e.Local
	consent := shimtest.NewBrowser(t, a.origin).Open(begun.AuthorizeURL()).URL.Path

	_, toLoopback := newHostile(t, attacks, fmt.Sprintf("const target = %q, consent = %q, slug = %q;", a.origin, consent, e.Slug))
	_, toPublic := newHostile(t, publicAttacks, "")
	b := newFarChromium(t, a.world, "evil.example="+toLoopback.addr, "worse.example="+toPublic.addr)
	b.signIn(a)
	b.run(chromedp.Navigate(authorize))
	b.arrive(a.consentPath())
	ask := "/authorize/" + strings.TrimPrefix(b.location().Path, "/consent/")
	toPublic.vars = fmt.Sprintf("const target = %q, ask = %q, authorize = %q;", publicOrigin, ask, strings.TrimPrefix(authorize, publicOrigin))
	before := appState(a)
	unchanged := func(t *testing.T) {
		t.Helper()
		if after := appState(a); after != before {
			t.Errorf("the attack changed something:\nbefore %s\nafter  %s", before, after)
		}
	}
	for _, at := range attacks {
		t.Run("L02 "+at.name+" against this machine", func(t *testing.T) {
			tab := toLoopback.attack(t, b, "https://evil.example", at)
			if at.name == "frame" {
				tab.framesAreEmpty(a.origin)
			}
			unchanged(t)
		})
	}
	for _, at := range publicAttacks {
		t.Run("L02 A11 "+at.name+" against the public side", func(t *testing.T) {
			tab := toPublic.attack(t, b, "https://worse.example", at)
			if at.name == "frame" {
				tab.framesAreEmpty(publicOrigin)
			}
			unchanged(t)
		})
	}

	// The attacks fail for the right reason: in the same browser, the program's own
	// page can do what they tried.
	t.Run("the page itself", func(t *testing.T) {
		tab := b.openTab(t)
		tab.run(chromedp.Navigate(publicOrigin + ask))
		tab.waitFor(shimtest.Text("signin.h1", "Claude"))
		tab.run(chromedp.Click(askButton))
		tab.waitFor(shimtest.Text("waiting.h1"))
		if list := a.pending(); !strings.Contains(appState(a), "asked=1") {
			t.Errorf("the status lists %+v, want one that another device waits for", list)
		}
	})
}

// TestTossedCookie opens a page on a sibling of the public host. The page
// plants the cookie of a request that the attacker began. The browser must not
// count as the one that began it.
func TestTossedCookie(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	const host = "k2o.example.com"
	w := newWorld(t, tunneltest.Config{Accounts: map[string]tunneltest.Account{authtoken: {Domain: host}}})
	a := startIn(t, w)
	eventually(t, patience, "the tunnel is online", func() bool { return a.tunnel().State == "online" })
	e := a.addEndpoint("Linear", "http://127.0.0.1:1/mcp", "")
	c := shimtest.NewDocumentClient(t, "https://"+host, claudeID, claudeCallback).Via(w.Client(false))
	c.Resource = e.MCP

	attacker := shimtest.NewBrowser(t, "https://"+host)
	attacker.HTTP.Transport = w.Client(false).Transport
	p := attacker.Open(c.AuthorizeURL())
	cookies := p.Header.Values("Set-Cookie")
	if len(cookies) != 1 || len(p.Forms) != 1 {
		t.Fatalf("GET /authorize = %d with %d cookies and %d forms", p.Status, len(cookies), len(p.Forms))
	}
	cookie, _, _ := strings.Cut(cookies[0], ";")
	own := p.Forms[0].Action
	attacker.Submit(p.Forms[0], nil)

	evil := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, set := range []string{cookie, "tossed=1"} {
			for _, path := range []string{"/", "/authorize", own} {
				w.Header().Add("Set-Cookie", set+"; Domain=example.com; Secure; Path="+path)
			}
		}
		w.Header().Set("Content-Type", "text/html")
	}))
	t.Cleanup(evil.Close)
	b := startChromium(t, []string{host + "=" + w.Addr(), "evil.example.com=" + evil.Listener.Addr().String()})
	b.run(chromedp.Navigate("https://evil.example.com/"), chromedp.Navigate("https://"+host+own))
	if got := value(b, chromedp.Evaluate[string](`document.cookie`)); !strings.Contains(got, "tossed=1") {
		t.Fatalf("the sibling page could not plant any cookie: %q", got)
	}
	b.waitFor(shimtest.TitleOtherBrowser)
}
