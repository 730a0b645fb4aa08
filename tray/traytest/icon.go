//go:build linux

package traytest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// An Icon is a program's icon, as a panel sees it.
type Icon struct {
	conn *dbus.Conn
	dest string
	path dbus.ObjectPath
}

// A Picture is an icon in pixels: alpha, red, green, blue.
type Picture struct {
	Width, Height int32
	Pixels        []byte
}

// IconOf returns the icon of a process, no matter which panel shows it.
func (b *Bus) IconOf(t testing.TB, pid int) *Icon {
	t.Helper()
	return &Icon{conn: b.Connect(t), dest: fmt.Sprintf("org.kde.StatusNotifierItem-%d-1", pid), path: "/StatusNotifierItem"}
}

func (i *Icon) property(name string) (dbus.Variant, error) {
	return i.conn.Object(i.dest, i.path).GetProperty("org.kde.StatusNotifierItem." + name)
}

// Picture returns what the panel draws.
func (i *Icon) Picture() (Picture, error) {
	v, err := i.property("IconPixmap")
	if err != nil {
		return Picture{}, err
	}
	var all []Picture
	if err := v.Store(&all); err != nil {
		return Picture{}, err
	}
	if len(all) != 1 {
		return Picture{}, fmt.Errorf("%d pictures", len(all))
	}
	return all[0], nil
}

// Tooltip returns the text that shows under the pointer.
func (i *Icon) Tooltip() (string, error) {
	v, err := i.property("ToolTip")
	if err != nil {
		return "", err
	}
	var tip struct {
		Icon        string
		Pictures    []Picture
		Title, Text string
	}
	err = v.Store(&tip)
	return tip.Title, err
}

// Title returns the name that a desktop's settings have for the icon.
func (i *Icon) Title() (string, error) {
	v, err := i.property("Title")
	s, _ := v.Value().(string)
	return s, err
}

// Activate is a click on the icon itself.
func (i *Icon) Activate() error {
	return i.conn.Object(i.dest, i.path).Call("org.kde.StatusNotifierItem.Activate", 0, int32(0), int32(0)).Err
}

// An Item is a line of the menu.
type Item struct {
	ID                 int32
	Label              string
	Enabled, Separator bool
	Checkable, Checked bool
	Items              []*Item
}

// layout is a node in the form that com.canonical.dbusmenu sends.
type layout struct {
	ID         int32
	Properties map[string]dbus.Variant
	Children   []dbus.Variant
}

func (i *Icon) menu() (dbus.BusObject, error) {
	v, err := i.property("Menu")
	if err != nil {
		return nil, err
	}
	path, ok := v.Value().(dbus.ObjectPath)
	if !ok {
		return nil, fmt.Errorf("the menu is at %v", v)
	}
	return i.conn.Object(i.dest, path), nil
}

// Menu reads the menu. A new one is revealed level by level.
func (i *Icon) Menu() (*Item, error) {
	o, err := i.menu()
	if err != nil {
		return nil, err
	}
	var (
		revision uint32
		root     layout
	)
	if err := o.Call("com.canonical.dbusmenu.GetLayout", 0, int32(0), int32(-1), []string{}).Store(&revision, &root); err != nil {
		return nil, err
	}
	return convert(root)
}

func convert(l layout) (*Item, error) {
	i := &Item{ID: l.ID, Enabled: true}
	for name, v := range l.Properties {
		switch name {
		case "label":
			i.Label, _ = v.Value().(string)
		case "enabled":
			i.Enabled = v.Value() == true
		case "type":
			i.Separator = v.Value() == "separator"
		case "toggle-type":
			i.Checkable = v.Value() == "checkmark"
		case "toggle-state":
			i.Checked = v.Value() == int32(1)
		}
	}
	for _, child := range l.Children {
		var c layout
		if err := child.Store(&c); err != nil {
			return nil, err
		}
		item, err := convert(c)
		if err != nil {
			return nil, err
		}
		i.Items = append(i.Items, item)
	}
	return i, nil
}

// Find returns the item under a path of labels, or nil.
func (i *Item) Find(labels ...string) *Item {
	if len(labels) == 0 {
		return i
	}
	for _, c := range i.Items {
		if c.Label == labels[0] {
			return c.Find(labels[1:]...)
		}
	}
	return nil
}

// String is the menu as text.
func (i *Item) String() string {
	var b strings.Builder
	var walk func(*Item, string)
	walk = func(i *Item, indent string) {
		for _, c := range i.Items {
			b.WriteString(indent)
			switch {
			case c.Separator:
				b.WriteString("---")
			case !c.Enabled:
				fmt.Fprintf(&b, "(%s)", c.Label)
			case c.Checkable:
				b.WriteString(map[bool]string{true: "[x] ", false: "[ ] "}[c.Checked] + c.Label)
			default:
				b.WriteString(c.Label)
			}
			b.WriteByte('\n')
			walk(c, indent+"    ")
		}
	}
	walk(i, "")
	return b.String()
}

// WaitMenu waits until ok accepts the menu.
func (i *Icon) WaitMenu(t testing.TB, what string, ok func(*Item) bool) *Item {
	t.Helper()
	var menu *Item
	Wait(t, what, func() (bool, string) {
		var err error
		if menu, err = i.Menu(); err != nil {
			return false, err.Error()
		}
		return ok(menu), menu.String()
	})
	return menu
}

// Click clicks the item under a path of labels, once there is one.
func (i *Icon) Click(t testing.TB, labels ...string) {
	t.Helper()
	Wait(t, fmt.Sprintf("a click on %q", labels), func() (bool, string) {
		menu, err := i.Menu()
		if err != nil {
			return false, err.Error()
		}
		item := menu.Find(labels...)
		if item == nil {
			return false, menu.String()
		}
		if !item.Enabled {
			t.Fatalf("%q is grayed", labels)
		}
		if err := i.ClickID(item.ID); err != nil {
			if Gone(err) { // the menu was replaced meanwhile
				return false, err.Error()
			}
			t.Fatal(err)
		}
		return true, ""
	})
}

// Gone reports whether an error of ClickID means that there is no such item.
func Gone(err error) bool {
	e, ok := errors.AsType[dbus.Error](err)
	return ok && e.Name == "com.canonical.dbusmenu.Error"
}

// ClickID sends a click on an item, even if it is grayed or gone.
func (i *Icon) ClickID(id int32) error {
	o, err := i.menu()
	if err != nil {
		return err
	}
	return o.Call("com.canonical.dbusmenu.Event", 0, id, "clicked", dbus.MakeVariant(int32(0)), uint32(0)).Err
}
