package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// TestNarrow: at 320 px no page needs to be scrolled sideways (WCAG 2.2,
// 1.4.10), and the browser finds nothing to complain about in any.
func TestNarrow(t *testing.T) {
	testenv.Slow(t)
	ctx := startBrowser(t)
	srv := serveStates(t)
	for _, s := range states() {
		err := chromedp.Do(ctx, chromedp.EmulateViewport(320, 800), chromedp.Navigate(srv.URL+"/"+s.name))
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		width, err := chromedp.Run(ctx, chromedp.Evaluate[float64]("document.documentElement.scrollWidth"))
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if width > 320 {
			t.Errorf("%s: got %v px wide, want 320", s.name, width)
		}
	}
}

// TestScript drives what JavaScript adds to the pages.
func TestScript(t *testing.T) {
	testenv.Slow(t)
	ctx := startBrowser(t)
	posted := make(chan string, 10)
	srv := serveForms(t, posted)

	do := func(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		limited, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if err := chromedp.Do(limited, actions...); err != nil {
			t.Fatal(err)
		}
	}
	is := func(t *testing.T, expression string, want bool) {
		t.Helper()
		got, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s: got %v, want %v", expression, got, want)
		}
	}
	const shown = `document.getElementById("api_key").offsetParent !== null`

	t.Run("show and hide", func(t *testing.T) {
		do(t, chromedp.Navigate(srv.URL+"/consent-loopback"), chromedp.SendKeys(chromedp.CSS("#api_key"), "sk-1"))
		is(t, `getComputedStyle(document.getElementById("api_key")).webkitTextSecurity === "disc"`, true)
		do(t, chromedp.Click(chromedp.CSS("[data-reveal]")))
		is(t, `getComputedStyle(document.getElementById("api_key")).webkitTextSecurity === "none"`, true)
		is(t, `document.querySelector("[data-reveal]").getAttribute("aria-pressed") === "true"`, true)
	})
	t.Run("another key", func(t *testing.T) {
		do(t, chromedp.Navigate(srv.URL+"/consent-known"))
		is(t, shown, false)
		do(t, chromedp.Click(chromedp.CSS(`input[name=credential][value=new]`)))
		is(t, shown, true)
		do(t, chromedp.Click(chromedp.CSS(`input[name=credential][value=c1]`)))
		is(t, shown, false)
	})
	t.Run("pick", func(t *testing.T) {
		do(t, chromedp.Navigate(srv.URL+"/consent-pick"))
		is(t, shown, false)
		do(t, chromedp.Click(chromedp.CSS(`input[value=p0d8s6f4h2jk]`))) // it has no saved key
		is(t, shown, true)
		do(t, chromedp.Click(chromedp.CSS(`input[value=k3v9x2m7q4ab]`)))
		is(t, shown, false)
		do(t, chromedp.Click(chromedp.CSS(`input[value=c1]`)), chromedp.Click(chromedp.CSS(`input[value=z1x2c3v4b5n6]`)))
		is(t, `document.querySelector("input[value=c1]").checked`, false)
	})
	t.Run("approval waits a moment", func(t *testing.T) {
		do(t, chromedp.Navigate(srv.URL+"/consent-loopback"), chromedp.SendKeys(chromedp.CSS("#api_key"), "sk-1"))
		is(t, `dispatchEvent(new Event("focus")); document.querySelector("[value=approve]").click(); document.querySelector("[aria-disabled]") !== null`, true)
		select {
		case got := <-posted:
			t.Errorf("got a post at once: %s", got)
		case <-time.After(300 * time.Millisecond):
		}
		do(t, chromedp.WaitVisible(chromedp.CSS(`button[value=approve]:not([aria-disabled])`)), chromedp.Click(chromedp.CSS(`button[value=approve]`)))
		wantPost(t, posted, "action=approve", "api_key=sk-1", "form_token="+token)
	})
	t.Run("deny does not wait", func(t *testing.T) {
		do(t, chromedp.Navigate(srv.URL+"/consent-loopback"), chromedp.Click(chromedp.CSS(`button[value=deny]`)))
		wantPost(t, posted, "action=deny")
	})
	t.Run("Enter adds the server", func(t *testing.T) {
		do(t, chromedp.Navigate(srv.URL+"/home-empty"), chromedp.SendKeys(chromedp.CSS("#upstream_url"), "https://a.example/mcp\r"))
		got := wantPost(t, posted, "upstream_url=https", "form_token="+token)
		if strings.Contains(got, "fill=") {
			t.Errorf("got %s, want no other button's name", got)
		}
	})
	t.Run("the one-time link is posted", func(t *testing.T) {
		// Navigate would wait for the end of a page that leaves at once.
		is(t, `location.href = "/open"; true`, true)
		wantPost(t, posted, "ticket=ticket1")
	})
}

// serveForms serves the states and hands on what their forms post.
func serveForms(t *testing.T, posted chan<- string) *httptest.Server {
	t.Helper()
	pages := serveStates(t).Config.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			pages.ServeHTTP(w, r)
			return
		}
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		posted <- r.PostForm.Encode()
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(srv.Close)
	return srv
}

func wantPost(t *testing.T, posted <-chan string, want ...string) string {
	t.Helper()
	select {
	case got := <-posted:
		for _, s := range want {
			if !strings.Contains(got, s) {
				t.Errorf("got %s, want %s in it", got, s)
			}
		}
		return got
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was posted")
		return ""
	}
}
