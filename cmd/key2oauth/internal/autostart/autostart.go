// Package autostart starts the program when its user logs in. It uses the means
// that the settings of the desktop show and can undo: a file in
// ~/.config/autostart on Linux, a value of the Run key on Windows, a launch
// agent on macOS. It needs no more rights than the user has.
package autostart

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/key2oauth/key2oauth/shim/atomicfile"
)

// A Command is what login starts. Program is an absolute path.
type Command struct {
	Program string
	Args    []string
}

// A State says what login starts.
type State int

// The states. Other means that login starts the program with a command other
// than the one asked about: another copy, or another data folder. Moved means
// that the program it would start is no longer there; Enable fixes that.
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
	// An AppImage runs from a folder that is removed when it ends.
	return cmp.Or(os.Getenv("APPIMAGE"), windowless(exe)), nil
}

// Enable makes login start c, in place of any earlier command of ours.
func Enable(c Command) error {
	if err := c.check(); err != nil {
		return err
	}
	return enable(c)
}

// Disable removes our login entry. It is not an error if there is none.
func Disable() error { return disable() }

// Enabled reports what login does with c. An entry that the user turned off in
// the settings of the desktop counts as Off.
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

// other is the state of a login that starts program, and not the command asked
// about. A program without a folder, as a person may have written it into the
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

// write replaces a file, and creates its folder if necessary. A login never
// finds half of the file.
func write(name, content string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	return atomicfile.WriteFile(name, []byte(content), 0o644)
}

// remove removes a file, if it exists.
func remove(name string) error {
	if err := os.Remove(name); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
