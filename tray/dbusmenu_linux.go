package tray

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	// Where the systray package says that the menu is.
	menuPath      = dbus.ObjectPath("/StatusNotifierItem/menu")
	menuInterface = "com.canonical.dbusmenu"
)

// reveal is how long panels have for a level of the menu before they are told
// of the next.
const reveal = 100 * time.Millisecond

// overdue is how long a panel has to read a menu before it is told of it once
// more, and after twice that again, for reminders times.
const (
	overdue   = time.Second
	reminders = 5
)

// A dbusMenu is the menu as panels read it, in the place of the one of the
// systray package. That one tells panels of each item that is added, and
// panels that draw with libdbusmenu (XFCE, Cinnamon, Ubuntu) then lose lines:
// they ask for the properties of a submenu's lines beside those of the submenu,
// and drop each line whose answer overtakes that of its submenu.
//
// This one changes all at once, and a panel learns of it level by level: the
// lines of a submenu only after it has had the submenu.
//
// libdbusmenu also forgets that the menu has changed if it hears so while it
// reads the one before, and then shows that for ever. So a panel that has read
// a menu, and does not read the next, is told again.
type dbusMenu struct {
	conn  *dbus.Conn
	click func(Action)
	log   *slog.Logger

	mu       sync.Mutex
	items    []Item
	root     *menuNode
	nodes    map[int32]*menuNode
	lastID   int32 // none is given twice: a click on what is gone does nothing
	revision uint32
	read     map[dbus.Sender]uint32 // the revision that each panel has
	known    map[dbus.Sender]int    // how many levels each panel may have
	curious  map[dbus.Sender]bool   // may have one more when reveal is over
}

// A menuNode is a line of the menu; the root is none.
type menuNode struct {
	id       int32
	item     Item
	children []*menuNode
}

// menuLayout and menuProperties are a line as the interface sends it.
type (
	menuLayout struct {
		ID         int32
		Properties map[string]dbus.Variant
		Children   []dbus.Variant
	}
	menuProperties struct {
		ID         int32
		Properties map[string]dbus.Variant
	}
)

// newPanelMenu takes the place of the systray package's menu. It is called
// while that package starts, which answers panels only when that is done: those
// that have asked it by then get nothing, and an older revision.
func newPanelMenu(items []Item, click func(Action), log *slog.Logger) (panelMenu, error) {
	conn, err := dbus.SessionBus() // the connection of the systray package
	if err != nil {
		return nil, err
	}
	// It takes this name when its own menu is in place.
	name := fmt.Sprintf("org.kde.StatusNotifierItem-%d-1", os.Getpid())
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var owner string
		err := conn.BusObject().Call("org.freedesktop.DBus.GetNameOwner", 0, name).Store(&owner)
		if !conn.Connected() {
			return nil, dbus.ErrClosed
		}
		if err == nil && owner == conn.Names()[0] {
			break
		}
	}
	m := &dbusMenu{conn: conn, click: click, log: log, revision: 1000, read: make(map[dbus.Sender]uint32)}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.build(items)
	if err := conn.Export(m, menuPath, menuInterface); err != nil {
		return nil, err
	}
	m.announce()
	return m, nil
}

// show makes items the menu.
func (m *dbusMenu) show(items []Item) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if alike(m.items, items) {
		m.retitle(items)
		return
	}
	m.build(items)
	m.announce()
}

// build makes the menu anew.
func (m *dbusMenu) build(items []Item) {
	m.nodes, m.items = make(map[int32]*menuNode), items
	m.known, m.curious = make(map[dbus.Sender]int), make(map[dbus.Sender]bool)
	m.root = &menuNode{children: m.nodesOf(items)}
	m.nodes[0] = m.root
}

func (m *dbusMenu) nodesOf(items []Item) []*menuNode {
	var all []*menuNode
	for _, i := range items {
		m.lastID++
		n := &menuNode{id: m.lastID, item: i}
		m.nodes[n.id] = n
		n.children = m.nodesOf(i.Items)
		all = append(all, n)
	}
	return all
}

// retitle gives the lines that there are other texts.
func (m *dbusMenu) retitle(items []Item) {
	m.items = items
	changed := []menuProperties{}
	var pair func([]*menuNode, []Item)
	pair = func(nodes []*menuNode, items []Item) {
		for i, n := range nodes {
			if n.item.Text != items[i].Text {
				changed = append(changed, menuProperties{n.id, map[string]dbus.Variant{"label": dbus.MakeVariant(label(items[i].Text))}})
			}
			n.item = items[i]
			pair(n.children, items[i].Items)
		}
	}
	pair(m.root.children, items)
	if len(changed) == 0 {
		return
	}
	type removed struct {
		ID    int32
		Names []string
	}
	m.emit("ItemsPropertiesUpdated", changed, []removed{})
	m.announce() // for panels that look at nothing else
}

// announce has the panels read the menu.
func (m *dbusMenu) announce() {
	m.revision++
	m.tell(m.revision, overdue, reminders)
}

