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
)

// Run shows the tray icon and its menu until ctx ends, and then returns nil. It
// does so too if the desktop ends it, as Windows does at a log-out. macOS wants
// it on the main goroutine. It works once in a process: what it draws with has
// one icon.
//
// Where nothing shows tray icons yet, it waits for that. Where there never
// will be anything, it returns one of the errors of this package at once.
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
	shown, err := follow(ctx, &group, cfg.host, func() { cancel(ErrBusGone) })
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
	defer endLoop(ctx)()
	// The systray package calls this on a goroutine of its own, at any time.
	var first atomic.Bool
	drawn := make(chan struct{})
	err = run(func() {
		if first.Swap(true) {
			return // it is all over
		}
		defer close(drawn)
		// Not before: a Quit that comes before the loop is lost on Windows.
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

// ended says why ctx ended, if it was not its owner's wish.
func ended(ctx context.Context) error {
	if err := context.Cause(ctx); errors.Is(err, ErrBusGone) {
		return err
	}
	return nil
}

// run runs the systray package. Where the bus ends before its first answer,
// that package panics when it quits.
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

// A drawer puts states on the screen, and clicks into a channel.
type drawer struct {
	log    *slog.Logger
	lost   context.CancelCauseFunc
	clicks chan Action
	done   <-chan struct{}
	group  *sync.WaitGroup

	icon    string
	tooltip string
	menu    panelMenu           // nil means the systray package's own, which is all below
	items   []Item              // as they are on the screen
	drawn   []*systray.MenuItem // in the order of walk
	stale   chan struct{}       // closed when drawn is replaced
}

// prepare sets what a Linux panel asks for first. The systray package would
// keep an empty icon if it was set while the package connects.
func (d *drawer) prepare(s State) {
	if runtime.GOOS != "linux" {
		return // elsewhere there is nothing yet to set it on
	}
	systray.SetTitle(t("product")) // names the icon in a desktop's settings; macOS would show it
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

// tell passes clicks on, in their order.
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

// settle is how long changes are collected before they are drawn.
const settle = 50 * time.Millisecond

// follow draws each state that comes, and once a minute what has become of
// "2 minutes ago".
func (d *drawer) follow(ctx context.Context, states *newest.Value[State]) {
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for {
		select {
		case <-states.Changed():
			select {
			case <-time.After(settle):
			case <-ctx.Done():
				return
			}
		case <-minute.C:
		case <-ctx.Done():
			return
		}
		d.draw(states.Get())
	}
}

// draw changes on the screen what differs from s.
func (d *drawer) draw(s State) {
	// The systray package panics if the bus is gone; we are told of that a
	// moment later.
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
// turn into the other under the pointer of a person: a click means what the
// person read, not what the line says by the time it arrives.
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

// walk visits all items but separators, each before those of its submenu.
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

// rebuild throws the menu away, since items can only be appended.
func (d *drawer) rebuild(items []Item) {
	if d.drawn != nil {
		for _, m := range d.drawn {
			// ResetMenu closes the channels. A click that is on its way would
			// panic, so there is none to close.
			m.ClickedCh = nil
		}
		close(d.stale)
		systray.ResetMenu()
	}
	d.drawn, d.stale = []*systray.MenuItem{}, make(chan struct{})
	d.add(nil, items)
	if n := len(d.drawn); n > 0 {
		// By its locks this makes the channels that add has set visible to
		// those who send clicks.
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

// listen passes the clicks on m on. The systray package drops a click that
// nobody waits for at that moment, so the channel has room, and each item has
// a goroutine that empties it. Items that are grayed have none, since some
// panels send their clicks too.
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
			for len(clicks) > 0 { // what came in before the item went
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

// quiet sends what the systray package logs to l, and leaves other lines where
// they went. The function that it returns ends that.
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
