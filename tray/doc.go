// Package tray shows the state of the program in the desktop's tray, and asks
// for what is clicked there. It knows nothing of the rest of the program:
// State comes in, Action goes out.
//
// What is shown is a pure function of State: Menu, Icon and Tooltip. Run draws
// it by way of the systray package, which only tray.go imports; on Linux the
// menu is told to panels by a server of our own, since some of them lose lines
// by the way of that package.
//
// # Desktops
//
// On Linux an icon is drawn by whoever owns org.kde.StatusNotifierWatcher on
// the session bus: KDE, XFCE, LXQt, Cinnamon, MATE, and GNOME with the
// AppIndicator extension. Run starts drawing when there is one, however late,
// and Config.Host hears whether there is. Without a bus Run returns ErrNoBus,
// and the program is to go on without a tray.
//
// On Windows Run waits for the taskbar, which comes after the first programs of
// a login.
//
// On macOS the systray package needs cgo. A program built without it gets
// ErrUnsupported.
package tray
