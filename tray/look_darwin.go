package tray

import "github.com/key2oauth/key2oauth/icons"

// picture returns the icon for the systray package. The system colors it.
func picture(s icons.State) []byte { return icons.PNG(s, icons.Template, 32) }

// label returns s: menus have no access keys here.
func label(s string) string { return s }

// tapOpens reports whether a click on the icon opens the window. Here it
// opens the menu.
func tapOpens() bool { return false }
