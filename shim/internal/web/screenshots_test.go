package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// startBrowser starts a Chromium that never uses the network.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(testenv.Need(t, "chromium")),
		chromedp.NoSandbox, // Chromium refuses to run as root with its sandbox
		chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("hide-scrollbars", true),
	)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
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
			testBar(s.page).Render(w, http.StatusOK, s.page)
		})
	}
	// The one-time link's script posts at once; this answer keeps the page
	// open.
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

// A look is a way to view a page: its size and color scheme.
type look struct {
	width  int64
	scheme string
}

var looks = []look{{1280, "light"}, {320, "dark"}, {320, "light"}, {1280, "dark"}}

func (l look) String() string { return fmt.Sprintf("%d.%s", l.width, l.scheme) }

// at makes the browser show its page with that look.
func (l look) at(ctx context.Context) error {
	return chromedp.Do(ctx, chromedp.EmulateViewport(l.width, 800), colorScheme(l.scheme))
}

// takePicture writes what the browser shows into the folder dir.
func takePicture(ctx context.Context, dir, name string) error {
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
}

// unfolded lists the states with pictures that show collapsed parts.
var unfolded = map[string]bool{"home-public": true, "home-first-where": true, "tunnel-zero": true, "check-ill": true, "check-hostile": true}

func colorScheme(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	})
}
