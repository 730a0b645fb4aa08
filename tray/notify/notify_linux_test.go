package notify

import (
	"context"
	"fmt"
	"image"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/tray"
	"github.com/key2oauth/key2oauth/tray/traytest"
)

// A teller runs notifications on a bus.
type teller struct {
	states chan tray.State
	did    chan tray.Action
	log    *testenv.Output
	stop   func()
}

func start(t *testing.T, address string) *teller {
	t.Helper()
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
	ctx, cancel := context.WithCancel(t.Context())
	n := &teller{states: make(chan tray.State), did: make(chan tray.Action, 10), log: new(testenv.Output)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		Run(ctx, Config{
			States: n.states,
			Do:     func(_ context.Context, a tray.Action) { n.did <- a },
			Log:    slog.New(slog.NewTextHandler(n.log, nil)),
		})
	}()
	n.stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(n.stop)
	return n
}

func (n *teller) action(t *testing.T) tray.Action {
	t.Helper()
	select {
	case a := <-n.did:
		return a
	case <-time.After(time.Minute):
		t.Fatal("the click did not arrive")
		return tray.Action{}
	}
}

func TestDaemon(t *testing.T) {
	bus := traytest.StartBus(t)
	daemon := bus.StartNotifier(t, "actions", "body", "body-markup")
	n := start(t, bus.Address)
	request := tray.State{Pending: []tray.Request{{ID: "r1"}}}
	n.states <- request
	got := daemon.Next(t)
	want := traytest.Note{
		ID: 1, App: "Key2OAuth", Icon: "key2oauth", Summary: tray.Text("notice.request"),
		Body:    tray.Text("notice.request.body"),
		Actions: []string{"default", tray.Text("notice.request.button")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the notification (-want +got):\n%s", diff)
	}
	daemon.Click(t, 7, "default") // another program's notification
	daemon.Click(t, got.ID, "default")
	if a := n.action(t); a.Verb != tray.ReviewRequest {
		t.Errorf("a click did %v, want the review", a)
	}
	n.states <- tray.State{}
	traytest.Wait(t, "the notification withdrawn", func() (bool, string) { return daemon.Open() == 0, "" })

	// Another daemon starts counting at one again, so its IDs are not ours.
	n.states <- request
	shown := daemon.Next(t)
	traytest.Wait(t, "the daemon's answer, without which a click says nothing", func() (bool, string) {
		daemon.Click(t, shown.ID, "default")
		select {
		case <-n.did:
			return true, ""
		case <-time.After(time.Second):
			return false, ""
		}
	})
	daemon.Stop()
	other := bus.StartNotifier(t)
	conn := bus.Connect(t)
	var id uint32
	err := conn.Object("org.freedesktop.Notifications", "/org/freedesktop/Notifications").Call("org.freedesktop.Notifications.Notify", 0,
		"mail", uint32(0), "", "You have mail", "", []string{}, map[string]any{}, int32(0)).Store(&id)
	if err != nil {
		t.Fatal(err)
	}
	other.Next(t)
	n.states <- tray.State{}
	n.states <- tray.State{Tunnel: tray.Tunnel{State: tray.TunnelNeedsYou}}
	if note := other.Next(t); note.Replaces != 0 || len(note.Actions) > 0 {
		t.Errorf("a daemon without buttons got %+v", note)
	}
	n.stop()
	if got := other.Open(); got != 1 {
		t.Errorf("%d notifications are left, want the mail program's alone", got)
	}
	if log := n.log.String(); log != "" {
		t.Errorf("the log says:\n%s", log)
	}
}

// TestApprove: a request whose page is open in a browser that is not signed in
// has a notification of its own, and a click on it reviews that very request.
func TestApprove(t *testing.T) {
	bus := traytest.StartBus(t)
	daemon := bus.StartNotifier(t, "actions", "body")
	n := start(t, bus.Address)
	n.states <- tray.State{Pending: []tray.Request{{ID: "r1", Here: true, App: "Claude", Server: "Linear"}}}
	first := daemon.Next(t)
	want := traytest.Note{
		ID: 1, App: "Key2OAuth", Icon: "key2oauth", Summary: tray.Text("notice.approve", "Claude"),
		Body: tray.Text("notice.approve.body.server", "Linear"), Actions: []string{"default", tray.Text("notice.request.button")},
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("the notification (-want +got):\n%s", diff)
	}
	n.states <- tray.State{Pending: []tray.Request{{ID: "r1", Here: true, App: "Claude", Server: "Linear"}, {ID: "r2", Here: true}}}
	second := daemon.Next(t)
	for _, tt := range []struct {
		note traytest.Note
		id   string
	}{{second, "r2"}, {first, "r1"}} {
		traytest.Wait(t, "the daemon's answer, without which a click says nothing", func() (bool, string) {
			daemon.Click(t, tt.note.ID, "default")
			select {
			case a := <-n.did:
				if a != (tray.Action{Verb: tray.ReviewRequest, ID: tt.id}) {
					t.Errorf("a click on %q did %v, want the review of %s", tt.note.Summary, a, tt.id)
				}
				return true, ""
			case <-time.After(time.Second):
				return false, ""
			}
		})
	}
	n.states <- tray.State{}
	traytest.Wait(t, "the notifications withdrawn", func() (bool, string) { return daemon.Open() == 0, "" })
}

func TestTellWithoutState(t *testing.T) {
	bus := traytest.StartBus(t)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", bus.Address)
	n := tray.StartFailed("the address 127.0.0.1:7450 is taken by <b>x</b>")
	if err := Tell(n); err == nil {
		t.Error("Tell said nothing of there being no daemon")
	}
	daemon := bus.StartNotifier(t, "actions", "body")
	if err := Tell(n); err != nil {
		t.Fatal(err)
	}
	want := traytest.Note{
		ID: 1, App: "Key2OAuth", Icon: "key2oauth", Summary: tray.Text("notice.start"),
		Body: "the address 127.0.0.1:7450 is taken by <b>x</b>", Actions: []string{}, Expires: -1,
	}
	if diff := cmp.Diff(want, daemon.Next(t)); diff != "" {
		t.Errorf("the notification (-want +got):\n%s", diff)
	}
	if daemon.Open() != 1 {
		t.Error("the notification did not stay")
	}
}

func TestNoDaemon(t *testing.T) {
	t.Run("comes later", func(t *testing.T) {
		bus := traytest.StartBus(t)
		n := start(t, bus.Address)
		n.states <- tray.State{Pending: []tray.Request{{}}}
		traytest.Wait(t, "the log says so", func() (bool, string) {
			return strings.Contains(n.log.String(), "cannot show notifications"), n.log.String()
		})
		daemon := bus.StartNotifier(t)
		n.states <- tray.State{Tunnel: tray.Tunnel{State: tray.TunnelNeedsYou}}
		daemon.Next(t)
	})
	t.Run("no bus", func(t *testing.T) {
		n := start(t, "unix:path=/nowhere/bus")
		n.states <- tray.State{Pending: []tray.Request{{}}}
		traytest.Wait(t, "the log says so", func() (bool, string) {
			return strings.Contains(n.log.String(), "no D-Bus session bus"), n.log.String()
		})
	})
	t.Run("bus ends", func(t *testing.T) {
		bus := traytest.StartBus(t)
		daemon := bus.StartNotifier(t)
		n := start(t, bus.Address)
		n.states <- tray.State{Pending: []tray.Request{{}}}
		daemon.Next(t)
		bus.Stop()
		n.states <- tray.State{Tunnel: tray.Tunnel{State: tray.TunnelNeedsYou}}
		traytest.Wait(t, "the log says so", func() (bool, string) { return n.log.String() != "", "" })
	})
	t.Run("hangs", func(t *testing.T) {
		testenv.Slow(t) // the test waits for the time-out
		bus := traytest.StartBus(t)
		daemon := bus.StartNotifier(t)
		resume := daemon.Hang()
		n := start(t, bus.Address)
		n.states <- tray.State{Pending: []tray.Request{{}}}
		for range 100 { // a sender of changes never waits
			n.states <- tray.State{Pending: []tray.Request{{}}}
		}
		traytest.Wait(t, "the log says so", func() (bool, string) { return n.log.String() != "", "" })
		resume()
		n.states <- tray.State{Tunnel: tray.Tunnel{State: tray.TunnelNeedsYou}}
		daemon.Next(t)
	})
}

// TestRealDaemon shows notifications with XFCE's daemon, and clicks one.
func TestRealDaemon(t *testing.T) {
	testenv.Slow(t)
	d := traytest.StartDesktop(t, traytest.Options{})
	n := start(t, d.Address)
	before := d.Screen(t)
	rejected := tray.State{Endpoints: []tray.Endpoint{{Slug: "s", Name: "Linear <b>R&D</b>", Key: tray.KeyRejected}}}
	state := rejected
	state.Pending = []tray.Request{{ID: "r1"}}
	state.Tunnel = tray.Tunnel{State: tray.TunnelNeedsYou, Words: "ngrok does not accept the authtoken."}
	n.states <- state
	d.WaitChange(t, "three notifications on the screen", before, 100_000)
	shot := d.Still(t) // they fade in
	all := traytest.Changed(before, shot)
	output := filepath.Join("..", "..", "e2e", "output")
	traytest.Keep(t, shot, image.Rect(500, 0, 1000, 500), filepath.Join(output, "notifications.png"))

	n.states <- rejected
	traytest.Wait(t, "what is over withdrawn", func() (bool, string) {
		n := traytest.Changed(before, d.Screen(t))
		return n < all/2, fmt.Sprint(n, " pixels changed, of ", all)
	})
	shot = d.Still(t)
	traytest.Keep(t, shot, image.Rect(500, 0, 1000, 300), filepath.Join(output, "notification-key.png"))

	n.states <- state
	d.WaitChange(t, "three notifications again", before, all*9/10)
	d.Still(t)
	d.Point(t, image.Pt(927, 105), 1) // the button of the first
	if a := n.action(t); a.Verb != tray.ReviewRequest {
		t.Errorf("the button did %v, want the review", a)
	}
}
