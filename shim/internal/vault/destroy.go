package vault

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/key2oauth/key2oauth/shim/atomicfile"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// Destroy closes the vault and deletes what it kept: its files, and in mode
// "os" the master key in the keychain. Other data folders share that master
// key, so their keys are lost with it. left says in sentences what could not be
// deleted and what to do about that.
//
// Nothing is overwritten: neither file systems nor disks promise that this
// reaches the old bytes. What lies there is sealed, except for a master key in a
// file.
func (v *Vault) Destroy() (left []string, err error) {
	err = v.Close()
	v.mu.Lock()
	v.endpoints = make(map[string]*endpointState)
	v.creds = make(map[string]*credState)
	v.secrets = make(map[string]*secretState)
	v.sessions = make(map[Digest]time.Time)
	v.settings = make(map[string][]byte)
	v.notify()
	v.mu.Unlock()
	err = errors.Join(err, removeFiles(v.cfg.Dir))
	left, removed := v.keys.Delete()
	return left, errors.Join(err, removed)
}

// Destroy deletes what a vault that is not open has kept, as the method does.
// It opens nothing, so a damaged file is no obstacle.
func Destroy(cfg Config) (left []string, err error) {
	err = removeFiles(cfg.Dir)
	left, removed := keychain.Delete(keychain.Config{Dir: cfg.Dir, Mode: cfg.Mode, Helper: cfg.Helper})
	return left, errors.Join(err, removed)
}

func removeFiles(dir string) (err error) {
	for _, name := range []string{stateFile, stateFile + ".new", memoryFile, memoryFile + ".new", statefile.RoomFile} {
		err = errors.Join(err, atomicfile.Remove(filepath.Join(dir, name)))
	}
	return err
}
