// Package browser opens links in the browser of the desktop, where there is one.
package browser

import (
	"context"
	"os"
	"runtime"
	"time"
)

// Available reports whether there is a screen for a browser. A text browser in
// a remote shell would take over the terminal.
func Available() bool {
	switch runtime.GOOS {
	case "windows", "darwin":
		return true
	default:
		return os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
	}
}

// Open opens link. The opener may be the browser itself and run for
// hours, so one that has not failed soon is taken to have worked.
func Open(ctx context.Context, link string) error {
	done := make(chan error, 1)
	go func() { done <- openURL(link) }()
	select {
	case err := <-done:
		return err
	case <-time.After(3 * time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
