package panel

import (
	"context"
	"fmt"
	"sync"

	"github.com/godbus/dbus/v5"

	"github.com/key2oauth/key2oauth/tray/internal/sessionbus"
)

// watcher is the name of the desktop's service for icons. Without one, nothing
// shows icons.
const watcher = "org.kde.StatusNotifierWatcher"

// Follow reports whether the desktop shows icons, until ctx ends, and closes
// shown when it first does. If the bus ends, it calls gone. It has its own
// connection, because the systray package does not report the state of its.
func Follow(ctx context.Context, group *sync.WaitGroup, report func(bool), gone func()) (shown <-chan struct{}, err error) {
	conn, err := sessionbus.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoBus, err)
	}
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	var here bool
	err = conn.AddMatchSignalContext(ctx,
		dbus.WithMatchSender("org.freedesktop.DBus"),
		dbus.WithMatchInterface("org.freedesktop.DBus"),
		dbus.WithMatchMember("NameOwnerChanged"),
		dbus.WithMatchArg(0, watcher),
	)
	if err == nil { // after subscribing, to miss no change
		err = conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, watcher).Store(&here)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("%w: %w", ErrNoBus, err)
	}
	first := make(chan struct{})
	group.Go(func() {
		defer gone()
		defer conn.Close()
		for once := false; ; {
			report(here)
			if here && !once {
				once = true
				close(first)
			}
			for before := here; here == before; {
				sig, ok := <-signals // closed with the connection, which ctx ends
				if !ok || sig == nil {
					return
				}
				if len(sig.Body) == 3 && sig.Body[0] == watcher {
					here = sig.Body[2] != ""
				}
			}
		}
	})
	return first, nil
}

// EndLoop does nothing: here the systray package ends when asked to.
func EndLoop(context.Context) (stop func()) { return func() {} }
