package keychain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/key2oauth/key2oauth/shim/atomicfile"
	"github.com/key2oauth/key2oauth/shim/internal/ring"
)

// deleteTimeout leaves the owner, who has just asked for it, time to unlock the
// keychain.
const deleteTimeout = 45 * time.Second

// Own is what belongs to one data folder alone, and is deleted with it.
type Own struct {
	Items   []string // accounts of the service "key2oauth" in the keychain
	KeyFile bool     // the folder holds a master key
}

// Owned says what Delete would delete. remembered is what Config.Remember was
// given, if that is known.
func Owned(dir string, remembered []byte) Own { return owned(dir, readPlace(dir, remembered)) }

// Owned says what Delete would delete.
func (k *Keychain) Owned() Own { return owned(k.cfg.Dir, k.remembered()) }

func owned(dir string, p place) Own {
	_, err := os.Lstat(filepath.Join(dir, KeyFile))
	return Own{Items: p.own(), KeyFile: err == nil}
}

// Delete forgets the master key and deletes it from where it is kept: in
// whichever modes the folder was used, and nothing that other folders use. The
// Keychain must be closed. left says in sentences what could not be deleted and
// what to do about that.
func (k *Keychain) Delete() (left []string, err error) {
	k.mu.Lock()
	k.master, k.known = nil, false
	p := k.place
	k.mu.Unlock()
	return remove(k.cfg, p, k.ring)
}

// Delete deletes the master key of a data folder that is not in use.
func Delete(cfg Config) (left []string, err error) {
	return remove(cfg, readPlace(cfg.Dir, cfg.Remembered), ring.New(cfg.Helper))
}

func remove(cfg Config, p place, r ring.Ring) (left []string, err error) {
	for _, name := range p.own() {
		if why := removeItem(r, name); why != "" {
			left = append(left, fmt.Sprintf(leftInKeychain, name, why))
		}
	}
	if words := leftShared(cfg, p, r); words != "" {
		left = append(left, words)
	}
	// Versions up to 0.1 wrote the key file by way of the second name.
	for _, name := range []string{KeyFile, KeyFile + ".new", KeyFile + ".replaced", PlaceFile, PlaceFile + ".replaced"} {
		err = errors.Join(err, atomicfile.Remove(filepath.Join(cfg.Dir, name)))
	}
	return left, err
}

// removeItem deletes an item, or says why that was not possible.
func removeItem(r ring.Ring, name string) (why string) {
	switch a := r.Call(context.Background(), deleteTimeout, ring.Request{Op: ring.Delete, Account: name}); a.Status {
	case ring.Missing, ring.NotSetUp:
		return ""
	case ring.Unavailable:
		return "no keychain can be reached from here"
	case ring.Locked:
		return "it is locked"
	case ring.Slow:
		return "it does not answer"
	}
	return "it did not allow it"
}

// leftShared speaks of the item that all folders of earlier versions shared, if
// it opens the records of this one. Another folder may need it too, and nothing
// tells whether there is one.
func leftShared(cfg Config, p place, r ring.Ring) string {
	if !p.Shared && (p.Item != "" || cfg.Sealed == nil || !cfg.Sealed(nil)) {
		return ""
	}
	a := r.Call(context.Background(), probeTimeout, ring.Request{Op: ring.Look, Account: legacyAccount})
	switch a.Status {
	case ring.Found:
		m, err := parseMasterKey(a.Key.Reveal())
		if p.Shared || err == nil && cfg.Sealed(m) {
			return leftForOthers
		}
	case ring.Locked:
		return leftForOthers
	}
	return ""
}

const (
	leftInKeychain = `The item "key2oauth" (%s) may still be in the keychain: %s. Delete it there. It is of no use without the data folder.`
	leftForOthers  = `The item "key2oauth" (` + legacyAccount + `) of an earlier version stays in the keychain, because other data folders may use it. If you have none, delete it there.`
)
