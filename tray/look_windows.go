package tray

import (
	"strings"

	"golang.org/x/sys/windows/registry"

	"github.com/key2oauth/key2oauth/icons"
)

// picture returns the icon for the systray package, in the variant for the
// taskbar's current color.
func picture(s icons.State) []byte { return icons.ICO(s, taskbar()) }

// taskbar reads the setting "Windows mode". Where it is missing, as before
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

// label escapes the character that marks an access key in menus.
func label(s string) string { return strings.ReplaceAll(s, "&", "&&") }

// tapOpens reports whether a click on the icon opens the window. Here it
// opens the menu.
func tapOpens() bool { return false }
