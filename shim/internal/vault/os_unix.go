//go:build unix

package vault

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// openToOthers reports whether anybody but the owner may use the file.
func openToOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }

// ownerOnly keeps everybody but the owner from a folder or file. It gives the
// owner no right that he has not.
func ownerOnly(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Chmod(path, info.Mode().Perm()&0o700)
}

// isFull reports whether err means that there is no room left.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
