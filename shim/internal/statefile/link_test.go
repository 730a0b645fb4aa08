package statefile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/datadir"
)

// TestNoFile: what is no regular file is refused in words that say what it is,
// and nothing is changed, wherever a link leads.
func TestNoFile(t *testing.T) {
	sound := soundFile(t)
	for _, tt := range []struct {
		name string
		make func(path, elsewhere string) error
		says string
	}{
		{"a link to a state file", func(path, elsewhere string) error {
			return errors.Join(os.WriteFile(elsewhere, sound, 0o600), os.Symlink(elsewhere, path))
		}, "is a link to"},
		{"a link to another file", func(path, elsewhere string) error {
			return errors.Join(os.WriteFile(elsewhere, []byte("theirs"), 0o600), os.Symlink(elsewhere, path))
		}, "is a link to"},
		{"a link to a folder", func(path, elsewhere string) error {
			return errors.Join(os.Mkdir(elsewhere, 0o700), os.Symlink(elsewhere, path))
		}, "is a link to"},
		{"a link to nothing", func(path, elsewhere string) error { return os.Symlink(elsewhere, path) }, "is a link to"},
		{"a link to itself", func(path, _ string) error { return os.Symlink(path, path) }, "is a link to"},
		{"a folder", func(path, _ string) error { return os.Mkdir(path, 0o700) }, "is a folder"},
	} {
		for _, temporary := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere")
				path := filepath.Join(dir, "state.db")
				if err := tt.make(path, elsewhere); err != nil {
					t.Skip("requires symbolic links: ", err)
				}
				before, _ := os.ReadFile(elsewhere)
				f, err := Open(path, Config{Layout: testLayout(1), Temporary: temporary})
				if err == nil {
					f.Close()
				}
				e, ok := errors.AsType[*datadir.Error](err)
				if !ok || !strings.Contains(e.Words, path+" "+tt.says) || strings.Contains(e.Words, "damaged") {
					t.Errorf("Open = %v, want words that say what it is", err)
				}
				if after, _ := os.ReadFile(elsewhere); string(after) != string(before) {
					t.Error("what the link leads to was changed")
				}
				checkNames(t, dir, "state.db")
			})
		}
	}
}
