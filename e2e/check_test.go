package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/shim/shimtest/catalogue"
)

// TestCheckInChromium presses the button. The page shows progress while one
// server is held up, keeps open what was unfolded, and ends with a report that
// can be copied.
func TestCheckInChromium(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	a := startTunneled(t)
	dead, slow := shimtest.NewUpstream(t, shimtest.Options{}), shimtest.NewUpstream(t, shimtest.Options{})
	a.addEndpoint(name40, dead.URL, dead.Key())
	dead.SetKey(otherKey)
	a.addEndpoint("Slow", slow.URL, slow.Key())
	// One app that stopped, and one that is waiting.
	c := oauthClient(t, a, "https://claude.ai/api/mcp/auth_callback", a.issuer()+"/"+a.slugs()[0]+"/mcp")
	a.farBrowser().Open(c.AuthorizeURL())
	stale := oauthClient(t, a, "https://claude.ai/api/mcp/auth_callback", a.issuer()+"/"+a.slugs()[1]+"/mcp")
	stale.ID = "k2o_c_stale"
	a.farBrowser().Open(stale.AuthorizeURL())

	b := newChromium(t)
	b.signIn(a)
	hold, held, release := shimtest.Hold(t)
	slow.Break(hold)
	b.run(click(`nav a[href="/check"]`))
	b.waitFor(shimtest.Text("attempt.h2"))
	b.look("check-before")
	b.run(click(`form[action="/check"] button`))
	<-held
	b.eventually("the server that is held up is looked at", func() bool {
		return b.is(`[...document.querySelectorAll(".found")].some(e => e.innerText.includes("Slow") && e.innerText.includes("` + shimtest.Text("check.state.running") + `"))`)
	})
	if !b.is(`document.querySelector("form[action='/check'] button").disabled`) {
		t.Error("the button can be pressed while everything is checked")
	}
	// A group is unfolded by itself while something in it is looked at.
	b.eventually("the group that works is folded up", func() bool { return b.is(`document.querySelector("details[data-fold=local]")?.open === false`) })
	b.look("check-running")
	b.run(click(`details[data-fold=local] summary`))
	release()
	b.waitFor(shimtest.Text("check.failed.1"))
	b.eventually("what was unfolded is so again", func() bool { return b.is(`document.querySelector("details[data-fold=local]")?.open === true`) })
	if b.is(`document.querySelector("details[data-fold=public]").open`) {
		t.Error("a section that was not unfolded is open")
	}
	b.run(click(`details[data-fold=text] summary`))
	report := value(b, chromedp.Evaluate[string](`document.querySelector("details[data-fold=text] pre").innerText`))
	mark := func(state, what string) string {
		return fmt.Sprintf("%-6s  %s, key 1", catalogue.ReportMarks[state], what)
	}
	for _, want := range []string{
		catalogue.ReportGroups["computer"] + "\n", mark("failed", name40), ": " + catalogue.ReportWhose["yours"],
		catalogue.ReportNext + catalogue.NextRejected, mark("ok", "Slow"),
	} {
		if !strings.Contains(report, want) {
			t.Errorf("the report does not say %q:\n%s", want, report)
		}
	}
	for _, secret := range []string{shimtest.DefaultKey, otherKey, authtoken} {
		if strings.Contains(report, secret) {
			t.Error("the report holds a secret")
		}
	}
	b.run(click(`.attempts li:last-child details summary`))
	b.look("check-failed")
	b.noPolicyStopped()
}
