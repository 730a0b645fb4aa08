// Package notify shows desktop notifications of what should not wait until the
// owner looks at the tray. tray.Notices, a pure function of the state, decides
// what to show. This package remembers what it has shown, so nothing is shown
// twice, and withdraws what is over.
package notify

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/tray"
	"github.com/key2oauth/key2oauth/tray/internal/newest"
)

// A Config says what Run shows, and what handles clicks. States and Do are
// required.
type Config struct {
	// States delivers the state immediately, and again after every change.
	States <-chan tray.State

	// Do handles a click on a notification, on its own goroutine. Windows and
	// macOS report no clicks; there, the first item of the tray's menu does
	// the same.
	Do func(context.Context, tray.Action)

	Log *slog.Logger // nil means slog.Default
}

// A desktop shows notices. Calls that get no answer time out.
type desktop interface {
	// show shows n, and replaces the notification old unless that is 0. The
	// result is 0 if the notification cannot be withdrawn.
	show(n tray.Notice, old uint32) (uint32, error)
	withdraw(id uint32)
	// clicked delivers the ids of clicked notifications.
	clicked() <-chan uint32
	close()
}

// settle is how long changes are collected before they are shown.
const settle = 200 * time.Millisecond

// most is the maximum number of notifications for one change. The tray shows
// the rest.
const most = 3

// Run shows notifications until ctx ends, and then withdraws them all. If
// nothing shows notifications, it logs that once.
func Run(ctx context.Context, cfg Config) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	run(ctx, cfg, newDesktop())
}

func run(ctx context.Context, cfg Config, d desktop) {
	defer d.close()
	var group sync.WaitGroup
	defer group.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	states := newest.New[tray.State]()
	group.Go(func() { states.Follow(ctx, cfg.States) })
	clicks := make(chan tray.Action, 16)
	group.Go(func() {
		for {
			select {
			case a := <-clicks:
				cfg.Do(ctx, a)
			case <-ctx.Done():
				return
			}
		}
	})

	m := &memory{desktop: d, log: cfg.Log, told: make(map[string]bool), events: make(map[string]bool)}
	var settled <-chan time.Time
	for {
		select {
		case <-states.Changed():
			if settled == nil {
				settled = time.After(settle)
			}
		case <-settled:
			settled = nil
			m.tell(tray.Notices(states.Get()))
		case id := <-d.clicked():
			if a, ok := m.click(id); ok {
				select {
				case clicks <- a:
				default: // the first clicks are still being answered
				}
			}
		case <-ctx.Done():
			m.tell(nil) // a notification must not outlive the program
			return
		}
	}
}

// Tell shows one notice that belongs to no state, such as why the program
// ends. It stays when the program has ended.
func Tell(n tray.Notice) error {
	d := newDesktop()
	defer d.close()
	_, err := d.show(n, 0)
	return err
}

// A memory remembers what was shown and what is on the screen.
type memory struct {
	desktop desktop
	log     *slog.Logger

	started bool
	failed  bool            // the failure to show anything was logged
	told    map[string]bool // what was shown and is not over
	events  map[string]bool // what happened, including before the start
	shown   []notification
}

// A notification may be on the screen.
type notification struct {
	id     uint32
	notice tray.Notice
}

// tell shows what is new in notices and withdraws what is over.
func (m *memory) tell(notices []tray.Notice) {
	holds := make(map[string]bool)
	for _, n := range notices {
		for _, thing := range n.About {
			holds[thing] = true
		}
	}
	over := func(thing string) bool { return !holds[thing] }
	m.shown = slices.DeleteFunc(m.shown, func(s notification) bool {
		gone := all(s.notice.About, over)
		if gone {
			m.desktop.withdraw(s.id)
		}
		return gone
	})
	maps.DeleteFunc(m.told, func(thing string, _ bool) bool { return over(thing) })
	count := 0
	for _, n := range notices {
		// A click does what it would do now, not when the notification came.
		for i, s := range m.shown {
			if slices.Equal(s.notice.About, n.About) {
				m.shown[i].notice.Action = n.Action
			}
		}
		known := m.told
		if n.Event {
			known = m.events
		}
		old := all(n.About, func(thing string) bool { return known[thing] })
		for _, thing := range n.About {
			known[thing] = true
		}
		if !old && (m.started || !n.Event) && count < most {
			count++
			m.show(n)
		}
	}
	m.started = true
}

// show shows n, and replaces a notification about the same things.
func (m *memory) show(n tray.Notice) {
	var old uint32
	m.shown = slices.DeleteFunc(m.shown, func(s notification) bool {
		if !all(s.notice.About, func(thing string) bool { return slices.Contains(n.About, thing) }) {
			return false
		}
		if old != 0 {
			m.desktop.withdraw(old)
		}
		old = s.id
		return true
	})
	id, err := m.desktop.show(n, old)
	if err != nil && !m.failed {
		m.log.Warn("cannot show notifications; the tray and the Key2OAuth window show the same", "err", err)
	}
	m.failed = err != nil
	if id != 0 {
		m.shown = append(m.shown, notification{id, n})
	}
}

// click returns what a click on a notification does, if the notification is
// ours.
func (m *memory) click(id uint32) (tray.Action, bool) {
	i := slices.IndexFunc(m.shown, func(s notification) bool { return s.id == id })
	if i < 0 {
		return tray.Action{}, false
	}
	return m.shown[i].notice.Action, true
}

func all(things []string, is func(string) bool) bool {
	return !slices.ContainsFunc(things, func(thing string) bool { return !is(thing) })
}
