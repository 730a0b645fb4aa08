package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// startBrowser starts a Chromium that stays off the network.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(testenv.Need(t, "chromium")),
		chromedp.NoSandbox, // Chromium refuses to run as root with it
		chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("hide-scrollbars", true),
	)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// serveStates serves every state under its name.
func serveStates(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	for _, s := range states() {
		mux.HandleFunc("GET /"+s.name, func(w http.ResponseWriter, r *http.Request) {
			Render(w, http.StatusOK, s.page)
		})
	}
	// The script of the one-time link posts at once; this answer leaves the page.
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

// TestScreenshots takes a picture of every page in every state, narrow and
// wide, light and dark, into the folder that K2O_SHOTS names. K2O_SHOTS_ONLY
// is the beginning of the states' names.
func TestScreenshots(t *testing.T) {
	dir := shotsDir(t)
	ctx := startBrowser(t)
	srv := serveStates(t)
	for _, s := range states() {
		if !strings.HasPrefix(s.name, os.Getenv("K2O_SHOTS_ONLY")) {
			continue
		}
		for _, width := range []int64{320, 1280} {
			for _, scheme := range []string{"light", "dark"} {
				err := chromedp.Do(ctx,
					chromedp.EmulateViewport(width, 800), colorScheme(scheme), chromedp.Navigate(srv.URL+"/"+s.name),
				)
				if err != nil {
					t.Fatalf("%s: %v", s.name, err)
				}
				if unfolded[s.name] {
					unfold := chromedp.Evaluate[bool](`document.querySelectorAll("details").forEach(function (d) { d.open = true; }) === undefined`)
					if _, err := chromedp.Run(ctx, unfold); err != nil {
						t.Fatal(err)
					}
				}
				png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatalf("%s: %v", s.name, err)
				}
				file := filepath.Join(dir, fmt.Sprintf("%s.%d.%s.png", s.name, width, scheme))
				if err := os.WriteFile(file, png, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// unfolded are the states whose pictures show what is folded away.
var unfolded = map[string]bool{"home-public": true, "home-first-where": true, "tunnel-zero": true, "check-ill": true, "check-hostile": true}

func colorScheme(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	})
}
