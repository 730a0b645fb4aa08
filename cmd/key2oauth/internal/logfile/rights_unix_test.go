//go:build unix

package logfile

import (
	"os"
	"path/filepath"
	"testing"
)

// TestRights: a file that others could read or write is the owner's alone once it
// is used, and keeps what is in it.
func TestRights(t *testing.T) {
	dir := t.TempDir()
	for _, base := range []string{Name, oldName, crashName, oldCrash} {
		name := filepath.Join(dir, base)
		if err := os.WriteFile(name, []byte("before\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, 0o666); err != nil { // despite the umask
			t.Fatal(err)
		}
	}
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.Write([]byte("now\n"))
	for _, base := range []string{Name, oldName, crashName, oldCrash} {
		info, err := os.Stat(filepath.Join(dir, base))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("%s has the rights %o, want 600", base, got)
		}
	}
	if got := read(t, l.Path()); got != "before\nnow\n" {
		t.Errorf("the log is %q", got)
	}
}
