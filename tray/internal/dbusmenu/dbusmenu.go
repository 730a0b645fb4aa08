// Package dbusmenu is the menu of a tray icon in the form that Linux panels read,
// com.canonical.dbusmenu.
package dbusmenu

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	// Path is where the systray package announces the menu.
	Path = dbus.ObjectPath("/StatusNotifierItem/menu")
	// Interface is what panels read the menu by.
	Interface = "com.canonical.dbusmenu"
)

// Reveal is how long panels have for one level of the menu before they learn
// of the next.
const Reveal = 100 * time.Millisecond

// Overdue is how long a panel has to read a menu before it is reminded; the time
// doubles with each of the reminders.
const (
	Overdue   = time.Second
	reminders = 5
)

// An Item is one line of the menu.
type Item struct {
	Label     string // with its underscores doubled
	Click     func() // may be nil
	Enabled   bool   // else it is grayed
	Checkable bool   // has a check mark, set or not
	Checked   bool
	Separator bool
	Items     []Item // a submenu
}

// A Menu is the menu that panels read, in place of the systray package's.
// That package announces each added item, and panels that draw with
// libdbusmenu (XFCE, Cinnamon, Ubuntu) then lose lines: they ask for the
// properties of a submenu's lines at the same time as for those of the
// submenu, and drop each line whose answer arrives before that of its submenu.
//
// This menu changes as a whole, and a panel learns of it level by level: of
// the lines of a submenu only after it has the submenu.
//
// libdbusmenu also misses a change that is announced while it reads the menu
// before, and then shows the old one forever. So a panel that has read a menu,
// and does not read the next, is reminded.
type Menu struct {
	conn *dbus.Conn
	log  *slog.Logger

	first  sync.Once
	wanted chan struct{} // closed by first, when a panel reads the menu

	mu       sync.Mutex
	root     *menuNode
	nodes    map[int32]*menuNode
	lastID   int32 // ids are never reused: a click on a removed item does nothing
	revision uint32
	read     map[dbus.Sender]uint32 // the revision each panel has read
	known    map[dbus.Sender]int    // how many levels each panel may read
	curious  map[dbus.Sender]bool   // panels that may read one more level after Reveal
}

// A menuNode is a line of the menu, or the root.
type menuNode struct {
	id       int32
	item     Item
	children []*menuNode
}

// A Layout is a line with those below it, in the form that the interface sends.
type Layout struct {
	ID         int32
	Properties map[string]dbus.Variant
	Children   []dbus.Variant
}

// menuProperties are a line in the form that the interface sends.
type menuProperties struct {
	ID         int32
	Properties map[string]dbus.Variant
}

// New replaces the systray package's menu. It is called while that package
// starts, which answers panels only once it is done: panels that asked before
// get nothing, and an older revision.
func New(items []Item, log *slog.Logger) (*Menu, error) {
	conn, err := dbus.SessionBus() // the systray package's connection
	if err != nil {
		return nil, err
	}
	// The package takes this name once its own menu is in place.
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
	m := &Menu{conn: conn, log: log, wanted: make(chan struct{}), revision: 1000, read: make(map[dbus.Sender]uint32)}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.build(items)
	if err := conn.Export(m, Path, Interface); err != nil {
		return nil, err
	}
	m.announce()
	return m, nil
}

// Asked returns a channel that is closed once a panel has read the menu.
func (m *Menu) Asked() <-chan struct{} { return m.wanted }

// Replace shows another menu.
func (m *Menu) Replace(items []Item) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.build(items)
	m.announce()
}

// build replaces the menu.
func (m *Menu) build(items []Item) {
	m.nodes = make(map[int32]*menuNode)
	m.known, m.curious = make(map[dbus.Sender]int), make(map[dbus.Sender]bool)
	m.root = &menuNode{children: m.nodesOf(items)}
	m.nodes[0] = m.root
}

