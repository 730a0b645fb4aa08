//go:build linux

package traytest

import (
	"bufio"
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// A Desktop is a real desktop: XFCE's panel, notification daemon and settings,
// with its own bus and display. It ends with its test.
type Desktop struct {
	*Bus
	display string
}

// Options are how a desktop differs from the default.
type Options struct {
	Dark    bool // a dark panel
	NoPanel bool // StartPanel starts it later
	Bus     *Bus // the session's bus; nil means a new one
}

// The size of the screen, and of the panel at its lower edge.
const (
	screenWidth, screenHeight = 1000, 700
	panelHeight               = 32
)

const panelConfig = `<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="dark-mode" type="bool" value="%t"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=8;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="size" type="uint" value="%d"/>
      <property name="plugin-ids" type="array">
        <value type="int" value="1"/><value type="int" value="2"/><value type="int" value="3"/>
      </property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="separator">
      <property name="expand" type="bool" value="true"/>
      <property name="style" type="uint" value="0"/>
    </property>
    <property name="plugin-2" type="string" value="systray">
      <property name="square-icons" type="bool" value="true"/>
    </property>
    <property name="plugin-3" type="string" value="clock"/>
  </property>
</channel>
`

// StartDesktop starts a desktop, and waits until it shows icons. It skips t if
// a program for it is missing.
func StartDesktop(t testing.TB, o Options) *Desktop {
	t.Helper()
	for _, p := range []string{"openbox", "xdotool", "import", "display", "xfce4-panel"} {
		testenv.Need(t, p)
	}
	d := &Desktop{Bus: o.Bus}
	if d.Bus == nil {
		d.Bus = StartBus(t)
	}
	d.startDisplay(t)
	config := filepath.Join(d.ConfigDir(), "xfce4", "xfconf", "xfce-perchannel-xml")
	if err := os.MkdirAll(config, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config, "xfce4-panel.xml"), fmt.Appendf(nil, panelConfig, o.Dark, panelHeight), 0o600); err != nil {
		t.Fatal(err)
	}
	d.start(t, installed(t, "xfce4/xfconf/xfconfd"))
	d.waitOwned(t, "org.xfce.Xfconf")
	d.start(t, "openbox")
	d.start(t, "display", "-window", "root", "xc:#5d6f86") // no real desktop is black
	d.start(t, installed(t, "xfce4/notifyd/xfce4-notifyd"))
	d.waitOwned(t, "org.freedesktop.Notifications")
	if !o.NoPanel {
		d.StartPanel(t)
	}
	return d
}

// StartScreen starts an empty display, for another kind of desktop. It skips t
// if a program for it is missing.
func StartScreen(t testing.TB) *Desktop {
	t.Helper()
	for _, p := range []string{"xdotool", "import"} {
		testenv.Need(t, p)
	}
	d := &Desktop{Bus: StartBus(t)}
	d.startDisplay(t)
	return d
}

// StartPanel starts the panel, and waits until it shows icons. The returned
// function ends the panel, like a crash. The test fails if the panel could not
// draw a line of a menu.
func (d *Desktop) StartPanel(t testing.TB) (stop func()) {
	t.Helper()
	var said testenv.Output
	t.Cleanup(func() { // after it has ended
		if n := strings.Count(said.String(), "Children but no menu"); n > 0 {
			t.Errorf("the panel has dropped %d lines of submenus:\n%s", n, said.String())
		}
	})
	cmd := d.startTo(t, &said, "xfce4-panel", "--disable-wm-check")
	d.waitOwned(t, watcherName)
	return func() { testenv.End(cmd) }
}

