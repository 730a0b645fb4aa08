// Package panel knows whether this desktop has a place that shows icons: a
// panel, a taskbar or a menu bar. What is drawn there is package tray's.
package panel

import "errors"

// ErrNoBus is documented as tray.ErrNoBus.
var ErrNoBus = errors.New("there is no D-Bus session bus, which a tray icon needs")
