//go:build linux

package traytest

import (
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

const watcherName = "org.kde.StatusNotifierWatcher"

// A Watcher stands in for a panel that shows icons.
type Watcher struct {
	conn  *dbus.Conn
	icons chan *Icon
}

// StartWatcher starts a panel. It ends with the test, or by Stop.
func (b *Bus) StartWatcher(t testing.TB) *Watcher {
	t.Helper()
	w := &Watcher{conn: b.Connect(t), icons: make(chan *Icon, 16)}
	if err := w.conn.Export(registrar{w}, "/StatusNotifierWatcher", watcherName); err != nil {
		t.Fatal(err)
	}
	r, err := w.conn.RequestName(watcherName, dbus.NameFlagDoNotQueue)
	if err != nil || r != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("the watcher's name: %v %v", r, err)
	}
	return w
}

// Stop ends the panel, like a crash.
func (w *Watcher) Stop() { w.conn.Close() }

type registrar struct{ w *Watcher }

// RegisterStatusNotifierItem is called by programs, with a bus name or an
// object path.
func (r registrar) RegisterStatusNotifierItem(service string, sender dbus.Sender) *dbus.Error {
	i := &Icon{conn: r.w.conn, dest: service, path: "/StatusNotifierItem"}
	if strings.HasPrefix(service, "/") {
		i.dest, i.path = string(sender), dbus.ObjectPath(service)
	}
	select {
	case r.w.icons <- i:
	default:
	}
	return nil
}

// Icon waits for the next icon that registers.
func (w *Watcher) Icon(t testing.TB) *Icon {
	t.Helper()
	select {
	case i := <-w.icons:
		return i
	case <-time.After(patience):
		t.Fatal("no tray icon was registered")
		return nil
	}
}

// None fails t if an icon registers within d.
func (w *Watcher) None(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case i := <-w.icons:
		t.Errorf("%s registered an icon", i.dest)
	case <-time.After(d):
	}
}
