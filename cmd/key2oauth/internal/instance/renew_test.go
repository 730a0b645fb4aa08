//go:build !windows

// Windows removes no folder while a file in it is open.

package instance_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/key2oauth/key2oauth/cmd/key2oauth/internal/instance"
)

// TestRenew: a folder that was removed and made again is locked again, and a
// command finds the program there if it had been published.
func TestRenew(t *testing.T) {
	for _, published := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "data")
		l, err := instance.Acquire(dir)
		if err != nil {
			t.Fatal(err)
		}
		want := instance.Info{PID: os.Getpid(), LocalOrigin: "http://127.0.0.1:7450", Version: "v1"}
		if published {
			if err := l.Publish(want); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700), l.Renew()); err != nil {
			t.Fatal(err)
		}
		if _, err := instance.Acquire(dir); !errors.Is(err, instance.ErrRunning) {
			t.Errorf("second Acquire: got %v, want ErrRunning", err)
		}
		if !published {
			if err := l.Publish(want); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := instance.Find(dir); err != nil || got != want {
			t.Errorf("Find: got %+v, %v, want %+v", got, err, want)
		}
		if err := l.Release(); err != nil {
			t.Fatal(err)
		}
	}
}
