package autostart

import (
	"os"
	"testing"
)

// ownPlace gives the test a place of its own to write to.
func ownPlace(t *testing.T) { t.Setenv("HOME", t.TempDir()) }

// turnOff removes the file, since the system's settings leave no trace in it.
func turnOff(t *testing.T) {
	t.Helper()
	name, err := agent()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}
