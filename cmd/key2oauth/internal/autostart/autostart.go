// Package autostart starts the program when its user logs in, by the means
// that the desktop's own settings show and can undo: a file in
// ~/.config/autostart on Linux, a value of the Run key on Windows, a launch
// agent on macOS. Nothing needs more rights than the user has.
package autostart

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/key2oauth/key2oauth/shim/atomicfile"
)

// A Command is what login is to start. Program is an absolute path.
type Command struct {
	Program string
	Args    []string
}

// A State says what login starts.
type State int

// The states. Other means that login starts us, but not by the command that
// was asked about: another copy of the program, or another data folder. Moved
// means that what it would start is not there any more; Enable puts that right.
const (
	Off State = iota
	On
	Other
	Moved
)

// Self returns the path of this program as login should start it.
func Self() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	// An AppImage runs from a folder that is gone when it ends.
	return cmp.Or(os.Getenv("APPIMAGE"), windowless(exe)), nil
}

// Enable makes login start c, instead of whatever it started for us before.
func Enable(c Command) error {
	if err := c.check(); err != nil {
		return err
	}
	return enable(c)
}

// Disable makes login start nothing of ours. It is no error if it did not.
func Disable() error { return disable() }

// Enabled reports what login does with c. What the user has turned off in the
// desktop's own settings is off.
func Enabled(c Command) (State, error) {
	if err := c.check(); err != nil {
		return Off, err
	}
	return enabled(c)
}

func (c Command) check() error {
	if !filepath.IsAbs(c.Program) {
		return errors.New("the program to start at login is not an absolute path: " + c.Program)
	}
	for _, s := range append([]string{c.Program}, c.Args...) {
		if strings.ContainsAny(s, "\x00\r\n") {
			return errors.New("the command to start at login has a line break in it")
		}
	}
	return nil
}

// other is the state of a login that starts program, and not what was asked
// about. A program that is named without its folder, by whoever edited the
// file, is not looked for.
func other(program string) State {
	if !filepath.IsAbs(program) {
		return Other
	}
	if _, err := os.Stat(program); errors.Is(err, os.ErrNotExist) {
		return Moved
	}
	return Other
}

// write replaces a file, and makes its folder if there is none. A login never
// finds half of the file.
func write(name, content string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	return atomicfile.WriteFile(name, []byte(content), 0o644)
}

// remove removes a file that need not be there.
func remove(name string) error {
	if err := os.Remove(name); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
