package userpath

import (
	"errors"

	"golang.org/x/sys/windows/registry"
)

// Add adds dir to the user's PATH. Programs that are started later see it.
func Add(dir string) error { return change(func(p string) string { return with(p, dir) }) }

// Remove removes dir from the user's PATH. It is not an error if it was not there.
func Remove(dir string) error { return change(func(p string) string { return without(p, dir) }) }

func change(f func(string) string) error {
	k, _, err := registry.CreateKey(registry.CURRENT_USER, "Environment", registry.QUERY_VALUE|registry.SET_VALUE)
	if err != nil {
		return err
	}
	defer k.Close()
	old, kind, err := k.GetStringValue("Path")
	if err != nil && !errors.Is(err, registry.ErrNotExist) {
		return err // it is no text: better left alone
	}
	path := f(old)
	switch {
	case path == old:
		return nil
	case path == "":
		return k.DeleteValue("Path")
	case kind == registry.SZ: // nothing in it is replaced by variables, and that has to stay so
		return k.SetStringValue("Path", path)
	}
	return k.SetExpandStringValue("Path", path)
}
