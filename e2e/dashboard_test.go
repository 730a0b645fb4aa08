package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/display"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/shim/shimtest/catalogue"
)

const name40 = "Quarterly Finance & Planning Server (EU)"

// is evaluates a condition in the page.
func (c *chromium) is(expression string) bool {
	c.t.Helper()
	return value(c, chromedp.Evaluate[bool](expression))
}

// ticks returns the names of the first steps that are done.
func (c *chromium) ticks() string {
	c.t.Helper()
	return value(c, chromedp.Evaluate[string](`[...document.querySelectorAll("li.dn[data-step]")].map(e => e.dataset.step).join(" ")`))
}

// live waits until the page shows something without a reload. Call mark first:
// its mark must still be on the page.
func (c *chromium) live(words, expression string) {
	c.t.Helper()
	c.eventually(words, func() bool { return c.is(expression) })
	if !c.is(`window.mark === 1`) {
		c.t.Errorf("%s: the page was loaded again", words)
	}
}

func (c *chromium) mark() {
	c.t.Helper()
	c.is(`window.mark = 1; true`)
}

// TestFirstRunInChromium goes from an empty page to a connected client. Then
// the client's key dies and is repaired, and the client is paused and revoked.
// The home page stays open all the time and never reloads.
func TestFirstRunInChromium(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	up := shimtest.NewUpstream(t, shimtest.Options{})
	a := startApp(t)
	b := newChromium(t)
	b.signIn(a)
	b.waitFor(shimtest.Text("first.h1"))
	b.look("first-empty")
	if got, want := b.ticks(), ""; got != want {
		t.Errorf("done are %q, want %q", got, want)
	}

	// The first server.
	b.run(keys(`#upstream_url`, up.URL), keys(`#api_key`, "wrong-key"), click(`form[action="/servers"] button.p`), chromedp.WaitVisible(chromedp.CSS(`.field.wrong`)))
	b.look("first-wrong-key")
	b.run(keys(`#api_key`, up.Key()), keys(`#display_name`, name40), click(`form[action="/servers"] button.p`))
	b.waitFor(shimtest.Notice("added"))
	b.look("first-added")
	e := endpointOf(t, a)
	if got := b.location().Path; got != "/servers/"+e.Slug {
		t.Errorf("after adding, the page is %s, want the server's", got)
	}
	home := chromedp.Navigate(a.origin + "/")
	b.run(home)
	b.waitFor(shimtest.Text("steps.connect", name40))
	b.look("first-next")

	// Open sections and focus survive updates of the page.
	b.run(chromedp.Navigate(a.origin + "/servers/" + e.Slug))
	b.mark()
	b.is(`document.querySelector("[data-part=address] [data-copy]").focus(); true`)
	b.is(`document.querySelector("[data-bar] .side").mark = 1; true`)
	stays := func(when string) {
		t.Helper()
		for what, expression := range map[string]string{
			"the focus":         `document.activeElement.matches("[data-part=address] [data-copy]")`,
			"the button's life": `!document.querySelector("[data-part=address] [data-copy]").hidden`,
			"Pause":             `document.querySelector("[data-bar] .side").mark === 1`,
		} {
			if !b.is(expression) {
				t.Errorf("%s, %s was lost", when, what)
			}
		}
	}
	cb := newCallback(t, false, "")
	c := oauthClient(t, a, cb.URL, e.Local)
	tab := b.openTab(t)
	tab.run(chromedp.Navigate(c.AuthorizeURL()))
	tab.waitFor(name40)
	b.live("the request shows", `!!document.querySelector(".pending")`)
	stays("when the app came")
	b.look("first-asks")
	tab.run(click(`input[name=credential]:not([value=new])`))
	tab.approve()
	tab.waitFor("The client has its answer")
	redeem(t, c, cb.wait(t))
	b.live("the client shows", `!!document.querySelector("a[href^='/grants/']") && !document.querySelector(".pending")`)
	stays("when the app was connected")
	b.look("first-connected")
	b.run(home)
	b.waitFor(shimtest.Text("steps.done"))
	if got, want := b.ticks(), "1 2 3"; got != want {
		t.Errorf("done are %q, want %q", got, want)
	}
	b.run(chromedp.Navigate(a.origin + "/servers/" + e.Slug))
	b.mark()
	if r, err := callTool(fresh, e.Local, c.Access, "echo", map[string]string{"text": "x"}); err != nil || r.Status != 200 {
		t.Fatalf("the client's call = %d %s, %v", r.Status, r.Body, err)
	}

	// Its key dies, and is repaired.
	up.SetKey("sk-the-next-key")
	callTool(fresh, e.Local, c.Access, "echo", nil)
	b.live("the dead key shows", `!!document.querySelector("[data-part=keys] .dot.err")`)
	b.look("home-key-rejected")
	b.run(click(`[data-alert] a[href$="/key"]`), chromedp.WaitVisible(keyField))
	b.run(keys(`#api_key`, "still-wrong"), click(`form button.p`), chromedp.WaitVisible(problem))
	b.look("repair-wrong")
	b.run(keys(`#api_key`, "sk-the-next-key"), click(`form button.p`))
	b.waitFor(shimtest.Notice("key"))
	if r, err := callTool(fresh, e.Local, c.Access, "echo", map[string]string{"text": "x"}); err != nil || r.Status != 200 || strings.Contains(r.Body, catalogue.TextKeyRejected) {
		t.Errorf("after the repair the client's call = %d %s, %v", r.Status, r.Body, err)
	}

	// Pause, resume and revoke happen outside this page.
	b.mark()
	a.run("", "pause")
	b.live("the pause shows", `!!document.querySelector("form[action='/resume']")`)
	b.look("home-paused-live")
	b.run(click(`form[action="/resume"] button`), chromedp.WaitVisible(chromedp.CSS(`form[action="/pause"]`)))
	if r, err := callTool(fresh, e.Local, c.Access, "echo", map[string]string{"text": "x"}); err != nil || r.Status != 200 {
		t.Errorf("after Resume the client's call = %d %s, %v", r.Status, r.Body, err)
	}
	b.mark()
	a.run("", "revoke", a.grants()[0].ID)
	b.live("the client is gone", `!document.querySelector("a[href^='/grants/']")`)
	if r, err := callTool(fresh, e.Local, c.Access, "echo", nil); err != nil || r.Status != 401 {
		t.Errorf("after Revoke the client's call = %d, %v, want 401", r.Status, err)
	}

	// Without JavaScript, a reload shows the same.
	a.run("", "pause")
	b.run(command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), chromedp.Navigate(a.origin+"/"))
	b.waitFor(shimtest.Text("urgent.paused"))
	b.shoot("home-without-javascript") // where axe-core cannot run
	b.noPolicyStopped()
	tab.noPolicyStopped()
}

