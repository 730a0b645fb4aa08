package autostart

import (
	"errors"
	"os"
	"path/filepath"
)

// entry is the file that desktops look for at login.
func entry() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "autostart", "key2oauth.desktop"), nil
}

func enable(c Command) error {
	name, err := entry()
	if err != nil {
		return err
	}
	return write(name, desktopEntry(c))
}

func disable() error {
	name, err := entry()
	if err != nil {
		return err
	}
	return remove(name)
}

func enabled(c Command) (State, error) {
	name, err := entry()
	if err != nil {
		return Off, err
	}
	content, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return Off, nil
	}
	if err != nil {
		return Off, err
	}
	return readDesktopEntry(string(content), c), nil
}

// windowless is exe: programs open no console here.
func windowless(exe string) string { return exe }
