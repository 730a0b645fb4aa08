//go:build !darwin || cgo

package tray

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"fyne.io/systray"

	"github.com/key2oauth/key2oauth/tray/internal/newest"
	"github.com/key2oauth/key2oauth/tray/internal/panel"
)

// Run shows the tray icon and its menu until ctx ends, and then returns nil.
// It also returns nil if the desktop ends it, as Windows does at logout. On
// macOS it must run on the main goroutine. It works once per process, because
// the systray package has only one icon.
//
// If nothing shows tray icons yet, it waits. If nothing ever will, it
// immediately returns one of this package's errors.
func Run(ctx context.Context, cfg Config) error {
	if ctx.Err() != nil {
		return nil
	}
	var group sync.WaitGroup
	defer group.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	states := newest.New[State]()
	group.Go(func() { states.Follow(ctx, cfg.States) })
	shown, err := panel.Follow(ctx, &group, cfg.host, func() { cancel(ErrBusGone) })
	if err != nil {
		return err
	}
	for _, wait := range []<-chan struct{}{states.Changed(), shown} {
		select {
		case <-wait:
		case <-ctx.Done():
			return ended(ctx)
		}
	}

	d := &drawer{log: cfg.log(), lost: cancel, clicks: make(chan Action, 256), done: ctx.Done(), group: &group}
	group.Go(func() { d.tell(ctx, cfg.Do) })
	defer quiet(cfg.log())()
	d.prepare(states.Get())
	defer panel.EndLoop(ctx)()
	// The systray package calls this on its own goroutine, at any time.
	var first atomic.Bool
	drawn := make(chan struct{})
	err = run(func() {
		if first.Swap(true) {
			return // already over
		}
		defer close(drawn)
		// Only now: on Windows, a Quit before the loop is lost.
		context.AfterFunc(ctx, systray.Quit)
		s := states.Get()
		s.Now = time.Now()
		var err error
		if d.menu, err = newPanelMenu(Menu(s), d.click, d.log); err != nil {
			d.log.Debug("the tray has no menu", "err", err)
			cancel(ErrBusGone)
			return
		}
		d.draw(states.Get())
		group.Go(func() { d.follow(ctx, states) })
	})
	if first.Swap(true) {
		<-drawn
	}
	if err != nil && ctx.Err() == nil {
		return err
	}
	return ended(ctx)
}

// ended returns why ctx ended, unless its owner canceled it.
func ended(ctx context.Context) error {
	if err := context.Cause(ctx); errors.Is(err, ErrBusGone) {
		return err
	}
	return nil
}

// run runs the systray package. If the bus ends before its first answer, that
// package panics when it quits.
func run(begin func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = ErrBusGone
			if runtime.GOOS != "linux" {
				panic(p)
			}
		}
	}()
	systray.Run(begin, nil)
	return nil
}

// A drawer draws states, and puts clicks into a channel.
type drawer struct {
	log    *slog.Logger
	lost   context.CancelCauseFunc
	clicks chan Action
	done   <-chan struct{}
	group  *sync.WaitGroup

	icon    string
	tooltip string
	menu    panelMenu           // nil means the systray package's own, which uses the fields below
	items   []Item              // as drawn
	drawn   []*systray.MenuItem // in walk order
	stale   chan struct{}       // closed when drawn is replaced
}

// prepare sets what a Linux panel asks for first. If an icon were set while
// the systray package connects, the package would keep an empty one.
func (d *drawer) prepare(s State) {
	if runtime.GOOS != "linux" {
		return // elsewhere there is nothing to set it on yet
	}
	systray.SetTitle(t("product")) // the icon's name in a desktop's settings; macOS would show it
	systray.SetIcon(picture(Icon(s)))
	systray.SetTooltip(Tooltip(s))
	if tapOpens() {
		systray.SetOnTapped(func() {
			select {
			case d.clicks <- Action{Verb: OpenDashboard}:
			default:
			}
		})
	}
}

// tell passes clicks on in order.
func (d *drawer) tell(ctx context.Context, do func(context.Context, Action)) {
	for {
		select {
		case a := <-d.clicks:
			do(ctx, a)
		case <-ctx.Done():
			return
		}
	}
}

// settle is how long changes are collected before drawing.
const settle = 50 * time.Millisecond

// redraw is how often "2 minutes ago" is updated; tests change it.
var redraw = time.Minute

// follow draws each state, and once a minute updates "2 minutes ago".
//
// The systray package loses an icon that is set while it connects to the panel,
// and does not say so. So everything is drawn once more when a panel has read the
// menu, which it does only after that, and for panels that never do, after the
// first minute.
func (d *drawer) follow(ctx context.Context, states *newest.Value[State]) {
	minute := time.NewTicker(redraw)
	defer minute.Stop()
	var asked <-chan struct{}
	if d.menu != nil {
		asked = d.menu.asked()
	}
	sure := d.menu == nil
	for {
		select {
		case <-asked:
			asked = nil
			d.forget()
			select {
			case <-time.After(settle):
			case <-ctx.Done():
				return
			}
		case <-states.Changed():
			select {
			case <-time.After(settle):
			case <-ctx.Done():
				return
			}
		case <-minute.C:
			if !sure {
				sure = true
				d.forget()
			}
		case <-ctx.Done():
			return
		}
		d.draw(states.Get())
	}
}

