package vault

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/windows"
)

// openToOthers is always false: the mode bits say nothing on Windows. What
// counts is the access list that ownerOnly puts on the folder.
func openToOthers(fs.FileInfo) bool { return false }

// ownerOnly gives the folder an access list that names its owner alone, and
// that every file in it inherits. A file system without access lists is left
// as it is.
func ownerOnly(dir string) error {
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

// isFull reports whether err means that there is no room left.
func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}
