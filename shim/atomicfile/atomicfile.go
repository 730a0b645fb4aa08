// Package atomicfile writes files that are either whole or not there.
//
// A write goes to a new file beside the old one, which then takes its name. A
// reader sees the old content or the new, never half of either, and so does
// the next start after a crash. The new file is created exclusively under a
// random name: a link that another user planted in the folder is not followed.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A write takes less than a second. A temporary file that is older than
// leftoverAge was left behind by a crash.
const leftoverAge = 10 * time.Minute

// tempSuffix ends the name of a temporary file.
const tempSuffix = ".new"

// WriteFile makes content the content of the file at name, with exactly these
// permissions. When it returns nil, the change survives a crash of the machine.
// A link at name is replaced, not followed.
func WriteFile(name string, content []byte, perm fs.FileMode) error {
	sweep(name, leftoverAge)
	// CreateTemp opens with O_EXCL and permissions 0600.
	f, err := os.CreateTemp(filepath.Dir(name), tempPrefix(name)+"*"+tempSuffix)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil && perm != 0o600 {
		// Some file systems have no permissions, so this is not called in vain.
		err = f.Chmod(perm)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return err
	}
	return Rename(f.Name(), name)
}

// Rename gives the file next, which must be complete and synced, the name of a
// file in the same folder. When it returns nil, the change survives a crash of
// the machine. If the name cannot be given, next is removed.
func Rename(next, name string) error {
	if err := os.Rename(next, name); err != nil {
		os.Remove(next)
		return err
	}
	return syncDir(filepath.Dir(name))
}

// Remove removes the file at name and what interrupted writes left beside it.
// It is no error if there is nothing to remove.
func Remove(name string) error {
	err := os.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, sweep(name, 0))
}

// sweep removes temporary files of name that are at least that old.
func sweep(name string, age time.Duration) (err error) {
	// Glob would take a folder's name for a pattern.
	entries, _ := os.ReadDir(filepath.Dir(name))
	for _, e := range entries {
		if !isTemp(e.Name(), name) {
			continue
		}
		if info, e := e.Info(); e != nil || time.Since(info.ModTime()) < age {
			continue
		}
		if e := os.Remove(filepath.Join(filepath.Dir(name), e.Name())); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// tempPrefix begins the names of the temporary files of name. The dot hides
// them from programs that read every file of a folder, as desktops do at login.
func tempPrefix(name string) string { return "." + filepath.Base(name) + "." }

// isTemp reports whether base is a name that CreateTemp gives to a temporary
// file of name.
func isTemp(base, name string) bool {
	random, ok := strings.CutPrefix(base, tempPrefix(name))
	if !ok {
		return false
	}
	random, ok = strings.CutSuffix(random, tempSuffix)
	return ok && random != "" && strings.Trim(random, "0123456789") == ""
}
