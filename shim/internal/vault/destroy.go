package vault

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/key2oauth/key2oauth/shim/atomicfile"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// deleteTimeout leaves the owner, who has just asked for it, time to unlock the
// keychain.
const deleteTimeout = 45 * time.Second

// Destroy closes the vault and deletes what it kept: its files, and in mode
// "os" the master key in the keychain. Other processes on other data folders
// have the same master key, so their keys are lost with it. left says in
// sentences what could not be deleted and what to do about that.
//
// Nothing is overwritten: neither file systems nor disks promise that this
// reaches the old bytes. What lies there is sealed, but for a master key in a
// file.
func (v *Vault) Destroy() (left []string, err error) {
	err = v.Close()
	v.mu.Lock()
	mode := v.cfg.Mode
	if v.keychain.State == StateMemory {
		mode = ModeMemory // this run never had an item
	}
	v.endpoints = make(map[string]*endpointState)
	v.creds = make(map[string]*credState)
	v.secrets = make(map[string]*secretState)
	v.sessions = make(map[Digest]time.Time)
	v.settings = make(map[string][]byte)
	v.master, v.known = nil, false
	v.notify()
	v.mu.Unlock()
	left, removed := destroy(v.cfg.Dir, mode, v.ring)
	return left, errors.Join(err, removed)
}

// Destroy deletes what a vault that nobody has open has kept, as the method
// does. It opens nothing, so that a damaged file is no hindrance.
func Destroy(cfg Config) (left []string, err error) {
	mode := cfg.Mode
	if mode == "" {
		mode = ModeOS
		if _, err := os.Lstat(filepath.Join(cfg.Dir, keyFile)); err == nil {
			mode = ModeFile
		}
	}
	return destroy(cfg.Dir, mode, newKeyring(cfg.Helper))
}

func destroy(dir string, mode Mode, ring keyring) (left []string, err error) {
	// Versions up to 0.1 wrote the key file by way of the name master.key.new.
	for _, name := range []string{keyFile, keyFile + ".new", stateFile, stateFile + ".new", memoryFile, statefile.RoomFile} {
		err = errors.Join(err, atomicfile.Remove(filepath.Join(dir, name)))
	}
	if mode != ModeOS {
		return nil, err
	}
	switch a := ring.call(context.Background(), deleteTimeout, opDelete, ""); a.Status {
	case ringMissing, ringNotSetUp:
	case ringUnavailable:
		left = append(left, leftInKeychain("no keychain can be reached from here"))
	case ringLocked:
		left = append(left, leftInKeychain("it is locked"))
	case ringSlow:
		left = append(left, leftInKeychain("it does not answer"))
	default:
		left = append(left, leftInKeychain("it did not allow it"))
	}
	return left, err
}

func leftInKeychain(why string) string {
	return `The item "key2oauth" may still be in the keychain: ` + why + `. Delete it there. Without the data folder it opens nothing.`
}
