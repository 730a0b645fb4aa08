//go:build linux

package tray

import (
	"fmt"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/tray/internal/dbusmenu"
	"github.com/key2oauth/key2oauth/tray/traytest"
)

// A menuReader reads the menu as a panel does, and receives its change signals.
type menuReader struct {
	t       *testing.T
	menu    dbus.BusObject
	signals chan *dbus.Signal

	revision uint32 // the last revision that it heard of
}

func readMenu(t *testing.T, bus *traytest.Bus, a *app) *menuReader {
	t.Helper()
	conn := bus.Connect(t)
	r := &menuReader{t: t, signals: make(chan *dbus.Signal, 1000)}
	r.menu = conn.Object(fmt.Sprintf("org.kde.StatusNotifierItem-%d-1", a.cmd.Process.Pid), dbusmenu.Path)
	conn.Signal(r.signals)
	if err := conn.AddMatchSignal(dbus.WithMatchInterface(dbusmenu.Interface)); err != nil {
		t.Fatal(err)
	}
	return r
}

// updated returns the revision in a signal, if the signal has one.
func updated(s *dbus.Signal) (revision uint32, ok bool) {
	if s.Name != dbusmenu.Interface+".LayoutUpdated" || len(s.Body) != 2 {
		return 0, false
	}
	revision, ok = s.Body[0].(uint32)
	return revision, ok
}

// layout requests everything below an item.
func (r *menuReader) layout(parent, depth int32) (l dbusmenu.Layout) {
	r.t.Helper()
	var revision uint32
	if err := r.menu.Call(dbusmenu.Interface+".GetLayout", 0, parent, depth, []string{}).Store(&revision, &l); err != nil {
		r.t.Fatal(err)
	}
	return l
}

// changes waits until the menu has changed, and counts how often it did: a
// panel may receive the same change more than once.
func (r *menuReader) changes() (n int) {
	r.t.Helper()
	late := time.After(time.Minute)
	for {
		var calm <-chan time.Time
		if n > 0 {
			calm = time.After(3 * dbusmenu.Reveal)
		}
		select {
		case s := <-r.signals:
			if revision, ok := updated(s); ok && revision != r.revision {
				r.revision = revision
				n++
			}
		case <-calm:
			return n
		case <-late:
			r.t.Fatal("the panel is not told that the menu has changed")
		}
	}
}

// count counts the lines on each level, and those that have a submenu.
func (r *menuReader) count(l dbusmenu.Layout) (levels []int, submenus int) {
	r.t.Helper()
	var walk func(dbusmenu.Layout, int)
	walk = func(l dbusmenu.Layout, depth int) {
		if depth == len(levels) {
			levels = append(levels, 0)
		}
		for _, child := range l.Children {
			var c dbusmenu.Layout
			if err := child.Store(&c); err != nil {
				r.t.Fatal(err)
			}
			levels[depth]++
			if c.Properties["children-display"].Value() == "submenu" {
				submenus++
			}
			if len(c.Children) > 0 {
				walk(c, depth+1)
			}
		}
	}
	walk(l, 0)
	return levels, submenus
}

// TestPanelIsReminded: a panel that has missed a change gets its signal again
// until it has read the menu.
func TestPanelIsReminded(t *testing.T) {
	bus := traytest.StartBus(t)
	panel := bus.StartWatcher(t)
	a := start(t, bus.Env())
	a.show(State{})
	panel.Icon(t) // which does not read the menu
	r := readMenu(t, bus, a)
	for late := time.Now().Add(time.Minute); len(r.layout(0, 1).Children) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(late) { // at first the systray package has one without lines
			t.Fatal("the menu has no lines")
		}
	}
	a.show(State{Paused: true})
	next := func() uint32 {
		t.Helper()
		for late := time.After(time.Minute); ; {
			select {
			case s := <-r.signals:
				if revision, ok := updated(s); ok {
					return revision
				}
			case <-late:
				t.Fatal("the panel is told no more")
			}
		}
	}
	told, revision := 0, uint32(0)
	for told < 3 {
		if got := next(); got != revision {
			revision, told = got, 0
		}
		told++
	}
	r.layout(0, 1)
	for len(r.signals) > 0 {
		<-r.signals
	}
	time.Sleep(6 * dbusmenu.Overdue) // the next reminder would come after four, and must not
	for len(r.signals) > 0 {
		if got, ok := updated(<-r.signals); ok {
			t.Errorf("the panel has read %d and is told of %d", revision, got)
		}
	}
	a.terminate()
	a.end(nil)
}

// TestMenuByLevels: a panel gets the lines of a submenu only after it has the
// submenu itself, since some panels drop them otherwise. It gets each change
// once.
func TestMenuByLevels(t *testing.T) {
	bus := traytest.StartBus(t)
	panel := bus.StartWatcher(t)
	a := start(t, bus.Env())
	a.show(live())
	icon := panel.Icon(t)

	// The levels of the menu, with all submenus of each.
	var want []int
	var submenus []int
	for level := Menu(live()); len(level) > 0; {
		var below []Item
		n := 0
		for _, i := range level {
			below = append(below, i.Items...)
			if len(i.Items) > 0 {
				n++
			}
		}
		want, submenus, level = append(want, len(level)), append(submenus, n), below
	}
	if len(want) < 4 {
		t.Fatalf("the menu has %d levels, which is too few for this test", len(want))
	}

	r := readMenu(t, bus, a)
	icon.WaitMenu(t, "the menu", reads(live()))
	r.changes() // until everything was sent

	learn := func(r *menuReader) {
		t.Helper()
		all := 0
		for depth := 1; depth <= len(want); depth++ {
			all += submenus[depth-1]
			asked := time.Now()
			for again := range 2 { // also if it asks again at once
				got, marked := r.count(r.layout(0, -1))
				if again > 0 && time.Since(asked) > dbusmenu.Reveal/2 {
					break // on a busy machine this is not at once
				}
				if diff := cmp.Diff(want[:depth], got); diff != "" || marked != all {
					t.Fatalf("after %d changes there are %d submenus, want %d, and lines (-want +got)\n%s", depth-1, marked, all, diff)
				}
			}
			if depth < len(want) {
				if n := r.changes(); n != 1 {
					t.Fatalf("the menu changed %d times for one level, want 1", n)
				}
			}
		}
	}
	paused := live()
	paused.Paused = true
	for _, s := range []State{paused, live()} {
		a.show(s)
		if n := r.changes(); n != 1 {
			t.Errorf("another menu is told %d times, want 1", n)
		}
	}
	learn(r)
	learn(readMenu(t, bus, a)) // like a panel that has been restarted
	r.changes()                // of the other's levels

	// A panel that requests one submenu after another gets each at once.
	root := r.layout(0, 1)
	for _, child := range root.Children {
		var c dbusmenu.Layout
		if err := child.Store(&c); err != nil {
			t.Fatal(err)
		}
		opens := c.Properties["children-display"].Value() == "submenu"
		if got := len(r.layout(c.ID, 1).Children); got > 0 != opens {
			t.Errorf("%v has %d lines", c.Properties["label"], got)
		}
	}
	if call := r.menu.Call(dbusmenu.Interface+".GetLayout", 0, int32(1_000_000), int32(-1), []string{}); call.Err == nil {
		t.Error("an item that there never was has a layout")
	}
	a.terminate()
	a.end(nil)
}
