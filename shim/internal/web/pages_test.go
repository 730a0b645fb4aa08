package web

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// TestPages looks at every page in every state, on the narrowest screen and on
// a wide one, in light and in dark. None needs to be scrolled sideways (WCAG
// 2.2, 1.4.10), and axe-core finds nothing wrong with any.
//
// K2O_SHOTS names a folder that is there, for the pages and pictures of them;
// K2O_SHOTS_ONLY is the beginning of the states' names.
func TestPages(t *testing.T) {
	testenv.Slow(t)
	load, axe := testenv.Axe(t, "../../../e2e")
	ctx := startBrowser(t)
	srv := serveStates(t)
	const unfold = `document.querySelectorAll("details").forEach(d => d.open = true), true`
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do := func(t *testing.T, script string) {
		t.Helper()
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script))
		must(t, err)
	}
	for _, s := range states() {
		if !strings.HasPrefix(s.name, os.Getenv("K2O_SHOTS_ONLY")) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			must(t, looks[0].at(ctx))
			must(t, chromedp.Do(ctx, chromedp.Navigate(srv.URL+"/"+s.name)))
			do(t, `stop(), true`) // no page may go on to another meanwhile
			for _, l := range looks {
				must(t, l.at(ctx))
				width, err := chromedp.Run(ctx, chromedp.Evaluate[int64]("document.documentElement.scrollWidth"))
				must(t, err)
				if width > l.width {
					t.Errorf("%v: it is %d pixels wide", l, width)
				}
			}
			if dir := os.Getenv("K2O_SHOTS"); dir != "" {
				must(t, os.WriteFile(filepath.Join(dir, s.name+".html"), render(s.page).Body.Bytes(), 0o644))
				if unfolded[s.name] {
					do(t, unfold)
				}
				for _, l := range looks {
					must(t, l.at(ctx))
					must(t, takePicture(ctx, dir, s.name+"."+l.String()))
				}
			}
			// What is folded away has to be looked at too.
			do(t, unfold+`, document.querySelectorAll("[hidden]").forEach(e => e.hidden = false), true`)
			do(t, load)
			for _, l := range looks[:2] { // each width and each scheme
				must(t, l.at(ctx))
				wrong, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](axe, chromedp.EvalAwaitPromise))
				must(t, err)
				for _, w := range wrong {
					t.Errorf("%v: %s", l, w)
				}
			}
		})
	}
}
