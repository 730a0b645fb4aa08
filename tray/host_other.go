//go:build !linux

package tray

import "log/slog"

// newPanelMenu leaves the menu to the systray package.
func newPanelMenu([]Item, func(Action), *slog.Logger) (panelMenu, error) { return nil, nil }
