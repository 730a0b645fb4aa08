//go:build linux

package keyringtest_test

import (
	"os/exec"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest/keyringtest"
)

// TestSession checks with an independent program that the states are what their
// names say.
func TestSession(t *testing.T) {
	t.Parallel()
	lookup := testenv.Need(t, "gdbus")
	for _, tt := range []struct {
		state keyringtest.State
		ok    bool
	}{
		{keyringtest.Unlocked, true},
		{keyringtest.Locked, true},
		{keyringtest.NotSetUp, false},
		{keyringtest.Absent, false},
		{keyringtest.NoBus, false},
	} {
		t.Run(string(tt.state), func(t *testing.T) {
			t.Parallel()
			s := keyringtest.Start(t, tt.state)
			cmd := exec.Command(lookup, "call", "--session",
				"-d", "org.freedesktop.secrets", "-o", "/org/freedesktop/secrets/collection/login",
				"-m", "org.freedesktop.DBus.Properties.Get", "org.freedesktop.Secret.Collection", "Locked")
			cmd.Env = s.Env()
			if out, err := cmd.CombinedOutput(); (err == nil) != tt.ok {
				t.Errorf("the login keyring answers %v, want ok %v: %s", err, tt.ok, out)
			}
			if tt.state == keyringtest.Locked {
				s.Unlock(t)
			}
		})
	}
}