// tell tells the panels of a revision. If some do not read it, they are told
// again after wait.
func (m *dbusMenu) tell(revision uint32, wait time.Duration, again int) {
	m.emit("LayoutUpdated", revision, int32(0))
	time.AfterFunc(wait, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.revision != revision || !m.conn.Connected() {
			return // of the newer one they have been told
		}
		late := false
		for panel, has := range m.read {
			switch {
			case has == revision:
			case again == 0:
				delete(m.read, panel) // it is gone
			default:
				late = true
			}
		}
		if late {
			m.tell(revision, 2*wait, again-1)
		}
	})
}

func (m *dbusMenu) emit(signal string, args ...any) {
	if err := m.conn.Emit(menuPath, menuInterface+"."+signal, args...); err != nil {
		m.log.Debug("the panels were not told of the menu", "signal", signal, "err", err)
	}
}

// allow says how many levels from the root a panel may have now, and sees to it
// that it hears of the next.
func (m *dbusMenu) allow(panel dbus.Sender) int {
	levels := max(m.known[panel], 1)
	m.known[panel] = levels
	if levels < m.root.height() {
		if len(m.curious) == 0 {
			root := m.root
			time.AfterFunc(reveal, func() { m.revealMore(root) })
		}
		m.curious[panel] = true
	}
	return levels
}

// revealMore lets those who have read a level of the menu have one more.
func (m *dbusMenu) revealMore(root *menuNode) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.root != root {
		return // which is the menu no more
	}
	for panel := range m.curious {
		m.known[panel]++
	}
	clear(m.curious)
	m.announce()
}

// height is how many levels are below n.
func (n *menuNode) height() int {
	h := 0
	for _, c := range n.children {
		h = max(h, 1+c.height())
	}
	return h
}

// layout is n with so many levels below it.
func (n *menuNode) layout(levels int) menuLayout {
	l := menuLayout{n.id, n.properties(), []dbus.Variant{}}
	if levels > 0 {
		for _, c := range n.children {
			l.Children = append(l.Children, dbus.MakeVariant(c.layout(levels-1)))
		}
	}
	return l
}

func (n *menuNode) properties() map[string]dbus.Variant {
	p := make(map[string]dbus.Variant)
	switch {
	case n.id == 0:
	case n.item.Separator:
		p["type"] = dbus.MakeVariant("separator")
	default:
		p["label"] = dbus.MakeVariant(label(n.item.Text))
		p["enabled"] = dbus.MakeVariant(n.item.Enabled())
	}
	if n.item.Checkable {
		p["toggle-type"], p["toggle-state"] = dbus.MakeVariant("checkmark"), dbus.MakeVariant(int32(0))
		if n.item.Checked {
			p["toggle-state"] = dbus.MakeVariant(int32(1))
		}
	}
	if len(n.children) > 0 {
		p["children-display"] = dbus.MakeVariant("submenu")
	}
	return p
}

var errNoItem = dbus.NewError("com.canonical.dbusmenu.Error", []any{"there is no such item"})

// GetLayout is of the interface com.canonical.dbusmenu, as are the methods
// below.
func (m *dbusMenu) GetLayout(panel dbus.Sender, parent, depth int32, _ []string) (uint32, menuLayout, *dbus.Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.nodes[parent]
	if !ok {
		return 0, menuLayout{}, errNoItem
	}
	if n == m.root {
		m.read[panel] = m.revision
	}
	levels := 1 // a panel that names an item has it
	switch {
	case depth == 0:
		levels = 0
	case n == m.root && depth != 1: // who asks for one level asks for each submenu
		levels = m.allow(panel)
		if depth > 0 {
			levels = min(levels, int(depth))
		}
	}
	return m.revision, n.layout(levels), nil
}

func (m *dbusMenu) GetGroupProperties(ids []int32, _ []string) ([]menuProperties, *dbus.Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := []menuProperties{}
	for _, id := range ids {
		if n, ok := m.nodes[id]; ok {
			all = append(all, menuProperties{id, n.properties()})
		}
	}
	return all, nil
}

func (m *dbusMenu) GetProperty(id int32, name string) (dbus.Variant, *dbus.Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, ok := m.nodes[id]; ok {
		if v, ok := n.properties()[name]; ok {
			return v, nil
		}
	}
	return dbus.Variant{}, errNoItem
}

// Event is told of clicks, also on lines that are grayed. One on a line that is
// gone by now does nothing, and is told so.
func (m *dbusMenu) Event(id int32, event string, _ dbus.Variant, _ uint32) *dbus.Error {
	m.mu.Lock()
	n, ok := m.nodes[id]
	var a Action
	if ok {
		a = n.item.Action
	}
	m.mu.Unlock()
	if !ok {
		return errNoItem
	}
	if event == "clicked" && a != (Action{}) {
		m.click(a)
	}
	return nil
}

type menuEvent struct {
	ID        int32
	Event     string
	Data      dbus.Variant
	Timestamp uint32
}

func (m *dbusMenu) EventGroup(events []menuEvent) (unknown []int32, _ *dbus.Error) {
	unknown = []int32{}
	for _, e := range events {
		if err := m.Event(e.ID, e.Event, e.Data, e.Timestamp); err != nil {
			unknown = append(unknown, e.ID)
		}
	}
	return unknown, nil
}

func (m *dbusMenu) AboutToShow(int32) (needUpdate bool, _ *dbus.Error) { return false, nil }

func (m *dbusMenu) AboutToShowGroup([]int32) (needUpdate, unknown []int32, _ *dbus.Error) {
	return []int32{}, []int32{}, nil
}
