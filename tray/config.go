package tray

import (
	"context"
	"errors"
	"log/slog"
)

// Reasons why Run returns although its context has not ended. The program is
// to go on without a tray.
var (
	// ErrNoBus: on Linux an icon needs a D-Bus session bus, and there is none.
	ErrNoBus = errors.New("there is no D-Bus session bus, which a tray icon needs")

	// ErrBusGone: the bus, or the desktop with it, has ended.
	ErrBusGone = errors.New("the D-Bus session bus has ended")

	// ErrUnsupported: this build has no tray.
	ErrUnsupported = errors.New("this build of the program has no tray")
)

// A Config says what Run shows, and to whom it tells what was clicked. States
// and Do are required.
type Config struct {
	// States delivers the state at once, and again whenever it has changed.
	// The newest counts; a sender never waits for drawing. It need not be
	// closed.
	States <-chan State

	// Do is told of each click, one after the other, on a goroutine of its
	// own. It may take its time. The context ends when Run does.
	Do func(context.Context, Action)

	// Host hears whether the desktop shows tray icons, first when that is
	// known and then whenever it changes. If not nil it must not block.
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
