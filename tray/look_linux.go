package tray

import (
	"os"
	"strings"
	"sync"

	"github.com/key2oauth/key2oauth/icons"
	"github.com/key2oauth/key2oauth/tray/internal/pixels"
)

// picture returns the icon for the systray package. The panel's color is
// unknown, so it is the variant that works on every panel; the panel scales it
// down.
func picture(s icons.State) []byte {
	if p, ok := pictures.Load(s); ok {
		return p.([]byte)
	}
	p := pixels.ForPanel(icons.PNG(s, icons.Neutral, 64))
	pictures.Store(s, p)
	return p
}

var pictures sync.Map // icons.State to []byte

// label escapes the character that marks an access key in menus.
func label(s string) string { return strings.ReplaceAll(s, "_", "__") }

// tapOpens reports whether a click on the icon opens the window. On most
// desktops it opens the menu. LXQt opens the menu with the other button only,
// and a click would do nothing.
func tapOpens() bool { return strings.Contains(os.Getenv("XDG_CURRENT_DESKTOP"), "LXQt") }
