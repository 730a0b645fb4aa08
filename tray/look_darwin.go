package tray

import "github.com/key2oauth/key2oauth/icons"

// picture is the icon as the systray package wants it. The system colors it.
func picture(s icons.State) []byte { return icons.PNG(s, icons.Template, 32) }

// label is s: menus have no marks for access keys here.
func label(s string) string { return s }

// tapOpens reports whether a click on the icon is to open the dashboard: here
// it opens the menu.
func tapOpens() bool { return false }