// forget has the next draw set everything, as if nothing had been drawn.
func (d *drawer) forget() { d.icon, d.tooltip = "", "" }

// draw updates what differs from s.
func (d *drawer) draw(s State) {
	// The systray package panics if the bus is gone; we learn of that a moment
	// later.
	defer func() {
		if p := recover(); p != nil {
			err, ok := p.(error)
			if _, bug := p.(runtime.Error); bug || !ok || runtime.GOOS != "linux" {
				panic(p)
			}
			d.log.Debug("the tray could not be drawn", "err", err)
			d.lost(ErrBusGone)
		}
	}()
	s.Now = time.Now()
	if icon := picture(Icon(s)); d.icon != string(icon) {
		d.icon = string(icon)
		systray.SetTemplateIcon(icon, icon)
	}
	if tip := Tooltip(s); d.tooltip != tip {
		d.tooltip = tip
		systray.SetTooltip(tip)
	}
	items := Menu(s)
	switch {
	case d.menu != nil:
		d.menu.show(items)
	case d.drawn != nil && alike(d.items, items):
		d.retitle(items)
	default:
		d.rebuild(items)
	}
	d.items = items
}

// alike reports whether the lines of both menus do the same. Only then may one
// menu turn into the other under the pointer: a click means what the person
// read, not what the line says by the time the click arrives.
func alike(a, b []Item) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		if x.Action != y.Action || x.Separator != y.Separator || x.Checkable != y.Checkable || x.Checked != y.Checked || !alike(x.Items, y.Items) {
			return false
		}
	}
	return true
}

// walk visits all items except separators, each before those of its submenu.
func walk(items []Item, visit func(Item)) {
	for _, i := range items {
		if i.Separator {
			continue
		}
		visit(i)
		walk(i.Items, visit)
	}
}

func (d *drawer) retitle(items []Item) {
	var before []string
	walk(d.items, func(i Item) { before = append(before, i.Text) })
	n := 0
	walk(items, func(i Item) {
		if i.Text != before[n] {
			d.drawn[n].SetTitle(label(i.Text))
		}
		n++
	})
}

// rebuild replaces the whole menu, since items can only be appended.
func (d *drawer) rebuild(items []Item) {
	if d.drawn != nil {
		for _, m := range d.drawn {
			// ResetMenu closes the channels. Without a channel, a click that
			// is being sent cannot panic.
			m.ClickedCh = nil
		}
		close(d.stale)
		systray.ResetMenu()
	}
	d.drawn, d.stale = []*systray.MenuItem{}, make(chan struct{})
	d.add(nil, items)
	if n := len(d.drawn); n > 0 {
		// Its locks make the channels that add has set visible to the senders
		// of clicks.
		d.drawn[n-1].Enable()
	}
}

func (d *drawer) add(parent *systray.MenuItem, items []Item) {
	for _, i := range items {
		if i.Separator {
			if parent == nil {
				systray.AddSeparator()
			} else {
				parent.AddSeparator()
			}
			continue
		}
		m := addItem(parent, i)
		d.drawn = append(d.drawn, m)
		switch {
		case i.Action != Action{}:
			d.listen(m, i.Action)
		case len(i.Items) == 0:
			m.Disable()
		}
		d.add(m, i.Items)
	}
}

func addItem(parent *systray.MenuItem, i Item) *systray.MenuItem {
	text := label(i.Text)
	switch {
	case parent != nil && i.Checkable:
		return parent.AddSubMenuItemCheckbox(text, "", i.Checked)
	case parent != nil:
		return parent.AddSubMenuItem(text, "")
	case i.Checkable:
		return systray.AddMenuItemCheckbox(text, "", i.Checked)
	default:
		return systray.AddMenuItem(text, "")
	}
}

// listen passes on the clicks on m. The systray package drops a click that no
// one is waiting for, so the channel is buffered, and each item has a
// goroutine that empties it. Grayed items have none, since some panels send
// clicks on them too.
func (d *drawer) listen(m *systray.MenuItem, a Action) {
	clicks := make(chan struct{}, 64)
	m.ClickedCh = clicks
	stale := d.stale
	d.group.Go(func() {
		for {
			select {
			case <-clicks:
				d.click(a)
				continue
			case <-stale:
			case <-d.done:
				return
			}
			for len(clicks) > 0 { // clicks from before the item was removed
				<-clicks
				d.click(a)
			}
			return
		}
	})
}

func (d *drawer) click(a Action) {
	select {
	case d.clicks <- a:
	case <-d.done:
	}
}

// quiet redirects the systray package's log lines to l, and leaves other lines
// alone. The returned function undoes that.
func quiet(l *slog.Logger) (restore func()) {
	before := log.Writer()
	log.SetOutput(filter{l, before})
	return func() { log.SetOutput(before) }
}

type filter struct {
	log  *slog.Logger
	rest io.Writer
}

func (f filter) Write(line []byte) (int, error) {
	_, said, found := bytes.Cut(line, []byte("systray error: "))
	if !found {
		return f.rest.Write(line)
	}
	f.log.Debug("the tray complains", "said", string(bytes.TrimSpace(said)))
	return len(line), nil
}
