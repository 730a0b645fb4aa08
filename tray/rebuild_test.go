//go:build linux

package tray

import (
	"context"
	"sync"
	"testing"
)

// TestRebuildClosesNothing: a click that is on its way to an item while the
// menu is rebuilt must not meet a closed channel, which would end the program.
// A click that has arrived is still delivered.
func TestRebuildClosesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	d := &drawer{clicks: make(chan Action, 100), done: ctx.Done(), group: &group}
	items := Menu(connected())
	d.rebuild(items) // on nothing: the systray package does not run
	var channels []chan struct{}
	for i, m := range d.drawn {
		if m.Disabled() {
			continue
		}
		channels = append(channels, m.ClickedCh)
		if cap(m.ClickedCh) > 0 {
			m.ClickedCh <- struct{}{} // as the library does just before
			continue
		}
		var texts []string
		walk(items, func(i Item) { texts = append(texts, i.Text) })
		if menu := find(items, texts[i]); menu.Action != (Action{}) {
			t.Errorf("%q may lose clicks", menu.Text)
		}
	}
	d.rebuild(Menu(but(connected(), func(s *State) { s.Paused = true })))
	for _, c := range channels {
		select {
		case c <- struct{}{}: // panics if it was closed
		default:
		}
	}
	want := 0
	walk(items, func(i Item) {
		if i.Action != (Action{}) {
			want++
		}
	})
	for range want {
		<-d.clicks
	}
}

// find returns the item with a text.
func find(items []Item, text string) (found Item) {
	walk(items, func(i Item) {
		if i.Text == text {
			found = i
		}
	})
	return found
}
