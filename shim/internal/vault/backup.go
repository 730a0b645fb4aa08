package vault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/datadir"
	"github.com/key2oauth/key2oauth/shim/internal/ledger"
	"github.com/key2oauth/key2oauth/shim/internal/sealed"
	"github.com/key2oauth/key2oauth/shim/internal/settings"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// Backup writes what the state holds now to a file. It is complete and durable
// when Backup returns nil. It has no master key in it.
func (v *Vault) Backup(name string) error {
	v.Flush()
	return unavailable(v.file.CopyTo(name))
}

// Backup writes the state of a data folder that is not open to a file, as the
// method does.
func Backup(dir, name string) error {
	path := filepath.Join(dir, stateFile)
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return &datadir.Error{Path: path, Err: err, Words: fmt.Sprintf("there is nothing to back up in %s", dir)}
	}
	return datadir.Explain(name, statefile.Copy(path, name, layout))
}

// Restore puts a backup in the place of the state of a data folder that is not
// open. kept names what was there before, and was kept; "" if there was nothing.
//
// A backup knows nothing of what happened since: apps that were disconnected
// would be connected again, refresh tokens that were replaced would be good
// again, and browsers that were signed out would be signed in. So all sign-ins
// end, unless keepApps says otherwise.
func Restore(dir, from string, keepApps bool) (kept string, err error) {
	if err := checkBackup(from); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", datadir.Explain(dir, err)
	}
	path := filepath.Join(dir, stateFile)
	kept, err = statefile.Restore(path, from, statefile.Config{Layout: layout}, func(tx *bbolt.Tx) error {
		if err := settings.EndSessions(tx); err != nil || keepApps {
			return err
		}
		return errors.Join(sealed.DropGranted(tx), ledger.EndAll(tx))
	})
	if e, ok := errors.AsType[*datadir.Error](err); ok && e.Path == from && statefile.IsDamage(err) {
		return "", notABackup(from, "is damaged, or is not a backup", err)
	}
	return kept, datadir.Explain(path, err)
}

// checkBackup says what is no backup at first sight.
func checkBackup(from string) error {
	info, err := os.Stat(from)
	switch {
	case err != nil:
		return datadir.Explain(from, err)
	case info.IsDir():
		return notABackup(from, "is a folder, not a backup", errNotABackup)
	case !info.Mode().IsRegular():
		return notABackup(from, "is not a file", errNotABackup)
	case info.Size() == 0:
		return notABackup(from, "is empty, so it is not a backup", errNotABackup)
	}
	return nil
}

var errNotABackup = errors.New("not a backup")

func notABackup(from, what string, err error) error {
	return &datadir.Error{Path: from, Err: err, Words: fmt.Sprintf(`%s %s; name a file that "key2oauth backup" made, or a copy beside the data (%s.daily-...)`, from, what, stateFile)}
}
