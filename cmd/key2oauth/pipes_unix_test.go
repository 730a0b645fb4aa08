//go:build unix

package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
)

// Opening a named pipe waits for a program at its other end. One in the place of a
// file of ours must not hold up the start: it is refused, in words.
func TestPipesInFolder(t *testing.T) {
	for _, name := range []string{"instance.lock", "keychain.json", "master.key", "state.db", api.TokenFile} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, name)
			if err := syscall.Mkfifo(file, 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			said, err := exec.CommandContext(ctx, self(t), "serve", "--addr", ":0", "--keychain", "file", "--data-dir", dir).CombinedOutput()
			if ctx.Err() != nil {
				t.Fatal("the start waits for the pipe")
			}
			if err == nil || !strings.Contains(string(said), file) || !strings.Contains(string(said), " is not a ") {
				t.Errorf("serve: %v, and says\n%s", err, said)
			}
		})
	}
}
