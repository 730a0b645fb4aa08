package tray

import (
	"context"
	"errors"
	"log/slog"

	"github.com/key2oauth/key2oauth/tray/internal/panel"
)

// Reasons why Run returns before its context ends. The program should continue
// without a tray.
var (
	// ErrNoBus: on Linux an icon needs a D-Bus session bus, but there is none.
	ErrNoBus = panel.ErrNoBus

	// ErrBusGone: the bus has ended, maybe with the desktop.
	ErrBusGone = errors.New("the D-Bus session bus has ended")

	// ErrUnsupported: this build has no tray.
	ErrUnsupported = errors.New("this build of the program has no tray")
)

// A Config says what Run shows, and what handles clicks. States and Do are
// required.
type Config struct {
	// States delivers the state immediately, and again after every change.
	// Only the newest counts, and a sender never waits for drawing. It need
	// not be closed.
	States <-chan State

	// Do handles clicks, one after the other, on its own goroutine. It may
	// take its time. The context ends when Run does.
	Do func(context.Context, Action)

	// Host is called with whether the desktop shows tray icons, once that is
	// known and after every change. It may be nil. It must not block.
	Host func(shown bool)

	Log *slog.Logger // nil means slog.Default
}

func (c Config) log() *slog.Logger {
	if c.Log == nil {
		return slog.Default()
	}
	return c.Log
}

func (c Config) host(shown bool) {
	if c.Host != nil {
		c.Host(shown)
	}
}
