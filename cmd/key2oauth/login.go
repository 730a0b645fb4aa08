package main

import (
	"os"
	"path/filepath"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/autostart"
)

// A loginSetting is "start at login", as the settings page changes it.
type loginSetting struct{ self autostart.Command }

// Enabled is true for another copy of the program too, as in the tray.
func (l loginSetting) Enabled() (bool, error) {
	st, err := autostart.Enabled(l.self)
	return st != autostart.Off, err
}

func (l loginSetting) Set(on bool) error {
	if on {
		return autostart.Enable(l.self)
	}
	return autostart.Disable()
}

// isDefaultDir reports whether the data folder is the default one.
func (p *program) isDefaultDir() bool {
	dir, err := os.UserConfigDir()
	return err == nil && p.DataDir == filepath.Join(dir, "key2oauth")
}

// forgetLogin removes the login entry, if it starts the program on this data
// folder, or a program that is gone. An entry with other flags than those tried
// here is kept, and left says so.
func (p *program) forgetLogin() (left string, err error) {
	exe, err := autostart.Self()
	if err != nil {
		return "", nil // then there can be no entry either
	}
	folders := [][]string{{"--data-dir=" + p.DataDir}}
	if p.isDefaultDir() {
		folders = append(folders, nil)
	}
	for _, folder := range folders {
		for _, keychain := range [][]string{nil, {"--keychain=os"}, {"--keychain=file"}, {"--keychain=memory"}} {
			// In the order of loginCommand, which sorts them.
			args := append(append([]string{"--" + atLoginFlag}, folder...), keychain...)
			st, err := autostart.Enabled(autostart.Command{Program: exe, Args: args})
			switch {
			case err != nil || st == autostart.Off:
				return "", nil
			case st == autostart.On || st == autostart.Moved:
				return "", autostart.Disable()
			}
		}
	}
	if p.isDefaultDir() {
		left = "Your login still starts Key2OAuth, with other flags. Turn that off in the settings of your desktop."
	}
	return left, nil
}