// endpointOf is the only endpoint of a.
func endpointOf(t *testing.T, a *app) endpointInfo {
	t.Helper()
	var list struct{ Slugs []endpointInfo }
	a.api("GET", "/api/slugs", nil, &list)
	if len(list.Slugs) != 1 {
		t.Fatalf("there are %d endpoints, want 1", len(list.Slugs))
	}
	return list.Slugs[0]
}

// TestStoppedInChromium checks the pages that update live. They say when the
// program is gone, and return to normal when it is back.
func TestStoppedInChromium(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	a := startApp(t)
	b := newChromium(t)
	b.signIn(a)
	b.waitFor(shimtest.Text("first.h1"))
	for _, path := range []string{"/", "/activity"} {
		b.run(chromedp.Navigate(a.origin+path), chromedp.WaitVisible(chromedp.CSS(`nav a[aria-current]`)))
		if !b.is(`document.querySelector("[data-lost]").hidden`) {
			t.Errorf("%s says at once that the program has stopped", path)
		}
		a.stop()
		b.eventually("it is said that the program has stopped", func() bool { return !b.is(`document.querySelector("[data-lost]").hidden`) })
		b.look("stopped" + strings.ReplaceAll(path, "/", "-"))
		a.start()
		b.signIn(a)
	}
}

