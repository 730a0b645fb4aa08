package tray

import (
	"strings"

	"golang.org/x/sys/windows/registry"

	"github.com/key2oauth/key2oauth/icons"
)

// picture is the icon as the systray package wants it, for the color that the
// taskbar has now.
func picture(s icons.State) []byte { return icons.ICO(s, taskbar()) }

// taskbar reads the setting "Windows mode". Where there is none, as before
// Windows 10 1903 and on Wine, the taskbar may have any color.
func taskbar() icons.Variant {
	k, err := registry.OpenKey(registry.CURRENT_USER, `Software\Microsoft\Windows\CurrentVersion\Themes\Personalize`, registry.QUERY_VALUE)
	if err != nil {
		return icons.Neutral
	}
	defer k.Close()
	switch light, _, err := k.GetIntegerValue("SystemUsesLightTheme"); {
	case err != nil:
		return icons.Neutral
	case light != 0:
		return icons.Light
	}
	return icons.Dark
}

// label escapes what a menu would take for the mark of an access key.
func label(s string) string { return strings.ReplaceAll(s, "&", "&&") }

// tapOpens reports whether a click on the icon is to open the dashboard: here
// it opens the menu.
func tapOpens() bool { return false }
