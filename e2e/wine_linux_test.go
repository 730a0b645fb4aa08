package e2e

import (
	"bytes"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/tray/traytest"
)

// A wine is a separate Windows on a virtual display.
type wine struct {
	t      *testing.T
	screen *traytest.Desktop
	dir    string
	env    []string
	links  *links
}

func startWine(t *testing.T) *wine {
	t.Helper()
	for _, program := range []string{"wine", "wineboot", "wineserver", "x86_64-w64-mingw32-gcc"} {
		testenv.Need(t, program)
	}
	w := &wine{t: t, screen: traytest.StartScreen(t), dir: t.TempDir(), links: newLinks(t)}
	prefix := filepath.Join(w.dir, "prefix")
	w.env = append(w.screen.Env(), "WINEPREFIX="+prefix, "WINEDEBUG=-all", "WINEDLLOVERRIDES=mscoree,mshtml=;winemenubuilder.exe=d")
	w.env = append(w.env, w.links.env(os.Getenv("PATH"))...)
	t.Cleanup(func() { w.command("wineserver", "-k", "-w").Run() }) // ends everything that runs in this prefix
	w.mustRun("wineboot", "-i")
	w.mustRun("wineserver", "-w") // until its registry is on the disk
	w.mustRun("x86_64-w64-mingw32-gcc", "-shared", "-O2", "-o", filepath.Join(prefix, "drive_c/windows/system32/bcryptprimitives.dll"),
		filepath.Join("testdata", "wine", "bcryptprimitives.c"), "-ladvapi32")
	return w
}

func (w *wine) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = w.env
	cmd.WaitDelay = time.Second // the services that it started keep its output open
	return cmd
}

func (w *wine) mustRun(name string, args ...string) string {
	w.t.Helper()
	code, out := w.run(name, args...)
	if code != 0 {
		w.t.Fatalf("%s %s: exit code %d\n%s", name, strings.Join(args, " "), code, out)
	}
	return out
}

func (w *wine) run(name string, args ...string) (code int, out string) {
	w.t.Helper()
	cmd := w.command(name, args...)
	b, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		w.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(b)
}

// cross builds a program for Windows, and returns the file.
func (w *wine) cross(name string, args ...string) string {
	w.t.Helper()
	file := filepath.Join(w.dir, name)
	cmd := exec.Command("go", append([]string{args[0], "-o", file}, args[1:]...)...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return file
}

const wineWidth, wineHeight = 1000, 660

// TestWine runs the program for Windows: its icon in the taskbar, the
// Credential Manager, a sign-in through it, a second start, and Quit.
func TestWine(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	w := startWine(t)
	// One build as it is shipped, without a console, and one with a console, to see
	// what it prints.
	app := w.cross("key2oauth-gui.exe", "build", "-ldflags=-H=windowsgui", "./cmd/key2oauth")
	exe := w.cross("key2oauth.exe", "build", "./cmd/key2oauth")
	login := w.cross("login.exe", "test", "-c", "./e2e/windows")
	w.env = append(w.env, `KEY2OAUTH_DATA_DIR=C:\data`, "KEY2OAUTH_ADDR=127.0.0.1:0", "KEY2OAUTH_TEST_EXE=Z:"+strings.ReplaceAll(exe, "/", `\`))

	desktop := w.command("wine", "explorer", fmt.Sprintf("/desktop=k2o,%dx%d", wineWidth, wineHeight), app)
	var said bytes.Buffer
	desktop.Stdout, desktop.Stderr = &said, &said
	if err := desktop.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { desktop.Wait(); close(ended) }()
	t.Cleanup(func() {
		desktop.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("the program printed:\n%s", said.String())
		}
	})
	icon := w.icon()
	if link := w.links.next(t); !regexp.MustCompile(`^http://127\.0\.0\.1:\d+/open\?ticket=\w+$`).MatchString(link) {
		t.Errorf("the first run opened %q", link)
	}
	t.Log(w.mustRun("wine", login, "-test.v"))
	for _, name := range []string{"autostart", "clipboard", "userpath"} {
		t.Log(w.mustRun("wine", w.cross(name+".exe", "test", "-c", "./cmd/key2oauth/internal/"+name), "-test.v"))
	}

	if code, out := w.run("wine", exe); code != 0 || !strings.Contains(out, "already running at http://127.0.0.1:") {
		t.Errorf("a second start = %d:\n%s", code, out)
	}
	w.links.next(t)
	w.links.none(t)

	w.openMenu(icon)
	traytest.Keep(t, w.screen.Screen(t), image.Rect(wineWidth-500, wineHeight-400, wineWidth, wineHeight), filepath.Join(shots, "desktop-windows.png"))
	w.screen.Point(t, icon.Add(image.Pt(-200, -12)), 1) // the last line
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("Quit did not end the program")
	}
	if code, out := w.run("wine", exe, "status"); code != 3 {
		t.Errorf("after Quit, status = %d, want 3:\n%s", code, out)
	}

	// The next run has the key that the last run saved.
	serve := w.command("wine", exe, "serve")
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { serve.Process.Kill(); serve.Wait() })
	traytest.Wait(t, "the saved key of the last run", func() (bool, string) {
		_, out := w.run("wine", exe, "list")
		return regexp.MustCompile(`Linear +` + regexp.QuoteMeta(shimtest.Text("server.ok")) + ` `).MatchString(out), out
	})
}

// icon waits until the taskbar shows the icon, and returns its position.
func (w *wine) icon() (at image.Point) {
	w.t.Helper()
	bar := image.Rect(wineWidth/2, wineHeight-20, wineWidth, wineHeight)
	traytest.Wait(w.t, "an icon in the taskbar", func() (bool, string) {
		var ok bool
		at, ok = traytest.Find(w.screen.Screen(w.t), bar, slate)
		return ok, ""
	})
	return at
}

func (w *wine) openMenu(icon image.Point) {
	w.t.Helper()
	before := w.screen.Screen(w.t)
	w.screen.Point(w.t, icon, 1)
	w.screen.WaitChange(w.t, "the menu on the screen", before, 20_000)
	w.screen.Point(w.t, image.Pt(100, 100), 0) // otherwise a tooltip covers it
	w.screen.Still(w.t)
}
