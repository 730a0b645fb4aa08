package e2e

import (
	"fmt"
	"html"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/shim/shimtest/keyringtest"
	"github.com/key2oauth/key2oauth/tray"
	"github.com/key2oauth/key2oauth/tray/traytest"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// A desktopApp is the built program with a tray, in its own session: a bus, a
// keychain, and a browser that records what it was told to open.
type desktopApp struct {
	*app
	bus     *traytest.Bus
	keyring *keyringtest.Session
	links   *links
	browser *shimtest.Browser // of the owner
	edge    *tunneltest.Edge
}

// A desktopSession says how a session differs from the default.
type desktopSession struct {
	keychain keyringtest.State    // "" is Unlocked
	keyring  *keyringtest.Session // nil is one with keychain
	bus      *traytest.Bus        // nil means the bus of the keychain
	args     []string             // of the program
	env      []string
}

// startDesktopApp starts the program, and returns when it serves.
func startDesktopApp(t *testing.T, s desktopSession) *desktopApp {
	t.Helper()
	if s.keychain == "" {
		s.keychain = keyringtest.Unlocked
	}
	if s.keyring == nil {
		s.keyring = keyringtest.Start(t, s.keychain)
	}
	d := &desktopApp{keyring: s.keyring, bus: s.bus, links: newLinks(t)}
	if d.bus == nil {
		d.bus = traytest.Join(d.keyring.Env())
	}
	d.edge = tunneltest.Start(t, tunneltest.Config{})
	ca, err := d.edge.CAFile(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	env := append(d.bus.Env(), "WAYLAND_DISPLAY=", "KEY2OAUTH_TEST_EDGE="+d.edge.Addr(), "KEY2OAUTH_TEST_EDGE_CA="+ca)
	if d.bus.Getenv("DISPLAY") == "" {
		env = append(env, "DISPLAY=:nowhere") // enough for the browser, which shows nothing
	}
	d.app = startWith(t, &app{
		exe: built(t, buildForTests), tray: true,
		args: append([]string{"--keychain", "os"}, s.args...), env: append(append(env, s.env...), d.links.env(d.bus.Getenv("PATH"))...),
	})
	d.browser = shimtest.NewBrowser(t, d.origin)
	return d
}

// status reads the fields of out from the status.
func (d *desktopApp) status(out any) { d.t.Helper(); d.api("GET", "/api/status", nil, out) }

func (d *desktopApp) waitPaused(want bool) {
	d.t.Helper()
	traytest.Wait(d.t, fmt.Sprintf("paused %v", want), func() (bool, string) {
		var status struct{ Paused bool }
		d.status(&status)
		return status.Paused == want, ""
	})
}

// follow opens the next link that the program has opened, in the owner's
// browser, and returns the page that it leads to.
func (d *desktopApp) follow(path string) *shimtest.Page {
	d.t.Helper()
	p := d.browser.SignIn(d.links.next(d.t))
	if p.URL.Path != path || p.Status != 200 {
		d.t.Fatalf("the link leads to %s (%d), want %s", p.URL.Path, p.Status, path)
	}
	return p
}

// ended waits until the program exits without being stopped, and returns its
// exit code.
func (d *desktopApp) ended() int {
	d.t.Helper()
	late := time.AfterFunc(30*time.Second, func() { d.cmd.Process.Kill() })
	defer late.Stop()
	d.cmd.Wait()
	code := d.cmd.ProcessState.ExitCode()
	d.cmd = nil
	return code
}

// waitSaid waits until the program has printed words.
func (d *desktopApp) waitSaid(words string) {
	d.t.Helper()
	traytest.Wait(d.t, fmt.Sprintf("%q said", words), func() (bool, string) {
		return strings.Contains(d.out.String(), words), ""
	})
}

// links records the links that the program opens. The browser is a program that
// writes them down.
type links struct {
	dir  string
	seen int
}

const noteLink = `#!/bin/sh
echo "$1" >>"${0%/*}/links"
`

func newLinks(t *testing.T) *links {
	t.Helper()
	l := &links{dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(l.dir, "xdg-open"), []byte(noteLink), 0o755); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *links) env(path string) []string { return []string{"PATH=" + l.dir + ":" + path} }

func (l *links) all() []string {
	b, _ := os.ReadFile(filepath.Join(l.dir, "links"))
	return strings.Fields(string(b))
}

// next waits for the next link.
func (l *links) next(t testing.TB) string {
	t.Helper()
	traytest.Wait(t, "a page opened", func() (bool, string) { return len(l.all()) > l.seen, "" })
	l.seen++
	return l.all()[l.seen-1]
}

// none checks that no further link was opened.
func (l *links) none(t testing.TB) {
	t.Helper()
	if all := l.all(); len(all) > l.seen {
		t.Errorf("%d pages were opened without a request", len(all)-l.seen)
	}
}

// first is the first line of a menu that can be clicked.
func first(m *traytest.Item) string {
	for _, i := range m.Items {
		if !i.Separator {
			return i.Label
		}
	}
	return ""
}

func has(path ...string) func(*traytest.Item) bool {
	return func(m *traytest.Item) bool { return m.Find(path...) != nil }
}

// TestDesktopWithoutTray starts the program on a desktop without a tray. It
// says so, opens its window in the browser, and serves.
func TestDesktopWithoutTray(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	for _, tt := range []struct {
		name    string
		session desktopSession
		words   string
	}{
		{"no bus", desktopSession{keychain: keyringtest.NoBus, env: []string{"DBUS_SESSION_BUS_ADDRESS=", "XDG_RUNTIME_DIR=/nowhere"}}, tray.ErrNoBus.Error()},
		{"dead bus", desktopSession{keychain: keyringtest.NoBus}, tray.ErrNoBus.Error()},
		{"no host", desktopSession{keychain: keyringtest.Absent}, tray.Text("said.nohost")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.session.args = []string{"--keychain", "file"}
			d := startDesktopApp(t, tt.session)
			d.waitSaid(tt.words)
			if p := d.follow("/"); !strings.Contains(html.UnescapeString(p.Body), shimtest.Notice("notray")) {
				t.Error("the page does not say how to come back to it")
			}
			up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
			signedIn(t, d.app, d.addEndpoint("Linear", up.URL, up.Key()).Local, up.Key()).mustCall("without a tray")
			d.stop()

			// This is not the first run, but the owner would still see nothing.
			d.start()
			d.follow("/")
			d.stop()

			d.args = append(d.args, "--at-login")
			d.start()
			d.waitSaid(tt.words)
			time.Sleep(4 * time.Second) // longer than the program waits for a panel, before it must not open a page
			d.links.none(t)
			d.stop()
		})
	}
}

// TestDesktopPanel starts the panel after the program, crashes the panel, and
// ends the bus.
func TestDesktopPanel(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	d := startDesktopApp(t, desktopSession{args: []string{"--at-login"}})
	d.waitSaid(tray.Text("said.nohost"))
	for range 2 {
		panel := d.bus.StartWatcher(t)
		panel.Icon(t).WaitMenu(t, "the menu", has(tray.Text("quit")))
		panel.Stop()
	}
	d.links.none(t)

	// A program started at login ends with the session.
	d.keyring.EndBus()
	if code := d.ended(); code != 0 {
		t.Errorf("at the end of the session the exit code is %d, want 0", code)
	}
	d.waitSaid(tray.Text("said.session"))

	// A program that a person started keeps running.
	d = startDesktopApp(t, desktopSession{})
	d.bus.StartWatcher(t).Icon(t)
	d.keyring.EndBus()
	d.waitSaid(tray.ErrBusGone.Error())
	d.run("", "status")
	d.stop()
}

// TestDesktopSecondStart starts the program twice.
func TestDesktopSecondStart(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	d := startDesktopApp(t, desktopSession{})
	d.bus.StartWatcher(t).Icon(t)
	d.follow("/") // the first run; the panel may have started too late for it

	second := func(args ...string) (code int, said string) {
		t.Helper()
		cmd := exec.Command(d.exe, append([]string{"--data-dir", d.dir}, args...)...)
		cmd.Env = d.cmd.Env
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), string(out)
	}
	if code, said := second(); code != 0 || !strings.Contains(said, d.origin) {
		t.Errorf("a second start = %d:\n%s", code, said)
	}
	d.follow("/")
	if code, said := second("--at-login"); code != 0 || !strings.Contains(said, d.origin) {
		t.Errorf("a second start at login = %d:\n%s", code, said)
	}
	d.links.none(t)
}

