package e2e

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/display"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// A callback is a client's redirect listener.
type callback struct {
	URL     string
	addr    string
	arrived chan url.Values
}

// newCallback listens on a loopback port. If next is not empty, it redirects
// the browser there.
func newCallback(t testing.TB, tls bool, next string) *callback {
	t.Helper()
	c := &callback{arrived: make(chan url.Values, 10)}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/callback" {
			http.NotFound(w, r)
			return
		}
		c.arrived <- r.URL.Query()
		if next != "" {
			http.Redirect(w, r, next, http.StatusFound)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte("<!doctype html><title>Client</title><p>The client has its answer."))
	})
	srv := httptest.NewUnstartedServer(h)
	if tls {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	c.URL, c.addr = srv.URL+"/callback", srv.Listener.Addr().String()
	return c
}

// wait returns the parameters of the redirect.
func (c *callback) wait(t testing.TB) url.Values {
	t.Helper()
	select {
	case q := <-c.arrived:
		return q
	case <-time.After(patience):
		t.Fatal("the client was never answered")
		return nil
	}
}

// TestConsentInChromium drives the pages as a person sees them.
func TestConsentInChromium(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	up := shimtest.NewUpstream(t, shimtest.Options{})
	second := shimtest.NewUpstream(t, shimtest.Options{})

	t.Run("A19 wrong key then right key", func(t *testing.T) {
		a := startApp(t)
		e := a.addEndpoint("Linear", up.URL, "")
		cb := newCallback(t, false, "")
		b := newChromium(t)

		// The Go client opens the browser and waits at its own listener.
		c := newGoClient(t, a.http(), cb.URL, func(authorize string) url.Values {
			b.run(chromedp.Navigate(authorize))
			b.waitFor("Linear")
			b.shoot("consent")
			b.paste("wrong-key")
			b.run(chromedp.WaitVisible(problem))
			b.shoot("consent-wrong-key")
			if got := b.text(); strings.Contains(got, "wrong-key") {
				t.Error("the page shows the key that was pasted")
			}
			b.paste(up.Key())
			b.waitFor("The client has its answer")
			return cb.wait(t)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		s, err := mcp.NewClient(&mcp.Implementation{Name: "e2e", Version: "1"}, nil).Connect(ctx,
			&mcp.StreamableClientTransport{Endpoint: e.Local, OAuthHandler: c.handler}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		list, err := s.ListTools(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(list.Tools) != shimtest.Tools {
			t.Errorf("the client sees %d tools, want %d", len(list.Tools), shimtest.Tools)
		}
		b.noPolicyStopped()
	})

	t.Run("A14 deny", func(t *testing.T) {
		a := startApp(t)
		e := a.addEndpoint("Linear", up.URL, "")
		cb := newCallback(t, false, "")
		c := oauthClient(t, a, cb.URL, e.Local)
		b := newChromium(t)
		b.run(chromedp.Navigate(c.AuthorizeURL()), chromedp.Click(denyButton))
		q := cb.wait(t)
		if q.Get("error") != "access_denied" || q.Get("state") != c.State || q.Get("iss") != a.origin || q.Has("code") {
			t.Errorf("Deny answered error %q, state as sent: %v, iss %q, code: %v; want access_denied, true, %q, false",
				q.Get("error"), q.Get("state") == c.State, q.Get("iss"), q.Has("code"), a.origin)
		}
		if n := len(a.grants()); n != 0 {
			t.Errorf("Deny made %d grants", n)
		}
	})

	t.Run("A06 the owner picks an endpoint and a saved key", func(t *testing.T) {
		a := startApp(t)
		a.addEndpoint("Linear", up.URL, up.Key())
		want := a.addEndpoint("Notion", second.URL, second.Key())
		cb := newCallback(t, false, "")
		c := oauthClient(t, a, cb.URL, "") // names no resource

		b := newChromium(t)
		b.run(chromedp.Navigate(c.AuthorizeURL()))
		b.waitFor(shimtest.Text("owner.command"))
		b.shoot("consent-not-the-owner")

		b.signIn(a)
		b.shoot("home")
		b.run(chromedp.Navigate(c.AuthorizeURL()))
		b.shoot("consent-picker")
		b.run(
			chromedp.Click(chromedp.CSS(`input[name=slug][value="`+want.Slug+`"]`)),
			chromedp.Click(chromedp.CSS(`.option:has(input[name=slug][value="`+want.Slug+`"]) input[name=credential]`)),
		)
		b.approve()
		redeem(t, c, cb.wait(t))
		if g := a.grants(); len(g) != 1 || g[0].Slug != want.Slug {
			t.Errorf("the grants are %+v, want one for %s", g, want.Slug)
		}
		b.noPolicyStopped()
	})

	t.Run("A18 a saved key is the owner's alone", func(t *testing.T) {
		a := startApp(t)
		e := a.addEndpoint("Linear", up.URL, up.Key())
		cb := newCallback(t, false, "")
		c := oauthClient(t, a, cb.URL, e.Local)

		stranger := newChromium(t)
		stranger.run(chromedp.Navigate(c.AuthorizeURL()), chromedp.WaitVisible(keyField))
		if saved := value(stranger, chromedp.Evaluate[int](`document.querySelectorAll("input[name=credential]").length`)); saved != 0 {
			t.Errorf("a browser that is not the owner's is offered %d saved keys", saved)
		}

		b := newChromium(t)
		b.signIn(a)
		b.run(chromedp.Navigate(c.AuthorizeURL()), chromedp.WaitVisible(chromedp.CSS(`input[name=credential]`)))
		b.shoot("consent-saved-key")
		if n := value(b, chromedp.Evaluate[int](`document.querySelectorAll("input[name=credential]:not([value=new]):checked").length`)); n != 1 {
			t.Errorf("%d saved keys are chosen, want the only one", n)
		}
		b.approve() // one click
		redeem(t, c, cb.wait(t))
	})

	t.Run("without JavaScript", func(t *testing.T) {
		a := startApp(t)
		e := a.addEndpoint("Linear", up.URL, "")
		cb := newCallback(t, false, "")
		c := oauthClient(t, a, cb.URL, e.Local)
		b := newChromium(t)
		b.run(command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), chromedp.Navigate(a.ownerLink()))
		b.shoot("open-link-without-javascript")
		b.run(chromedp.Click(chromedp.CSS(`form button`)))
		b.eventually("the home page is open", func() bool { return b.location().Path == "/" })
		b.run(chromedp.Navigate(c.AuthorizeURL()))
		b.shoot("consent-without-javascript")
		b.paste("wrong-key")
		b.run(chromedp.WaitVisible(problem))
		b.paste(up.Key())
		redeem(t, c, cb.wait(t))
	})
}

// oauthClient registers a client that speaks OAuth by hand.
func oauthClient(t testing.TB, a *app, redirect, resource string) *shimtest.OAuthClient {
	t.Helper()
	via := fresh
	if a.world != nil {
		via = a.http()
	}
	c := shimtest.NewOAuthClientVia(t, via, a.issuer(), redirect)
	c.Resource = resource
	return c
}

// redeem exchanges the code that arrived at a callback.
func redeem(t testing.TB, c *shimtest.OAuthClient, q url.Values) {
	t.Helper()
	if status, body := c.Redeem(c.CodeFrom("/callback?" + q.Encode())); status != http.StatusOK {
		t.Errorf("POST /token = %d %v, want 200", status, body)
	}
}

// TestA13RedirectsInChromium checks that Approve reaches the client. Chromium
// applies a form-action policy to every hop after the form, the client's own
// redirects included.
func TestA13RedirectsInChromium(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	up := shimtest.NewUpstream(t, shimtest.Options{})
	a := startApp(t)
	e := a.addEndpoint("Linear", up.URL, "")

	t.Run("A13 loopback port", func(t *testing.T) {
		cb := newCallback(t, false, "")
		c := oauthClient(t, a, cb.URL, e.Local)
		b := newChromium(t)
		b.run(chromedp.Navigate(c.AuthorizeURL()))
		b.paste(up.Key())
		redeem(t, c, cb.wait(t))
		b.waitFor("The client has its answer")
		b.noPolicyStopped()
	})

	t.Run("A13 https and on to another host", func(t *testing.T) {
		other := newCallback(t, true, "")
		cb := newCallback(t, true, "https://other.example/callback?step=2")
		c := oauthClient(t, a, "https://client.example/callback", e.Local)
		b := newChromium(t, "client.example="+cb.addr, "other.example="+other.addr)
		b.run(chromedp.Navigate(c.AuthorizeURL()))
		b.shoot("consent-unknown-redirect")
		b.paste(up.Key())
		redeem(t, c, cb.wait(t))
		if q := other.wait(t); q.Get("step") != "2" {
			t.Errorf("the other host was asked for %q", q)
		}
		b.waitFor("The client has its answer")
		b.noPolicyStopped()
	})

	t.Run("A13 https and on to a custom scheme", func(t *testing.T) {
		cb := newCallback(t, true, "claude://oauth/done")
		c := oauthClient(t, a, "https://client.example/callback", e.Local)
		b := newChromium(t, "client.example="+cb.addr)
		b.run(chromedp.Navigate(c.AuthorizeURL()))
		b.paste(up.Key())
		redeem(t, c, cb.wait(t))
		// No program handles this scheme here. Chromium looked for one, which shows
		// that no policy blocked the redirect.
		b.eventually("the custom scheme was tried", func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, f := range b.failures {
				if strings.Contains(f, "ERR_UNKNOWN_URL_SCHEME") || strings.Contains(f, "ERR_ABORTED") {
					return true
				}
			}
			return false
		})
		b.noPolicyStopped()
	})

	t.Run("A13 Return to Cursor", func(t *testing.T) {
		const redirect = "cursor://anysphere.cursor-mcp/oauth/callback"
		c := oauthClient(t, a, redirect, e.Local)
		status, body := c.PostJSON("/register", map[string]any{
			"client_name": "Cursor", "token_endpoint_auth_method": "none", "application_type": "web",
			"redirect_uris": []string{redirect, "https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback"},
		})
		if status != http.StatusCreated {
			t.Fatalf("POST /register = %d %v", status, body)
		}
		c.ID, _ = body["client_id"].(string)
		b := newChromium(t)
		b.run(chromedp.Navigate(c.AuthorizeURL()))
		b.shoot("consent-cursor")
		b.paste(up.Key())
		b.waitFor(shimtest.Text("return.button", display.Quote("Cursor")))
		b.shoot("return-to-cursor")
		link := value(b, chromedp.AttributeValue(chromedp.CSS(`a[href^="cursor:"]`), "href"))
		u, err := url.Parse(link.Value)
		if err != nil {
			t.Fatal(err)
		}
		redeem(t, c, u.Query())
		b.noPolicyStopped()
	})
}