// installed finds a program that is not on the PATH.
func installed(t testing.TB, name string) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/*/" + name)
	if len(found) == 0 {
		testenv.Skip(t, "needs "+name+", which is not installed")
	}
	return found[0]
}

// startDisplay starts an X server, which chooses a free display number.
func (d *Desktop) startDisplay(t testing.TB) {
	t.Helper()
	server := exec.Command(testenv.Need(t, "Xvfb"), "-displayfd", "3",
		"-screen", "0", fmt.Sprintf("%dx%dx24", screenWidth, screenHeight), "-nolisten", "tcp")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	server.ExtraFiles = []*os.File{w}
	var said bytes.Buffer
	server.Stderr = &said
	err = server.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		testenv.End(server)
		if t.Failed() {
			t.Logf("Xvfb said:\n%s", said.String())
		}
	})
	number, err := bufio.NewReader(r).ReadString('\n') // a server that cannot write all of the line ends
	if err != nil {
		t.Fatalf("Xvfb said no display: %v", err)
	}
	d.display = ":" + strings.TrimSpace(number)
}

// Env returns the environment of a program on this desktop.
func (d *Desktop) Env() []string {
	return append(d.Bus.Env(), "DISPLAY="+d.display, "XDG_CURRENT_DESKTOP=XFCE", "NO_AT_BRIDGE=1", "GTK_A11Y=none", "LC_ALL=C.UTF-8")
}

// start starts a program, which ends with the test.
func (d *Desktop) start(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	return d.startTo(t, new(testenv.Output), name, args...)
}

func (d *Desktop) startTo(t testing.TB, said *testenv.Output, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = d.Env()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		testenv.End(cmd)
		if words := said.String(); t.Failed() && words != "" {
			t.Logf("%s said:\n%s", filepath.Base(name), words)
		}
	})
	return cmd
}

func (d *Desktop) waitOwned(t testing.TB, name string) {
	t.Helper()
	c := d.Connect(t)
	Wait(t, name+" on the bus", func() (bool, string) { return owned(c, name), "" })
}

func owned(c *dbus.Conn, name string) bool {
	var yes bool
	err := c.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, name).Store(&yes)
	return err == nil && yes
}

// Do sends an xdotool command to mouse and keyboard.
func (d *Desktop) Do(t testing.TB, args ...string) {
	t.Helper()
	cmd := exec.Command("xdotool", args...)
	cmd.Env = d.Env()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("xdotool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Point moves the mouse, and clicks with a button if it is not 0.
func (d *Desktop) Point(t testing.TB, at image.Point, button int) {
	t.Helper()
	d.Do(t, "mousemove", strconv.Itoa(at.X), strconv.Itoa(at.Y))
	if button != 0 {
		d.Do(t, "click", strconv.Itoa(button))
	}
}

// Screen returns the current screen.
func (d *Desktop) Screen(t testing.TB) image.Image {
	t.Helper()
	cmd := exec.Command("import", "-window", "root", "png:-")
	cmd.Env = d.Env()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("import: %v", err)
	}
	img, err := png.Decode(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// Icon waits until the panel shows an icon with enough of a color, and returns
// where.
func (d *Desktop) Icon(t testing.TB, c color.NRGBA) image.Point {
	t.Helper()
	var at image.Point
	Wait(t, fmt.Sprintf("an icon with #%02x%02x%02x", c.R, c.G, c.B), func() (bool, string) {
		var ok bool
		at, ok = Find(d.Screen(t), Panel, c)
		return ok, ""
	})
	return at
}

// OpenMenu clicks an icon, and waits for its menu.
func (d *Desktop) OpenMenu(t testing.TB, icon image.Point) {
	t.Helper()
	before := d.Screen(t)
	d.Point(t, icon, 1)
	d.WaitChange(t, "the menu on the screen", before, menuSize)
	d.Still(t)
}

// OpenSubmenu selects a line of the open menu with keys, and opens its submenu.
func (d *Desktop) OpenSubmenu(t testing.TB, keys ...string) {
	t.Helper()
	d.Do(t, append([]string{"key"}, keys...)...)
	before := d.Still(t)
	d.Do(t, "key", "Right")
	d.WaitChange(t, "the submenu on the screen", before, menuSize/4)
	d.Still(t)
}

// CloseMenu closes a menu that is open.
func (d *Desktop) CloseMenu(t testing.TB) {
	t.Helper()
	before := d.Screen(t)
	d.Do(t, "key", "Escape")
	d.WaitChange(t, "the end of the menu", before, menuSize)
	d.Point(t, image.Pt(100, 100), 0)
	d.Still(t)
}

// menuSize is how many pixels differ at least between a screen with a menu and
// one without.
const menuSize = 20_000

// WaitChange waits until more than that many pixels differ from before.
func (d *Desktop) WaitChange(t testing.TB, what string, before image.Image, pixels int) {
	t.Helper()
	Wait(t, what, func() (bool, string) {
		n := Changed(before, d.Screen(t))
		return n > pixels, fmt.Sprint(n, " pixels changed")
	})
}

// Still returns the screen once nothing moves on it: menus, windows and
// notifications appear in several steps.
func (d *Desktop) Still(t testing.TB) image.Image {
	t.Helper()
	now := d.Screen(t)
	Wait(t, "a screen on which nothing moves", func() (bool, string) {
		time.Sleep(100 * time.Millisecond) // between two pictures
		before := now
		now = d.Screen(t)
		n := Changed(before, now)
		return n == 0, fmt.Sprint(n, " pixels changed")
	})
	return now
}

// Panel is the panel's rectangle.
var Panel = image.Rect(0, screenHeight-panelHeight, screenWidth, screenHeight)

// Find returns the center of the pixels in r that are nearly c, and whether
// there are too many to be chance.
func Find(img image.Image, r image.Rectangle, c color.NRGBA) (image.Point, bool) {
	var sum image.Point
	n := 0
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			p := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			if near(p.R, c.R) && near(p.G, c.G) && near(p.B, c.B) {
				sum = sum.Add(image.Pt(x, y))
				n++
			}
		}
	}
	if n < 6 {
		return image.Point{}, false
	}
	return sum.Div(n), true
}

func near(a, b uint8) bool { return max(a, b)-min(a, b) <= 12 }

// Changed counts the pixels that differ.
func Changed(a, b image.Image) int {
	n := 0
	for y := range screenHeight {
		for x := range screenWidth {
			if a.At(x, y) != b.At(x, y) {
				n++
			}
		}
	}
	return n
}

// Keep writes a part of a picture to file, for people to look at.
func Keep(t testing.TB, img image.Image, part image.Rectangle, file string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	out := image.NewNRGBA(image.Rect(0, 0, part.Dx(), part.Dy()))
	draw.Draw(out, out.Bounds(), img, part.Min, draw.Src)
	var b bytes.Buffer
	if err := png.Encode(&b, out); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
