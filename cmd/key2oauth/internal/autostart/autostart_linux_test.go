package autostart

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// ownPlace gives the test a place of its own to write to.
func ownPlace(t *testing.T) { t.Setenv("XDG_CONFIG_HOME", t.TempDir()) }

// turnOff does what GNOME's settings do.
func turnOff(t *testing.T) {
	t.Helper()
	name, err := entry()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b = []byte(strings.Replace(string(b), "enabled=true", "enabled=false", 1))
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestReadDesktopEntry(t *testing.T) {
	c := Command{Program: "/usr/bin/key2oauth"}
	for _, tt := range []struct {
		name, content string
		want          State
	}{
		{"ours", desktopEntry(c), On},
		{"empty", "", Off},
		{"hidden by XFCE's settings", desktopEntry(c) + "Hidden=true\n", Off},
		{"turned off by GNOME's", strings.Replace(desktopEntry(c), "enabled=true", "enabled=false", 1), Off},
		{"another copy of the program", strings.Replace(desktopEntry(c), "/usr/bin/key2oauth", "/bin/sh", 1), Other},
		{"another copy by hand", "[Desktop Entry]\nExec=/bin/sh -c x\n", Other},
		{"by name", "[Desktop Entry]\nExec=key2oauth\n", Other},
		{"where it was before", strings.Replace(desktopEntry(c), "/usr/bin", "/opt", 1), Moved},
		{"a key of another group", desktopEntry(c) + "[Desktop Action New]\nHidden=true\nExec=other\n", On},
		{"spaces", "[Desktop Entry]\n Exec = \"/usr/bin/key2oauth\" \n", On},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := readDesktopEntry(tt.content, c); got != tt.want {
				t.Errorf("readDesktopEntry = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestExecLine(t *testing.T) {
	for _, tt := range []struct{ program, want string }{
		{"/usr/bin/key2oauth", `"/usr/bin/key2oauth"`},
		{"/home/a b/key2oauth", `"/home/a b/key2oauth"`},
		{"/opt/100%/key2oauth", `"/opt/100%%/key2oauth"`},
		{`/opt/$HOME/"x"`, `"/opt/\\$HOME/\\"x\\""`},
		{`/opt/a\b`, `"/opt/a\\\\b"`},
	} {
		got := execLine(Command{Program: tt.program, Args: []string{"--at-login"}})
		if got != tt.want+` "--at-login"` {
			t.Errorf("execLine(%s) = %s, want %s", tt.program, got, tt.want)
		}
		if back := programOf(got); back != tt.program {
			t.Errorf("programOf(%s) = %s, want %s", got, back, tt.program)
		}
	}
}

// TestDesktopStarts starts the written entry with GLib, because most desktops
// start programs with it.
func TestDesktopStarts(t *testing.T) {
	gio := testenv.Need(t, "gio")
	ownPlace(t)
	dir := filepath.Join(t.TempDir(), "a b $HOME `c` \"d\" \\e")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program, said := filepath.Join(dir, "key2oauth"), filepath.Join(dir, "said")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" >\"${0%/*}/said\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	args := []string{"--data-dir", "/my data/$x/%u 100%", `"`}
	if err := Enable(Command{program, args}); err != nil {
		t.Fatal(err)
	}
	name, err := entry()
	if err != nil {
		t.Fatal(err)
	}
	if validate, err := exec.LookPath("desktop-file-validate"); err == nil {
		if out, err := exec.Command(validate, name).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("desktop-file-validate: %v\n%s", err, out)
		}
	}
	cmd := exec.Command(gio, "launch", name)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gio launch: %v\n%s", err, out)
	}
	waitFor(t, said)
	got, err := os.ReadFile(said)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Join(args, "\n")+"\n", string(got)); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
}

// waitFor waits until a file has something in it.
func waitFor(t *testing.T, name string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if info, err := os.Stat(name); err == nil && info.Size() > 0 {
			return
		}
	}
	t.Fatal("the program was not started")
}
