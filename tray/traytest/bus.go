//go:build linux

// Package traytest looks at a tray icon as a desktop does. It starts a private
// D-Bus session bus, stands in for the panel's StatusNotifierWatcher, and
// reads and clicks menus over com.canonical.dbusmenu, without a display. For
// screenshots it starts a real desktop, with a real panel and a real
// notification daemon, on a virtual display.
package traytest

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// A Bus is a private session bus. It ends with its test.
type Bus struct {
	Address string

	env    []string // environment of programs on the bus
	daemon *exec.Cmd
}

// StartBus starts a bus. It skips t if there is no dbus-daemon.
func StartBus(t testing.TB) *Bus {
	t.Helper()
	dir := testenv.ShortDir(t)
	b := &Bus{env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_RUNTIME_DIR=" + dir}}
	b.Address, b.daemon = testenv.StartBus(t, dir, b.env)
	b.env = append(b.env, busVariable+"="+b.Address)
	return b
}

const busVariable = "DBUS_SESSION_BUS_ADDRESS"

// Join returns the bus of a running session, for example one with a keychain.
// env is the environment of the session's programs.
func Join(env []string) *Bus {
	b := &Bus{env: slices.Clone(env)}
	b.Address = b.Getenv(busVariable)
	return b
}

// Getenv returns a variable in the environment of a program on the bus.
func (b *Bus) Getenv(name string) (value string) {
	for _, pair := range b.env {
		if n, v, _ := strings.Cut(pair, "="); n == name {
			value = v
		}
	}
	return value
}

// ConfigDir returns where programs on the bus keep their settings.
func (b *Bus) ConfigDir() string {
	return cmp.Or(b.Getenv("XDG_CONFIG_HOME"), filepath.Join(b.Getenv("HOME"), ".config"))
}

// Stop ends the bus, like the end of a session.
func (b *Bus) Stop() { testenv.End(b.daemon) }

// Env returns the environment of a program on the bus, without the test's own
// session or a display.
func (b *Bus) Env() []string { return slices.Clone(b.env) }

// Connect returns a connection that ends with the test.
func (b *Bus) Connect(t testing.TB) *dbus.Conn {
	t.Helper()
	c, err := dbus.Connect(b.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

const patience = testenv.Patience

// Wait waits until ok returns true, and fails t with its last text if it never
// does.
func Wait(t testing.TB, what string, ok func() (bool, string)) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		done, last := ok()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s\n%s", what, last)
		}
	}
}
