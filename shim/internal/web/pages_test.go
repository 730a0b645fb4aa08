package web

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// TestPages checks every page in every state, on the narrowest screen and on a
// wide one, in light and in dark. No page needs sideways scrolling (WCAG 2.2,
// 1.4.10), and axe-core finds nothing wrong.
//
// K2O_SHOTS names an existing folder for the pages and pictures of them.
// K2O_SHOTS_ONLY is a prefix of the names of the wanted states.
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
			do(t, `stop(), true`) // no page may move on to another meanwhile
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
			// Collapsed parts have to be checked too.
			do(t, unfold+`, document.querySelectorAll("[hidden]").forEach(e => e.hidden = false), true`)
			do(t, load)
			for _, l := range looks[:2] { // each width and each color scheme
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
