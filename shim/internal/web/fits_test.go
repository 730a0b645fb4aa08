package web

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// A box is where something is in the window, in pixels.
type box struct {
	Name             string
	Top, Left        float64
	Bottom, Right    float64
	Width, Height    float64
	ClientW, ClientH float64 // of the window
}

// TestAnswersFit: a person who is asked sees the whole question and both
// buttons without scrolling, on the smallest laptops too, in every state and
// with the longest names.
func TestAnswersFit(t *testing.T) {
	testenv.Slow(t)
	ctx := startBrowser(t)
	srv := serveStates(t)
	// What a reader has to see: the question, where the answer goes, and both
	// answers. A covered element counts as not seen.
	const measure = `JSON.stringify([...document.querySelectorAll("h1, .kv .to, #problem, input[name=confirmed], input[name=number], .key-part input, .two button, .skip-check button")].
		filter(e => e.offsetParent !== null).map(e => {
			const r = e.getBoundingClientRect();
			return {Name: e.tagName + " " + (e.name || e.className || e.id) + " " + (e.value || ""), Top: r.top, Left: r.left, Bottom: r.bottom, Right: r.right,
				Width: r.width, Height: r.height, ClientW: document.documentElement.clientWidth, ClientH: document.documentElement.clientHeight};
		}))`
	tall := map[string]float64{} // bottom of the buttons at 1280 x 800
	for _, s := range states() {
		_, consent := s.page.(Consent)
		_, number := s.page.(NumberPage)
		if !consent && !number || strings.HasSuffix(s.name, "-hostile") || strings.HasSuffix(s.name, "-endless") {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 800), chromedp.Navigate(srv.URL+"/"+s.name)); err != nil {
				t.Fatal(err)
			}
			for _, size := range [][2]int64{{1280, 800}, {1366, 625}} {
				if err := chromedp.Do(ctx, chromedp.EmulateViewport(size[0], size[1])); err != nil {
					t.Fatal(err)
				}
				if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`scrollTo(0, 0), true`)); err != nil {
					t.Fatal(err)
				}
				text, err := chromedp.Run(ctx, chromedp.Evaluate[string](measure))
				if err != nil {
					t.Fatal(err)
				}
				var all []box
				if err := json.Unmarshal([]byte(text), &all); err != nil {
					t.Fatal(err)
				}
				buttons := 0
				for _, b := range all {
					if strings.HasPrefix(b.Name, "BUTTON") {
						buttons++
						if size[1] == 800 {
							tall[s.name] = max(tall[s.name], b.Bottom)
						}
					}
					if b.Top < 0 || b.Left < 0 || b.Bottom > b.ClientH || b.Right > b.ClientW || b.Width == 0 || b.Height == 0 {
						t.Errorf("%dx%d: %s is at %.0f to %.0f of %.0f", size[0], size[1], b.Name, b.Top, b.Bottom, b.ClientH)
					}
				}
				if buttons < 2 {
					t.Errorf("%dx%d: %d buttons, want two answers at least", size[0], size[1], buttons)
				}
			}
		})
	}
	// The usual sign-in leaves room for three lines about access.
	if got := tall["consent-only"]; got > 400 {
		t.Errorf("the usual sign-in is %.0f pixels tall, want at most 400", got)
	}
	for name, bottom := range tall {
		t.Logf("%s: %.0f", name, bottom)
	}
}
