package e2e

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// A person clicks what a person would, and counts the clicks in Key2OAuth.
// Typing and pasting are no clicks.
type person struct {
	*chromium
	clicks []string
}

// click clicks what a page of Key2OAuth shows.
func (p *person) click(in *chromium, what, selector string) {
	p.t.Helper()
	in.run(chromedp.WaitVisible(chromedp.CSS(selector)), click(selector))
	p.clicks = append(p.clicks, what)
}

// has reports whether the page shows something.
func (p *person) has(selector string) bool {
	p.t.Helper()
	return p.is(`[...document.querySelectorAll("` + selector + `")].some(e => e.offsetParent !== null)`)
}

// addServer adds the first server.
func (p *person) addServer(up *shimtest.Upstream) {
	p.t.Helper()
	p.whole()
	if !p.has("#upstream_url") {
		p.click(p.chromium, "Add server", `a[href='/servers/add'], a[href='#add']`)
	}
	p.run(keys(`#upstream_url`, up.URL), keys(`#api_key`, up.Key()))
	p.click(p.chromium, "Add", `form[action='/servers'] button.p`)
	p.eventually("the server is added", func() bool { return strings.HasPrefix(p.location().Path, "/servers/") })
}

// openApp opens the steps of an app.
func (p *person) openApp(id string) {
	p.t.Helper()
	p.whole()
	if !p.has(".apps a") {
		p.click(p.chromium, "Connect an app", `a[href$='/connect']`)
	}
	p.click(p.chromium, "the tile", `.apps a[href$='/connect/`+id+`']`)
	p.eventually("the steps are open", func() bool { return strings.HasSuffix(p.location().Path, "/connect/"+id) })
	p.whole()
}

// whole waits until the page has been read: its address changes before.
func (p *person) whole() {
	p.t.Helper()
	p.eventually("the page is whole", func() bool { return p.is(`document.readyState === "complete"`) })
}

// state is what the page says about the app.
func (p *person) state() string {
	p.t.Helper()
	return value(p.chromium, chromedp.Evaluate[string](`(document.querySelector("[data-part=wait]") || document.body).dataset.state || ""`))
}

// waitState waits until the page says something about the app, without being
// loaded again.
func (p *person) waitState(want string) {
	p.t.Helper()
	p.live("the page says "+want, `(document.querySelector("[data-part=wait]") || document.body).dataset.state === "`+want+`"`)
}

// approveIn answers the request that a tab shows.
func (p *person) approveIn(tab *chromium) {
	p.t.Helper()
	tab.eventually("the request is shown", func() bool {
		return tab.is(`!!document.querySelector("button[value=approve]:not([aria-disabled=true])")`)
	})
	if tab.is(`!document.querySelector("input[name=credential]:checked") && !!document.querySelector("input[name=credential]")`) {
		p.click(tab, "the saved key", `input[name=credential]:not([value=new])`)
	}
	p.click(tab, "Approve", `button[value=approve]:not([aria-disabled=true])`)
}

// atMost fails the test if there were more clicks.
func (p *person) atMost(n int) {
	p.t.Helper()
	p.t.Logf("%d clicks: %s", len(p.clicks), strings.Join(p.clicks, ", "))
	if len(p.clicks) > n {
		p.t.Errorf("it took %d clicks, want at most %d", len(p.clicks), n)
	}
}

// byKeyboard goes from the tiles to something to copy without a pointer.
func (p *person) byKeyboard() {
	p.t.Helper()
	tiles := strings.TrimSuffix(p.location().Path, "/claude-code")
	p.run(chromedp.Navigate("http://" + p.location().Host + tiles))
	p.tabTo(`.apps a[href$='/connect/windsurf']`)
	p.run(chromedp.KeyEvent(kb.Enter))
	p.eventually("Enter opens the steps", func() bool { return strings.HasSuffix(p.location().Path, "/connect/windsurf") })
	p.tabTo(`.guide [data-copy]`)
	p.tabTo(`.guide .hand summary`)
	p.run(chromedp.KeyEvent(kb.Enter))
	p.eventually("Enter opens the other way", func() bool { return p.is(`document.querySelector(".guide .hand").open`) })
}

// sayNothingCame opens a page that has waited for almost two minutes. It says
// that nothing came once they are over, and leaves open what was opened.
func (p *person) sayNothingCame(a *app, e endpointInfo) {
	p.t.Helper()
	since := strconv.FormatInt(time.Now().Add(-100*time.Second).Unix(), 10)
	p.run(chromedp.Navigate(a.origin + "/servers/" + e.Slug + "/connect/windsurf?since=" + since))
	p.run(click(`.guide .hand summary`))
	if got := p.state(); got != "still" {
		p.t.Errorf("before two minutes are over, the page says %q", got)
	}
	p.mark()
	p.waitState("nothing")
	if !p.is(`document.querySelector(".guide .hand").open`) {
		p.t.Error("what was opened is closed")
	}
	p.look("connect-nothing")
}

