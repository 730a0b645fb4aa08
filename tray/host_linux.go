package tray

import (
	"log/slog"

	"github.com/key2oauth/key2oauth/tray/internal/dbusmenu"
)

// A busMenu is the menu that panels read.
type busMenu struct {
	menu  *dbusmenu.Menu
	click func(Action)
	items []Item // as shown
}

// newPanelMenu replaces the systray package's menu while that package starts.
func newPanelMenu(items []Item, click func(Action), log *slog.Logger) (panelMenu, error) {
	b := &busMenu{click: click, items: items}
	var err error
	b.menu, err = dbusmenu.New(b.lines(items), log)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (b *busMenu) asked() <-chan struct{} { return b.menu.Asked() }

func (b *busMenu) show(items []Item) {
	before := b.items
	b.items = items
	if alike(before, items) {
		b.menu.Retitle(b.lines(items))
		return
	}
	b.menu.Replace(b.lines(items))
}

// lines returns items as panels read them.
func (b *busMenu) lines(items []Item) []dbusmenu.Item {
	var all []dbusmenu.Item
	for _, i := range items {
		l := dbusmenu.Item{
			Label: label(i.Text), Enabled: i.Enabled(), Checkable: i.Checkable, Checked: i.Checked,
			Separator: i.Separator, Items: b.lines(i.Items),
		}
		if i.Action != (Action{}) {
			l.Click = func() { b.click(i.Action) }
		}
		all = append(all, l)
	}
	return all
}
