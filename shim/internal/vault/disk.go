package vault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

// A DiskState says whether changes can be saved.
type DiskState string

// The states of the disk.
const (
	DiskReady   DiskState = "ready"
	DiskFull    DiskState = "full"
	DiskFailing DiskState = "failing" // for another reason than want of room
)

// Disk says whether changes could be saved when that was last tried. While they
// cannot, it is tried again all the time.
func (v *Vault) Disk() DiskState {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.disk == "" {
		return DiskReady
	}
	return v.disk
}

// couldNotSave begins to look for when changes can be saved again. That one
// does is no sign: the file has room of its own for a few.
func (v *Vault) couldNotSave(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	begin := v.disk == "" && !v.closed
	v.setDisk(err)
	if begin {
		v.running.Go(v.awaitDisk)
	}
}

// setDisk remembers what trying to save came to. The caller holds mu.
func (v *Vault) setDisk(err error) {
	state := DiskState("")
	switch {
	case err == nil:
	case isFull(err):
		state = DiskFull
	default:
		state = DiskFailing
	}
	if state != v.disk {
		v.disk = state
		v.notify()
	}
}

// awaitDisk tries to save until that works.
func (v *Vault) awaitDisk() {
	every := time.NewTicker(v.cfg.PollEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-v.closing:
			return
		}
		err := v.tryDisk()
		v.mu.Lock()
		v.setDisk(err)
		over := v.disk == ""
		v.mu.Unlock()
		if over {
			v.log.Info("changes can be saved again")
			return
		}
	}
}

// TryDisk reports whether changes can be saved, by saving something.
func (v *Vault) TryDisk() error {
	err := v.tryDisk()
	if err != nil && !errors.Is(err, ErrClosed) {
		v.couldNotSave(err)
		return fmt.Errorf("%w: %w", oauth.ErrUnavailable, err)
	}
	return err
}

// roomFile is there for a moment, to see whether there is room for it.
const roomFile = "room.check"

// tryDisk asks for more room than any one change takes, and then changes
// nothing.
func (v *Vault) tryDisk() error {
	v.wmu.Lock() // no change of ours may want the room meanwhile
	defer v.wmu.Unlock()
	name := filepath.Join(v.cfg.Dir, roomFile)
	err := os.WriteFile(name, make([]byte, 256<<10), 0o600)
	if e := os.Remove(name); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	v.dbmu.RLock()
	defer v.dbmu.RUnlock()
	if err := v.usable(); err != nil {
		return err
	}
	key := []byte("room")
	return v.judge(guard(nil, func() error {
		return v.db.Update(func(tx *bbolt.Tx) error {
			meta := tx.Bucket(bucketMeta)
			return errors.Join(meta.Put(key, nil), meta.Delete(key))
		})
	}))
}
