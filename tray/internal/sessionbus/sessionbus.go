//go:build linux

// Package sessionbus connects to the desktop's D-Bus session bus. Each caller
// gets its own connection: on a shared one, packages would take each other's
// signals.
package sessionbus

import (
	"context"
	"time"

	"github.com/godbus/dbus/v5"
)

// timeout is how long a bus may take to accept us.
const timeout = 5 * time.Second

// Connect returns a private connection, which ends with ctx. It never starts a
// bus: godbus would leave one behind.
func Connect(ctx context.Context) (*dbus.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(timeout, cancel)
	defer late.Stop()
	conn, err := dbus.SessionBusPrivateNoAutoStartup(dbus.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	if err = conn.Auth(nil); err == nil {
		err = conn.Hello()
	}
	if err != nil {
		cancel()
		conn.Close()
		return nil, err
	}
	return conn, nil
}
