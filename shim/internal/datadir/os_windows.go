package datadir

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/windows"
)

// OpenToOthers is always false: mode bits mean nothing on Windows. The access
// list that OwnerOnly puts on the folder is what counts.
func OpenToOthers(fs.FileInfo) bool { return false }

// changedBy is always empty; see OpenToOthers.
func changedBy(fs.FileInfo) string { return "" }

// belongsToAnother is always false; see OpenToOthers.
func belongsToAnother(fs.FileInfo) bool { return false }

// OwnerOnly gives the folder an access list that names only its owner, and
// that every file in it inherits. On a file system without access lists it does
// nothing.
func OwnerOnly(dir string) error {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil
	}
	// Protected from what would be inherited; full access; for files and
	// folders within.
	sd, err := windows.SecurityDescriptorFromString("D:P(A;OICI;FA;;;" + user.User.Sid.String() + ")")
	if err != nil {
		return nil
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return nil
	}
	windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
	return nil
}

// IsFull reports whether err means that the disk is full.
func IsFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}
