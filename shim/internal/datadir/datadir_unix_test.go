//go:build unix

package datadir

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// Which folders are used, and what becomes of their rights.
func TestPrepare(t *testing.T) {
	for _, tt := range []struct {
		name      string
		mode      os.FileMode
		empty     bool
		refused   bool
		afterward os.FileMode
	}{
		{"ours", 0o700, false, false, 0o700},
		{"read by others", 0o755, false, false, 0o755},
		{"read by others, and empty", 0o755, true, false, 0o700},
		{"changed by a group", 0o770, false, true, 0o770},
		{"changed by a group, and read by all", 0o775, false, true, 0o775},
		{"changed by a group, and empty", 0o770, true, false, 0o700},
		{"changed by all", 0o777, false, true, 0o777},
		{"changed by all, each their own files", 0o777 | os.ModeSticky, false, true, 0o777 | os.ModeSticky},
		{"changed by all, and empty", 0o777, true, false, 0o700},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if !tt.empty {
			if err := os.WriteFile(filepath.Join(dir, "state.db"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir, tt.mode); err != nil {
			t.Fatal(err)
		}
		err := Prepare(dir, slog.New(slog.DiscardHandler))
		if e, ok := errors.AsType[*Error](err); (err != nil) != tt.refused || tt.refused && (!ok || e.Words == "" || !errors.Is(err, errShared)) {
			t.Errorf("%s: got %v, refused should be %v", tt.name, err, tt.refused)
		}
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode() &^ os.ModeDir; got != tt.afterward {
			t.Errorf("%s: the mode is %v afterward, want %v", tt.name, got, tt.afterward)
		}
	}
}

// A folder of another user is refused. Only the superuser can make one.
func TestPrepareAnothers(t *testing.T) {
	info, err := os.Stat("/")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := belongsToAnother(info), os.Geteuid() != 0; got != want {
		t.Errorf("the root folder belongs to another: %v, want %v", got, want)
	}
}
