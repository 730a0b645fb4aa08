package vault

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// A transaction changes the state file. Functions given to Then change the
// memory to match, with mu held, once the file has changed.
type transaction = statefile.Tx

// view runs fn in a read-only transaction.
func (v *Vault) view(fn func(tx *bbolt.Tx) error) error { return v.file.View(fn) }

// update runs fn in a read-write transaction, which is durable when update
// returns nil and has changed nothing otherwise. It waits until it is known
// which file is kept.
func (v *Vault) update(fn func(t *transaction) error) error {
	if err := v.awaitDecision(); err != nil {
		return err
	}
	return v.write(fn)
}

// write is update without the wait.
func (v *Vault) write(fn func(t *transaction) error) error { return unavailable(v.file.Update(fn)) }

// IsUnsure reports whether a change was made and may be gone after a power cut,
// because the disk failed at its very end.
func IsUnsure(err error) bool {
	e, ok := errors.AsType[*statefile.SaveError](err)
	return ok && e.Unsure
}

// unavailable marks an error of the disk as one after which trying again helps.
func unavailable(err error) error {
	if _, ok := errors.AsType[*statefile.SaveError](err); ok {
		return fmt.Errorf("%w: %w", oauth.ErrUnavailable, err)
	}
	return err
}

// Disk reports whether changes could be saved when that was last tried. While
// they cannot, it is tried again every few seconds.
func (v *Vault) Disk() statefile.DiskState { return v.file.Disk() }

// TryDisk reports whether changes can be saved, by saving something.
func (v *Vault) TryDisk() error { return unavailable(v.file.TryDisk()) }
