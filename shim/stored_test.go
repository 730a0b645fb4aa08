package shim_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
)

// The admin token is neither read nor written through a link, which could lead
// to a file that others read.
func TestTokenIsNoLink(t *testing.T) {
	for _, there := range []bool{false, true} {
		dir, target := t.TempDir(), filepath.Join(t.TempDir(), "target")
		const text = "k2o_admin_ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		if there {
			if err := os.WriteFile(target, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(target, filepath.Join(dir, api.TokenFile)); err != nil {
			testenv.Skip(t, fmt.Sprintf("cannot make symbolic links: %v", err))
		}
		s, err := shim.Open(shim.Config{Dir: dir, Keychain: api.ModeMemory, Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			s.Close()
			t.Errorf("a link to a file (there: %v) was used", there)
		}
		b, err := os.ReadFile(target)
		if there && string(b) != text || !there && err == nil {
			t.Errorf("the file that the link leads to is %q, %v", b, err)
		}
	}
}
