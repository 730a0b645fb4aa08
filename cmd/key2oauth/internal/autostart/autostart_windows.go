package autostart

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/windows/registry"
)

// The keys of the user's registry. In the second the Task Manager keeps what
// the user has turned off: bytes, of which the first is odd then.
const (
	runKey      = `Software\Microsoft\Windows\CurrentVersion\Run`
	approvedKey = `Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run`
	valueName   = "Key2OAuth"
)

// maxCommand is how long a command in the Run key may be.
const maxCommand = 260

// commandLine quotes c as programs on Windows take their arguments apart. The
// program is always in quotes: without them, C:\Program.exe would be tried.
func commandLine(c Command) string {
	words := []string{`"` + c.Program + `"`}
	for _, a := range c.Args {
		words = append(words, syscall.EscapeArg(a))
	}
	return strings.Join(words, " ")
}

// programAt takes the program out of what commandLine may have written.
func programAt(line string) string {
	program, _, _ := strings.Cut(strings.TrimPrefix(line, `"`), `"`)
	return program
}

func enable(c Command) error {
	line := commandLine(c)
	if len(line) > maxCommand {
		return fmt.Errorf("the command to start at login has %d characters, and Windows takes %d: %s", len(line), maxCommand, line)
	}
	k, _, err := registry.CreateKey(registry.CURRENT_USER, runKey, registry.SET_VALUE)
	if err != nil {
		return err
	}
	defer k.Close()
	if err := k.SetStringValue(valueName, line); err != nil {
		return err
	}
	return forget(approvedKey) // the user has just turned it on again
}

func disable() error { return errors.Join(forget(runKey), forget(approvedKey)) }

// forget deletes our value, if there is one.
func forget(key string) error {
	k, err := registry.OpenKey(registry.CURRENT_USER, key, registry.SET_VALUE)
	if errors.Is(err, registry.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer k.Close()
	if err := k.DeleteValue(valueName); !errors.Is(err, registry.ErrNotExist) {
		return err
	}
	return nil
}

func enabled(c Command) (State, error) {
	k, err := registry.OpenKey(registry.CURRENT_USER, runKey, registry.QUERY_VALUE)
	if errors.Is(err, registry.ErrNotExist) {
		return Off, nil
	}
	if err != nil {
		return Off, err
	}
	defer k.Close()
	line, _, err := k.GetStringValue(valueName)
	switch {
	case errors.Is(err, registry.ErrNotExist):
		return Off, nil
	case err != nil:
		return Off, err
	case turnedOff():
		return Off, nil
	case !strings.EqualFold(line, commandLine(c)): // names of files there have no case
		return other(programAt(line)), nil
	}
	return On, nil
}

// turnedOff reports whether the user has turned us off in the Task Manager.
func turnedOff() bool {
	k, err := registry.OpenKey(registry.CURRENT_USER, approvedKey, registry.QUERY_VALUE)
	if err != nil {
		return false
	}
	defer k.Close()
	b, _, err := k.GetBinaryValue(valueName)
	return err == nil && len(b) > 0 && b[0]&1 == 1
}

// windowless returns the program without a console that the installer puts
// beside the one for terminals, which is bin\key2oauth.exe: started at login,
// that one would open a window.
func windowless(exe string) string {
	dir := filepath.Dir(exe)
	if !strings.EqualFold(filepath.Base(dir), "bin") {
		return exe
	}
	twin := filepath.Join(filepath.Dir(dir), "Key2OAuth.exe")
	if _, err := os.Stat(twin); err != nil {
		return exe
	}
	return twin
}
