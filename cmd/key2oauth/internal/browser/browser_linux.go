package browser

import (
	"errors"
	"os/exec"
	"syscall"
)

// openURL opens link in the desktop's browser. The browser gets a session of
// its own, since Ctrl-C in our terminal must not end it. Its output is dropped.
func openURL(link string) error {
	for _, name := range []string{"xdg-open", "x-www-browser", "www-browser"} {
		if _, err := exec.LookPath(name); err != nil {
			continue
		}
		cmd := exec.Command(name, link)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		return cmd.Run()
	}
	return errors.New("xdg-open is not installed")
}
