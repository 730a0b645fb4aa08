package desktop

import (
	"context"
	"testing"
	"time"
)

// TestLoginIsQuiet checks that no window opens at login: greet returns at once
// and asks nothing.
func TestLoginIsQuiet(t *testing.T) {
	t.Setenv("DISPLAY", ":99")
	d := New(Config{AtLogin: true}) // has no shim, so any question would panic
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	d.greet(ctx)
}
