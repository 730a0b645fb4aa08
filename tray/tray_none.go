//go:build darwin && !cgo

package tray

import "context"

// Run returns ErrUnsupported: on macOS the tray needs cgo.
func Run(context.Context, Config) error { return ErrUnsupported }
