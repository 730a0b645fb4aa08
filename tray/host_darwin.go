package tray

import (
	"context"
	"log/slog"
	"sync"
)

// follow reports that the desktop shows icons, as it always does.
func follow(_ context.Context, _ *sync.WaitGroup, report func(bool), _ func()) (shown <-chan struct{}, err error) {
	first := make(chan struct{})
	close(first)
	report(true)
	return first, nil
}

// endLoop does nothing: here the systray package ends when asked to.
func endLoop(context.Context) (stop func()) { return func() {} }

// newPanelMenu leaves the menu to the systray package.
func newPanelMenu([]Item, func(Action), *slog.Logger) (panelMenu, error) { return nil, nil }
