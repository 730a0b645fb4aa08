//go:build unix

package datadir

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// OpenToOthers reports whether other users than the owner may use the file.
func OpenToOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }

// changedBy says which others can add files to a folder, or exchange its files.
func changedBy(info fs.FileInfo) string {
	switch mode := info.Mode().Perm(); {
	case mode&0o002 != 0:
		return "every user of this computer"
	case mode&0o020 != 0:
		return "a group of users of this computer"
	}
	return ""
}

// belongsToAnother reports whether another user made a folder. The superuser may
// use any.
func belongsToAnother(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && os.Geteuid() != 0 && int(st.Uid) != os.Geteuid()
}

// OwnerOnly takes all rights to a folder or file from users other than its
// owner. It gives the owner no right that was not there.
func OwnerOnly(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Chmod(path, info.Mode().Perm()&0o700)
}

// IsFull reports whether err means that the disk is full.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
