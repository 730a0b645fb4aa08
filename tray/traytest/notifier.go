//go:build linux

package traytest

import (
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

const notifications = "org.freedesktop.Notifications"

// A Notifier stands in for a notification daemon. It remembers its
// notifications, and the test clicks them.
type Notifier struct {
	conn *dbus.Conn
	told chan Note

	mu    sync.Mutex
	hangs chan struct{} // calls wait until it is closed
	last  uint32
	open  map[uint32]Note
}

// A Note is a notification as the daemon receives it.
type Note struct {
	ID, Replaces  uint32
	App, Icon     string
	Summary, Body string
	Actions       []string // key, label, key, label...
	Expires       int32    // milliseconds; 0 is never, -1 the daemon's choice
}

// StartNotifier starts a daemon with the given capabilities. It ends with the
// test, or by Stop.
func (b *Bus) StartNotifier(t testing.TB, capabilities ...string) *Notifier {
	t.Helper()
	n := &Notifier{conn: b.Connect(t), told: make(chan Note, 100), open: make(map[uint32]Note)}
	if err := n.conn.Export(daemon{n, capabilities}, "/org/freedesktop/Notifications", notifications); err != nil {
		t.Fatal(err)
	}
	r, err := n.conn.RequestName(notifications, dbus.NameFlagDoNotQueue)
	if err != nil || r != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("the daemon's name: %v %v", r, err)
	}
	return n
}

// Stop ends the daemon, like a crash.
func (n *Notifier) Stop() { n.conn.Close() }

// Hang makes the daemon stop answering, until resume is called.
func (n *Notifier) Hang() (resume func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	hangs := make(chan struct{})
	n.hangs = hangs
	return func() { close(hangs) }
}

func (n *Notifier) wait() {
	n.mu.Lock()
	hangs := n.hangs
	n.mu.Unlock()
	if hangs != nil {
		<-hangs
	}
}

// Next waits for the next notification.
func (n *Notifier) Next(t testing.TB) Note {
	t.Helper()
	select {
	case note := <-n.told:
		return note
	case <-time.After(patience):
		t.Fatal("no notification came")
		return Note{}
	}
}

// None fails t if a notification comes within d.
func (n *Notifier) None(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case note := <-n.told:
		t.Errorf("a notification came that should not: %q", note.Summary)
	case <-time.After(d):
	}
}

// Open counts the notifications on the screen.
func (n *Notifier) Open() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.open)
}

// Click clicks a notification, or one of its buttons.
func (n *Notifier) Click(t testing.TB, id uint32, action string) {
	t.Helper()
	if err := n.conn.Emit("/org/freedesktop/Notifications", notifications+".ActionInvoked", id, action); err != nil {
		t.Fatal(err)
	}
}

// Dismiss removes a notification, as its reader does.
func (n *Notifier) Dismiss(t testing.TB, id uint32) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.open[id]; !ok {
		t.Fatalf("there is no notification %d", id)
	}
	delete(n.open, id)
}

type daemon struct {
	n            *Notifier
	capabilities []string
}

// GetCapabilities returns what the daemon can do.
func (d daemon) GetCapabilities() ([]string, *dbus.Error) {
	d.n.wait()
	return append([]string{}, d.capabilities...), nil
}

// Notify shows a notification.
func (d daemon) Notify(app string, replaces uint32, icon, summary, body string, actions []string, _ map[string]dbus.Variant, expires int32) (uint32, *dbus.Error) {
	d.n.wait()
	d.n.mu.Lock()
	defer d.n.mu.Unlock()
	id := replaces
	if id == 0 {
		d.n.last++
		id = d.n.last
	}
	note := Note{id, replaces, app, icon, summary, body, actions, expires}
	d.n.open[id] = note
	d.n.told <- note
	return id, nil
}

// CloseNotification removes a notification.
func (d daemon) CloseNotification(id uint32) *dbus.Error {
	d.n.wait()
	d.n.mu.Lock()
	defer d.n.mu.Unlock()
	if _, ok := d.n.open[id]; !ok {
		return dbus.NewError("org.freedesktop.Notifications.InvalidId", nil)
	}
	delete(d.n.open, id)
	return nil
}
