package autostart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows/registry"
)

// ownPlace skips the test if it would change a real setting: each user has only
// one Run key.
func ownPlace(t *testing.T) {
	t.Helper()
	k, err := registry.OpenKey(registry.CURRENT_USER, runKey, registry.QUERY_VALUE)
	if err == nil {
		_, _, err = k.GetStringValue(valueName)
		k.Close()
	}
	if err == nil {
		t.Skip("requires that Key2OAuth does not start at login here: the test would end that")
	}
	t.Cleanup(func() {
		if err := disable(); err != nil {
			t.Error(err)
		}
	})
}

// turnOff does what the Task Manager does.
func turnOff(t *testing.T) {
	t.Helper()
	k, _, err := registry.CreateKey(registry.CURRENT_USER, approvedKey, registry.SET_VALUE)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if err := k.SetBinaryValue(valueName, []byte{3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}); err != nil {
		t.Fatal(err)
	}
}

func TestCommandLine(t *testing.T) {
	for _, tt := range []struct {
		c    Command
		want string
	}{
		{Command{Program: `C:\Program Files\key2oauth.exe`}, `"C:\Program Files\key2oauth.exe"`},
		{Command{`C:\k.exe`, []string{"--data-dir", `D:\my data\`}}, `"C:\k.exe" --data-dir "D:\my data\\"`},
	} {
		if got := commandLine(tt.c); got != tt.want {
			t.Errorf("commandLine(%q) = %s, want %s", tt.c, got, tt.want)
		}
	}
}

func TestTooLong(t *testing.T) {
	ownPlace(t)
	c := Command{Program: `C:\` + strings.Repeat("x", 260) + `\key2oauth.exe`}
	if err := Enable(c); err == nil {
		t.Error("Enable took a command that Windows would not start")
	}
	is(t, c, Off)
}

func TestWindowless(t *testing.T) {
	// Not TempDir, and file by file: Wine 8 cannot remove a folder that is not
	// empty.
	dir, err := os.MkdirTemp("", "key2oauth-")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	twin := filepath.Join(dir, "Key2OAuth.exe")
	t.Cleanup(func() {
		for _, name := range []string{twin, bin, dir} {
			if err := os.Remove(name); err != nil {
				t.Error(err)
			}
		}
	})
	terminal := filepath.Join(bin, "key2oauth.exe")
	if got := windowless(terminal); got != terminal {
		t.Errorf("with nothing beside it = %s, want %s", got, terminal)
	}
	if err := os.WriteFile(twin, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if got := windowless(terminal); got != twin {
		t.Errorf("windowless = %s, want %s", got, twin)
	}
	if got := windowless(twin); got != twin {
		t.Errorf("windowless of itself = %s, want %s", got, twin)
	}
}