// TestDesktopStartFails starts the program by a click where it cannot run. The
// person who clicked must learn why.
func TestDesktopStartFails(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	bus := traytest.StartBus(t)
	daemon := bus.StartNotifier(t, "body")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(built(t, buildForTests), "--data-dir", file)
	cmd.Env = bus.Env()
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("the exit code is %d, want 1", code)
	}
	if note := daemon.Next(t); note.Summary != tray.Text("notice.start") || !strings.Contains(note.Body, file) {
		t.Errorf("the notification says %q, %q", note.Summary, note.Body)
	}
}

// TestDesktopLockedKeyring starts with a keyring that asks for a password. The
// prompt and the tray share a bus, and must not take each other's signals.
func TestDesktopLockedKeyring(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	d := startDesktopApp(t, desktopSession{})
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	u := signedIn(t, d.app, d.addEndpoint("Linear", up.URL, up.Key()).Local, up.Key())
	waitKeychain(d.app, "ready")
	d.keyring.Lock(t)
	prompter := d.keyring.Prompter(t)
	panel := d.bus.StartWatcher(t)
	panel.Icon(t)
	d.restart()
	panel.Icon(t).WaitMenu(t, "a locked keyring shown", has(tray.Text("status.locked")))
	traytest.Wait(t, "the question on the screen", func() (bool, string) { return prompter.Shown() > 0, "" })

	panel.Stop() // while the prompt is open
	panel = d.bus.StartWatcher(t)
	panel.Icon(t).WaitMenu(t, "the menu of the next panel", has(tray.Text("status.locked")))
	prompter.Dismiss(t)
	panel.Stop() // after an answer
	panel = d.bus.StartWatcher(t)
	icon := panel.Icon(t)
	d.keyring.Unlock(t)
	icon.WaitMenu(t, "the keyring open", func(m *traytest.Item) bool { return !has(tray.Text("status.locked"))(m) })
	u.mustCall("the keyring is open")
	icon.Click(t, tray.Text("pause"))
	d.waitPaused(true)
}
