package main

import (
	"os"
	"path/filepath"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/autostart"
)

// A loginSetting is start at login, as the settings page changes it.
type loginSetting struct{ self autostart.Command }

// Enabled says of another copy of the program too that it is started, as the
// tray does.
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

// isDefaultDir reports whether the data folder is the one that the program
// takes if none is named.
func (p *program) isDefaultDir() bool {
	dir, err := os.UserConfigDir()
	return err == nil && p.dataDir == filepath.Join(dir, "key2oauth")
}

// forgetLogin makes login start nothing, if what it starts is the program on
// this data folder, or a program that is gone. It may have been told other
// flags than those that are tried here; then left says so.
func (p *program) forgetLogin() (left string, err error) {
	exe, err := autostart.Self()
	if err != nil {
		return "", nil // then it could not be made to start anything either
	}
	folders := [][]string{{"--data-dir=" + p.dataDir}}
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
		left = "Login starts a copy of the program with flags of its own. The settings of your desktop turn that off."
	}
	return left, nil
}
