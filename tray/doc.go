// Package tray shows the program's state in the desktop's tray, and reports
// what is clicked there. It knows nothing about the rest of the program: State
// comes in, Action goes out.
//
// Menu, Icon and Tooltip are pure functions of State. Run draws them with the
// systray package, which only tray.go imports. On Linux a server of our own
// gives the menu to panels, since some of them lose lines of that package's.
//
// # Desktops
//
// On Linux the owner of org.kde.StatusNotifierWatcher on the session bus draws
// the icon: KDE, XFCE, LXQt, Cinnamon, MATE, and GNOME with the AppIndicator
// extension. Run starts drawing as soon as there is one, and tells Config.Host
// whether there is. Without a bus Run returns ErrNoBus, and the program should
// continue without a tray.
//
// On Windows Run waits for the taskbar, which starts after the first programs
// of a login.
//
// On macOS the systray package needs cgo. A program built without it gets
// ErrUnsupported.
package tray