func (m *Menu) nodesOf(items []Item) []*menuNode {
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

// Retitle changes the labels of the lines. The menu must have the same lines as
// before otherwise.
func (m *Menu) Retitle(items []Item) {
	m.mu.Lock()
	defer m.mu.Unlock()
	changed := []menuProperties{}
	var pair func([]*menuNode, []Item)
	pair = func(nodes []*menuNode, items []Item) {
		for i, n := range nodes {
			if n.item.Label != items[i].Label {
				changed = append(changed, menuProperties{n.id, map[string]dbus.Variant{"label": dbus.MakeVariant(items[i].Label)}})
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
	m.announce() // for panels that read nothing else
}

// announce makes the panels read the menu.
func (m *Menu) announce() {
	m.revision++
	m.tell(m.revision, Overdue, reminders)
}

// tell announces a revision to the panels, and reminds those that do not read
// it after wait.
func (m *Menu) tell(revision uint32, wait time.Duration, again int) {
	m.emit("LayoutUpdated", revision, int32(0))
	time.AfterFunc(wait, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.revision != revision || !m.conn.Connected() {
			return // a newer revision was announced
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

func (m *Menu) emit(signal string, args ...any) {
	if err := m.conn.Emit(Path, Interface+"."+signal, args...); err != nil {
		m.log.Debug("the panels were not told of the menu", "signal", signal, "err", err)
	}
}

// allow returns how many levels from the root a panel may read now, and
// arranges that it learns of the next.
func (m *Menu) allow(panel dbus.Sender) int {
	levels := max(m.known[panel], 1)
	m.known[panel] = levels
	if levels < m.root.height() {
		if len(m.curious) == 0 {
			root := m.root
			time.AfterFunc(Reveal, func() { m.revealMore(root) })
		}
		m.curious[panel] = true
	}
	return levels
}

// revealMore allows one more level to the panels that have read one.
func (m *Menu) revealMore(root *menuNode) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.root != root {
		return // no longer the menu
	}
	for panel := range m.curious {
		m.known[panel]++
	}
	clear(m.curious)
	m.announce()
}

// height returns the number of levels below n.
func (n *menuNode) height() int {
	h := 0
	for _, c := range n.children {
		h = max(h, 1+c.height())
	}
	return h
}

// layout returns n with that many levels below it.
func (n *menuNode) layout(levels int) Layout {
	l := Layout{n.id, n.properties(), []dbus.Variant{}}
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
		p["label"] = dbus.MakeVariant(n.item.Label)
		p["enabled"] = dbus.MakeVariant(n.item.Enabled)
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

// GetLayout is part of the interface com.canonical.dbusmenu, like the methods
// below.
func (m *Menu) GetLayout(panel dbus.Sender, parent, depth int32, _ []string) (uint32, Layout, *dbus.Error) {
	m.first.Do(func() { close(m.wanted) })
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.nodes[parent]
	if !ok {
		return 0, Layout{}, errNoItem
	}
	if n == m.root {
		m.read[panel] = m.revision
	}
	levels := 1 // a panel that names an item has read it
	switch {
	case depth == 0:
		levels = 0
	case n == m.root && depth != 1: // a panel that asks for one level asks for each submenu
		levels = m.allow(panel)
		if depth > 0 {
			levels = min(levels, int(depth))
		}
	}
	return m.revision, n.layout(levels), nil
}

func (m *Menu) GetGroupProperties(ids []int32, _ []string) ([]menuProperties, *dbus.Error) {
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

func (m *Menu) GetProperty(id int32, name string) (dbus.Variant, *dbus.Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, ok := m.nodes[id]; ok {
		if v, ok := n.properties()[name]; ok {
			return v, nil
		}
	}
	return dbus.Variant{}, errNoItem
}

// Event handles clicks, including those on grayed lines. A click on a removed
// line does nothing, and the panel learns that it is gone.
func (m *Menu) Event(id int32, event string, _ dbus.Variant, _ uint32) *dbus.Error {
	m.mu.Lock()
	n, ok := m.nodes[id]
	var click func()
	if ok {
		click = n.item.Click
	}
	m.mu.Unlock()
	if !ok {
		return errNoItem
	}
	if event == "clicked" && click != nil {
		click()
	}
	return nil
}

type menuEvent struct {
	ID        int32
	Event     string
	Data      dbus.Variant
	Timestamp uint32
}

func (m *Menu) EventGroup(events []menuEvent) (unknown []int32, _ *dbus.Error) {
	unknown = []int32{}
	for _, e := range events {
		if err := m.Event(e.ID, e.Event, e.Data, e.Timestamp); err != nil {
			unknown = append(unknown, e.ID)
		}
	}
	return unknown, nil
}

func (m *Menu) AboutToShow(int32) (needUpdate bool, _ *dbus.Error) { return false, nil }

func (m *Menu) AboutToShowGroup([]int32) (needUpdate, unknown []int32, _ *dbus.Error) {
	return []int32{}, []int32{}, nil
}
