package vault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/atomicfile"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/sealed"
	"github.com/key2oauth/key2oauth/shim/internal/settings"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// Destroy closes the vault and deletes what it kept: its files, and the master
// key, also from the keychain. What other data folders need there stays. left
// says in sentences what could not be deleted and what to do about that.
//
// Nothing is overwritten: neither file systems nor disks promise that this
// reaches the old bytes. What lies there is sealed, except for a master key in a
// file.
func (v *Vault) Destroy() (left []string, err error) {
	err = v.Close()
	left, removed := v.keys.Delete()
	v.mu.Lock()
	v.Store.Clear()
	v.Settings.Clear()
	v.notify()
	v.mu.Unlock()
	return left, errors.Join(err, removed, removeFiles(v.cfg.Dir))
}

// Destroy deletes what a vault that is not open has kept, as the method does. A
// damaged file is no obstacle.
func Destroy(cfg Config) (left []string, err error) {
	remembered, sealedUnder := peek(cfg.Dir)
	to, link := os.Readlink(filepath.Join(cfg.Dir, stateFile))
	left, err = keychain.Delete(keychain.Config{Dir: cfg.Dir, Helper: cfg.Helper, Remembered: remembered, Sealed: sealedUnder})
	if link == nil {
		left = append(left, fmt.Sprintf("%s was a link. What it leads to, %s, was not deleted.", filepath.Join(cfg.Dir, stateFile), to))
	}
	return left, errors.Join(err, removeFiles(cfg.Dir))
}

// Own is where the master key of a data folder is that Destroy deletes.
type Own = keychain.Own

// Owned says what of the master key Destroy would delete.
func (v *Vault) Owned() Own { return v.keys.Owned() }

// Owned is the method, for a data folder that may not be open.
func Owned(dir string) Own {
	remembered, _ := peek(dir)
	return keychain.Owned(dir, remembered)
}

// peek reads from a state file that is not open what the keychain remembers, and
// what its records are sealed under. Of a file that cannot be read it says
// nothing.
func peek(dir string) (remembered []byte, sealedUnder func(m *keychain.MasterKey) bool) {
	sealedUnder = func(*keychain.MasterKey) bool { return false }
	path := filepath.Join(dir, stateFile)
	if _, err := os.Lstat(path); err == nil {
		statefile.Peek(path, layout, func(tx *bbolt.Tx) (err error) {
			remembered = settings.Read(tx, settingPlace)
			sealedUnder, err = sealed.UnderIn(tx)
			return err
		})
	}
	return remembered, sealedUnder
}

func removeFiles(dir string) (err error) {
	removeReplaced(dir)
	for _, name := range statefile.Copies(filepath.Join(dir, stateFile)) {
		err = errors.Join(err, atomicfile.Remove(name))
	}
	for _, name := range []string{stateFile, stateFile + ".new", memoryFile, memoryFile + ".new", statefile.RoomFile} {
		err = errors.Join(err, atomicfile.Remove(filepath.Join(dir, name)))
	}
	return err
}
