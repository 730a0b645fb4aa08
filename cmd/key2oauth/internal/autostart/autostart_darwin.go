package autostart

import (
	"errors"
	"os"
	"path/filepath"
)

// agent is the file that launchd looks for at login.
func agent() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, "Library", "LaunchAgents", label+".plist"), nil
}

func enable(c Command) error {
	name, err := agent()
	if err != nil {
		return err
	}
	return write(name, launchAgent(c))
}

// disable removes the file alone: to unload the agent would end the program
// that asks for it.
func disable() error {
	name, err := agent()
	if err != nil {
		return err
	}
	return remove(name)
}

// enabled cannot see whether the user has turned the agent off in the system's
// settings; macOS tells that only to signed bundles.
func enabled(c Command) (State, error) {
	name, err := agent()
	if err != nil {
		return Off, err
	}
	content, err := os.ReadFile(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return Off, nil
	case err != nil:
		return Off, err
	case string(content) != launchAgent(c):
		return other(programIn(string(content))), nil
	}
	return On, nil
}

// windowless is exe: programs open no console here.
func windowless(exe string) string { return exe }
