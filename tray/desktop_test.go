//go:build linux

package tray

import (
	"image"
	"image/color"
	"path/filepath"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/tray/traytest"
)

// shots is the folder where screenshots are kept for people to look at.
var shots = filepath.Join("..", "e2e", "output")

// green is the color of the "online" badge, which is the same on every panel.
var green = color.NRGBA{0x13, 0x9a, 0x67, 0xff}

// TestRealPanel shows the tray on XFCE's panel, and clicks it with mouse and
// keyboard.
func TestRealPanel(t *testing.T) {
	testenv.Slow(t)
	for _, panel := range []string{"light", "dark"} {
		t.Run(panel, func(t *testing.T) {
			d := traytest.StartDesktop(t, traytest.Options{Dark: panel == "dark", NoPanel: panel == "dark"})
			a := start(t, d.Env())
			a.show(live())
			host := func(want string) {
				t.Helper()
				if got := a.line("host"); got != want {
					t.Fatalf("host is %s, want %s", got, want)
				}
			}
			if panel == "dark" { // this panel comes later than the program, and crashes
				host("false")
				stop := d.StartPanel(t)
				host("true")
				d.Icon(t, green)
				stop()
				host("false")
				d.StartPanel(t)
			}
			host("true")
			icon := d.Icon(t, green)
			menu := d.IconOf(t, a.cmd.Process.Pid)
			show := func(s State) {
				t.Helper()
				a.show(s)
				menu.WaitMenu(t, "the menu", reads(s))
			}
			keep := func(name string, part image.Rectangle) {
				traytest.Keep(t, d.Still(t), part, filepath.Join(shots, "tray-"+name+"-"+panel+".png"))
			}
			lower := image.Rect(400, 150, 1000, 700)

			for name, s := range menuStates() {
				switch name {
				case "first-run", "rejected-key", "paused", "hostile-names", "long-names", "everything-at-once":
					show(s)
					d.OpenMenu(t, icon)
					part := lower
					if name == "long-names" {
						part = image.Rect(0, 150, 1000, 700)
					}
					keep(name, part)
					d.CloseMenu(t)
				}
			}
			// Each of these menus has other lines, and StartPanel checks
			// whether the panel has drawn them all.
			for i := range 20 {
				s := live()
				s.Paused = i%2 == 0
				show(s)
			}
			show(live())
			d.Icon(t, green)
			d.OpenMenu(t, icon)
			keep("connected", lower)
			d.OpenSubmenu(t, "Down") // Linear
			keep("endpoint", lower)
			d.Do(t, "key", "Return") // Copy MCP URL
			if got := a.line("do"); got != "copy-url aaaaaaaaaaaa" {
				t.Errorf("the keyboard did %q", got)
			}
		})
	}
}
