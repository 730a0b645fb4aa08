// Package testenv says what a test needs beyond the Go toolchain. On a bare
// machine such a test is skipped with the reason. In CI, where everything is
// installed, a skip is a failure.
package testenv

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// Patience is how long a test waits for something that takes at most a second
// on an idle machine. Only a failing test waits that long.
const Patience = time.Minute

// InCI reports whether skipping is a failure.
func InCI() bool { return os.Getenv("CI") == "true" }

// Need skips t unless program is on PATH, and returns its path. With CI=true
// it fails instead.
func Need(t testing.TB, program string) string {
	t.Helper()
	p, err := exec.LookPath(program)
	if err != nil {
		Skip(t, "needs "+program+", which is not on PATH")
	}
	return p
}

// Slow skips a check that takes over five seconds, except in CI.
func Slow(t testing.TB) {
	t.Helper()
	if !InCI() {
		t.Skip("slow: requires CI=true")
	}
}

// Skip skips t with the reason, or fails it in CI.
func Skip(t testing.TB, reason string) {
	t.Helper()
	if InCI() {
		t.Fatalf("CI=true, yet this machine %s", reason)
	}
	t.Skip(reason)
}
