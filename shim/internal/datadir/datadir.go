// Package datadir is about the folder that the program keeps its files in: who
// may read it, and what to tell the owner when it cannot be used.
package datadir

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
)

// An Error says what is wrong with the data folder or a file in it, and what
// to do, in words for people. Nothing that was in the folder was changed.
type Error struct {
	Path  string
	Words string
	Err   error
}

func (e *Error) Error() string { return e.Words }
func (e *Error) Unwrap() error { return e.Err }

var errShared = errors.New("other users can change the data folder")

// TextNoAccess says that the user lacks the right to the file or folder that it
// takes.
const TextNoAccess = "%s cannot be read and written; give yourself the right to, or name another folder with --data-dir"

// Explain puts err, which came from the file or folder at path, into words.
func Explain(path string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	e := &Error{Path: path, Err: err}
	switch {
	case IsFull(err):
		e.Words = fmt.Sprintf("the disk that holds %s is full; make room and start again", filepath.Dir(path))
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		e.Words = fmt.Sprintf(TextNoAccess, path)
	default:
		e.Words = fmt.Sprintf("%s cannot be used: %v", path, err)
	}
	return e
}

// errNoFile says that something else has the name of a file of ours.
var errNoFile = errors.New("not a regular file")

// CheckFile refuses a file of ours that is none, such as a named pipe: to open it
// would wait for a program at its other end. One that is missing is fine.
func CheckFile(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().IsRegular() {
		return nil // to read it says what else is wrong
	}
	return &Error{Path: path, Err: errNoFile, Words: path + " is not a regular file; move it away, and start again"}
}

// ReadFile reads a file of ours.
func ReadFile(path string) ([]byte, error) {
	if err := CheckFile(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// Prepare makes the data folder if it is missing. A folder that others can
// enter is closed to them only while it is empty: it may be shared on purpose,
// and our files are closed to others in any case. One in which others can
// exchange our files is refused.
func Prepare(dir string, log *slog.Logger) error {
	info, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return Explain(dir, err)
		}
		return Explain(dir, OwnerOnly(dir))
	}
	if err != nil {
		return Explain(dir, err)
	}
	if !info.IsDir() {
		return Explain(dir, errors.New("it is not a folder"))
	}
	if belongsToAnother(info) {
		return &Error{Path: dir, Err: errShared, Words: fmt.Sprintf("the data folder %s belongs to another user of this computer, who can change what is in it; name another one with --data-dir", dir)}
	}
	if !OpenToOthers(info) {
		return nil
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) == 0 {
		return Explain(dir, OwnerOnly(dir))
	}
	if by := changedBy(info); by != "" {
		return &Error{Path: dir, Err: errShared, Words: fmt.Sprintf("%s can change what is in the data folder %s; close it with: chmod 700 %s", by, dir, dir)}
	}
	log.Warn("other users of this computer can look into the data folder; close it with chmod 700", "dir", dir)
	return nil
}
