package keychain

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/key2oauth/key2oauth/shim/atomicfile"
)

// deleteTimeout leaves the owner, who has just asked for it, time to unlock the
// keychain.
const deleteTimeout = 45 * time.Second

// Delete forgets the master key and deletes it from where it is kept. The
// Keychain must be closed. left says in sentences what could not be deleted and
// what to do about that.
func (k *Keychain) Delete() (left []string, err error) {
	k.mu.Lock()
	mode := k.cfg.Mode
	if k.status.State == StateMemory {
		mode = ModeMemory // this run never had an item
	}
	k.master, k.known = nil, false
	k.mu.Unlock()
	return remove(k.cfg.Dir, mode, k.ring)
}

// Delete deletes the master key of a data folder that is not in use. Without a
// mode, it is ModeFile if there is a key file and ModeOS if not: other data
// folders may share the key in the keychain.
func Delete(cfg Config) (left []string, err error) {
	mode := cfg.Mode
	if mode == "" {
		mode = ModeOS
		if _, err := os.Lstat(filepath.Join(cfg.Dir, KeyFile)); err == nil {
			mode = ModeFile
		}
	}
	return remove(cfg.Dir, mode, newRing(cfg.Helper))
}

func remove(dir string, mode Mode, r ring) (left []string, err error) {
	// Versions up to 0.1 wrote the key file by way of the second name.
	for _, name := range []string{KeyFile, KeyFile + ".new"} {
		err = errors.Join(err, atomicfile.Remove(filepath.Join(dir, name)))
	}
	if mode != ModeOS {
		return nil, err
	}
	switch a := r.call(context.Background(), deleteTimeout, opDelete, ""); a.Status {
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
	return `The item "key2oauth" may still be in the keychain: ` + why + `. Delete it there. It is of no use without the data folder.`
}