// TestSettingsInChromium changes the settings, exports and imports the
// endpoints, names and deletes a key, and deletes everything.
func TestSettingsInChromium(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	up := shimtest.NewUpstream(t, shimtest.Options{})
	a := startApp(t)
	e := a.addEndpoint(name40, up.URL, up.Key())
	c := oauthClient(t, a, "http://127.0.0.1:1/callback", e.Local)
	c.Connect(shimtest.NewBrowser(t, a.origin), up.Key())
	b := newChromium(t)
	b.signIn(a) // after the first server, at which an open home page loads again

	settings := func() {
		b.run(chromedp.Navigate(a.origin+"/settings"), chromedp.WaitVisible(chromedp.CSS(`#lifetime`)))
	}
	settings()
	b.look("settings")
	b.run(chromedp.SetValue(chromedp.CSS(`#lifetime`), "3600"), click(`form[action="/settings/lifetime"] button`))
	b.waitFor(shimtest.Notice("saved"))
	b.look("settings-saved")
	if status, out := c.DoRefresh(c.Refresh); status != 200 || out["expires_in"] != 3600.0 {
		t.Errorf("POST /token = %d, expires_in %v, want 3600", status, out["expires_in"])
	}

	// A key's name.
	b.run(chromedp.Navigate(a.origin+"/servers/"+e.Slug), click(`a[href*="/keys/"]`), chromedp.WaitVisible(chromedp.CSS(`#label`)))
	b.look("edit-key")
	b.run(chromedp.Clear(chromedp.CSS(`#label`)), keys(`#label`, up.Key()), click(`form button.p`), chromedp.WaitVisible(chromedp.CSS(`.field.wrong`)))
	b.look("edit-key-error")
	if strings.Contains(b.text(), up.Key()) || b.is(`document.getElementById("label").value !== ""`) {
		t.Error("the key that was typed as a name is on the page")
	}
	b.run(keys(`#label`, "Finance team"), click(`form button.p`))
	b.waitFor(shimtest.Notice("saved"))
	b.waitFor("Finance team")

	// Imported endpoints get the same address again.
	var file json.RawMessage
	a.api("GET", "/api/export", nil, &file)
	name := filepath.Join(t.TempDir(), "servers.json")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	a.api("DELETE", "/api/slugs/"+e.Slug, nil, nil)
	send := func(name string) {
		t.Helper()
		settings()
		b.run(chromedp.SetUploadFiles(chromedp.CSS(`#file`), []string{name}), click(`form[action="/settings/import"] button`))
	}
	other, err := filepath.Abs("dashboard_test.go")
	if err != nil {
		t.Fatal(err)
	}
	send(other)
	b.waitFor(catalogue.TextNotExported)
	b.look("import-error")
	send(name)
	b.waitFor(shimtest.Text("import.added"))
	b.look("import")
	b.run(click(`form button.p`))
	b.waitFor(shimtest.Notice("import"))
	b.look("imported")
	if got := endpointOf(t, a); got.Slug != e.Slug {
		t.Errorf("imported as %s, want %s", got.Slug, e.Slug)
	}
	send(name)
	b.waitFor(shimtest.Text("import.none"))
	b.look("import-nothing")

	// Deleting a key disconnects the app that uses it.
	c = oauthClient(t, a, "http://127.0.0.1:1/callback", e.Local)
	c.Connect(shimtest.NewBrowser(t, a.origin), up.Key())
	b.run(chromedp.Navigate(a.origin+"/servers/"+e.Slug), click(`a[href*="/keys/"]`), click(`a.danger-link`), chromedp.WaitVisible(chromedp.CSS(`form button.d`)))
	b.waitFor(shimtest.Text("keygone.app", display.Quote("Test client")))
	b.look("delete-key")
	b.run(click(`form button.d`))
	b.eventually("the key is deleted", func() bool { return b.location().Query().Get("done") == "keygone" })
	if n := len(a.grants()); n != 0 {
		t.Errorf("there are %d grants after their key was deleted", n)
	}

	settings()
	b.run(click(`a[href="/settings/delete"]`), chromedp.WaitVisible(chromedp.CSS(`#word`)))
	b.look("delete-everything")
	b.run(keys(`#word`, "yes"), click(`form button.d`), chromedp.WaitVisible(chromedp.CSS(`.field.wrong`)))
	b.look("delete-everything-error")
	b.run(keys(`#word`, "delete"), click(`form button.d`))
	b.waitFor(shimtest.TextDeletedTitle)
	b.look("deleted")
	ended := make(chan error, 1)
	go func() { ended <- a.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the program ended with %v", err)
		}
		a.cmd = nil
	case <-time.After(patience):
		t.Fatal("the program keeps running")
	}
	if _, err := os.Stat(a.dir); !os.IsNotExist(err) {
		t.Errorf("the data folder is still there: %v", err)
	}
	b.noPolicyStopped()
}
