package web

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// TestAccessible: axe-core finds nothing wrong with any page in any state, in
// light and in dark, on the narrowest screen and on a wide one.
func TestAccessible(t *testing.T) {
	testenv.Slow(t)
	axe := testenv.Axe(t, "../../../e2e")
	ctx := startBrowser(t)
	srv := serveStates(t)
	for _, s := range states() {
		for _, look := range []struct {
			scheme string
			width  int64
		}{{"light", 1280}, {"dark", 1280}, {"light", 320}, {"dark", 320}} {
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(look.width, 800), colorScheme(look.scheme), chromedp.Navigate(srv.URL+"/"+s.name)); err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
			// What is folded away has to be looked at too, and no page may go on to
			// another meanwhile.
			unfold := chromedp.Evaluate[bool](`stop(), document.querySelectorAll("details").forEach(d => d.open = true), document.querySelectorAll("[hidden]").forEach(e => e.hidden = false), true`)
			if _, err := chromedp.Run(ctx, unfold); err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
			wrong, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](axe, chromedp.EvalAwaitPromise))
			if err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
			for _, w := range wrong {
				t.Errorf("%s, %s, %d pixels wide: %s", s.name, look.scheme, look.width, w)
			}
		}
	}
}