// useAs connects a client as the app that was given an address. browse stands
// in for the browser that the app opens.
func useAs(t *testing.T, via *http.Client, address, redirect string, browse func(authorize string) url.Values) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := newGoClient(t, via, redirect, browse)
	s, err := mcp.NewClient(&mcp.Implementation{Name: "e2e", Version: "1"}, nil).Connect(ctx,
		&mcp.StreamableClientTransport{Endpoint: address, HTTPClient: via, OAuthHandler: c.handler}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if _, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{"text": "x"}}); err != nil {
		t.Fatal(err)
	}
}

// TestClicksToConnect counts the clicks from an empty Key2OAuth to a connected
// app. The page of the app shows how far it is, and is never loaded again.
func TestClicksToConnect(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()

	t.Run("an app on this computer", func(t *testing.T) {
		up := shimtest.NewUpstream(t, shimtest.Options{})
		a := startApp(t)
		p := &person{chromium: newChromium(t)}
		p.signIn(a)
		p.addServer(up)
		p.openApp("claude-code")
		if got := p.state(); got != "still" {
			t.Errorf("before the app came, the page says %q", got)
		}
		p.look("connect-waiting")
		p.click(p.chromium, "Copy", `.guide [data-copy]`)
		command := value(p.chromium, chromedp.Evaluate[string](`document.querySelector(".guide [data-copy]").dataset.copy`))
		first, _, _ := strings.Cut(command, "\n")
		words := strings.Fields(first)
		address := words[len(words)-1]
		if !strings.HasPrefix(address, a.origin+"/") {
			t.Fatalf("the command is %q, want one with the local address", command)
		}
		p.mark()
		cb := newCallback(t, false, "")
		useAs(t, fresh, address, cb.URL, func(authorize string) url.Values {
			tab := p.openTab(t)
			tab.run(chromedp.Navigate(authorize))
			p.waitState("going")
			p.approveIn(tab)
			return cb.wait(t)
		})
		p.waitState("works")
		p.look("connect-works")
		p.atMost(4)
		p.noPolicyStopped()
		p.byKeyboard()
		p.sayNothingCame(a, a.addEndpoint("Quiet", up.URL, up.Key()))
	})

	t.Run("an app in the cloud, by an own tunnel", func(t *testing.T) {
		up := shimtest.NewUpstream(t, shimtest.Options{})
		o := newOwnTunnel(t)
		a := startExe(t, built(t, buildForTests), "KEY2OAUTH_TEST_EDGE="+o.at, "KEY2OAUTH_TEST_EDGE_CA="+o.ca, "KEY2OAUTH_PUBLIC_ADDR="+o.addr)
		a.world = o.world
		opened := make(chan url.Values, 1)
		site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/customize/connectors" {
				opened <- r.URL.Query()
			}
			w.Header().Set("Content-Type", "text/html")
			w.Write([]byte(`<!doctype html><title>Connectors</title>`))
		}))
		t.Cleanup(func() { site.CloseClientConnections(); site.Close() })
		p := &person{chromium: newChromium(t, "claude.ai="+site.Listener.Addr().String(), "example.com="+o.at)}
		p.signIn(a)
		p.addServer(up)
		p.openApp("claude")
		p.look("connect-first")
		p.click(p.chromium, "Set up Internet", `.guide a.btn.p`)
		p.eventually("Internet is open", func() bool { return p.location().Path == "/tunnel" })
		p.whole()
		if !p.has("#public_url") {
			p.click(p.chromium, "your own tunnel", `[data-way=external]`)
		}
		p.run(keys(`#public_url`, externalOrigin))
		p.click(p.chromium, "Save", `form[action='/tunnel/external'] .btn[data-busy]`)
		p.click(p.chromium, "Continue", `a[href$='/connect/claude']`)
		p.eventually("the steps are open", func() bool { return strings.HasSuffix(p.location().Path, "/connect/claude") && p.state() == "still" })
		p.look("connect-claude")
		p.mark()
		p.click(p.chromium, "Add to Claude", `.guide a.btn.p`)
		var address string
		select {
		case q := <-opened:
			address = q.Get("connectorUrl")
		case <-time.After(patience):
			t.Fatal("claude.ai was never opened")
		}
		if !strings.HasPrefix(address, externalOrigin+"/") {
			t.Fatalf("claude.ai is given %q, want the public address", address)
		}
		cb := newCallback(t, false, "")
		useAs(t, o.client(false), address, cb.URL, func(authorize string) url.Values {
			tab := p.openTab(t)
			tab.run(chromedp.Navigate(authorize))
			tab.eventually("the request is here, or asks whether this computer is the one", func() bool {
				return tab.is(`!!document.querySelector("a[href^='http://127.0.0.1']") || location.hostname === "127.0.0.1"`)
			})
			if tab.location().Hostname() != "127.0.0.1" {
				p.click(tab, "Continue on this computer", `a[href^='http://127.0.0.1']`)
			}
			p.approveIn(tab)
			return cb.wait(t)
		})
		p.waitState("works")
		p.atMost(8)
		p.noPolicyStopped()
	})
}
