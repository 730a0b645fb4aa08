package ring

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest/keyringtest"
)

// The child ends when its standard input is closed, as after the program was
// killed.
func TestHelperEndsWithParent(t *testing.T) {
	s := keyringtest.Start(t, keyringtest.Unlocked)
	s.Setenv(t)
	s.Hang(t)
	stdin, parent, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	var out bytes.Buffer
	go func() { done <- RunHelper(stdin, &out) }()
	if _, err := parent.WriteString(`{"op":"get"}` + "\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		t.Fatalf("RunHelper returned %v while the keychain hangs", err)
	case <-time.After(100 * time.Millisecond):
	}
	parent.Close()
	if err := <-done; err == nil || out.Len() > 0 {
		t.Errorf("RunHelper = %v, wrote %q; want an error and nothing", err, out.String())
	}
	s.Resume(t)
}

// Without a bus, no D-Bus library is called: it would start its own bus and
// leave it running.
func TestNoBusIsStarted(t *testing.T) {
	dir := t.TempDir()
	marker := filepath.Join(dir, "launched")
	script := "#!/bin/sh\ntouch " + marker + "\n"
	if err := os.WriteFile(filepath.Join(dir, "dbus-launch"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("XDG_RUNTIME_DIR", dir)
	for _, address := range []string{"", "autolaunch:"} {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
		if busAddress(os.Getenv) != "" {
			testenv.Skip(t, "needs to have no session bus at its usual place")
		}
		if r := serve(Request{Op: Get}); r.Status != Unavailable {
			t.Errorf("with address %q the keychain answers %+v, want %q", address, r, Unavailable)
		}
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("dbus-launch was started")
	}
}

func TestChildEnv(t *testing.T) {
	have := map[string]string{
		"DBUS_SESSION_BUS_ADDRESS": "unix:path=/x", "HOME": "/h", "NGROK_AUTHTOKEN": "secret", "KEY2OAUTH_X": "y",
	}
	got, ok := childEnv(func(name string) string { return have[name] })
	if want := []string{"DBUS_SESSION_BUS_ADDRESS=unix:path=/x", "HOME=/h"}; !ok || !slices.Equal(got, want) {
		t.Errorf("childEnv = %v, %v, want %v", got, ok, want)
	}
}
