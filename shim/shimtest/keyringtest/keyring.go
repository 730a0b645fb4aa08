//go:build linux

// Package keyringtest starts a private D-Bus session bus with a real
// gnome-keyring-daemon, in its own home folder, so tests meet every state of a
// keychain without touching the user's.
package keyringtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

// A State is the initial state of a session's keychain.
type State string

// The states.
const (
	Unlocked State = "unlocked"
	Locked   State = "locked"     // no prompt can be shown: there is no display
	NotSetUp State = "not set up" // the service runs and has no keyring
	Absent   State = "absent"     // a bus on which nothing owns the name
	NoBus    State = "no bus"     // the address of the bus leads nowhere
)

const (
	password = "test"
	name     = "org.freedesktop.secrets"
	path     = "/org/freedesktop/secrets"
	login    = dbus.ObjectPath("/org/freedesktop/secrets/collection/login")
)

// A Session is a bus and perhaps a keychain. It ends with its test.
type Session struct {
	dir     string // HOME and XDG_RUNTIME_DIR
	address string
	bus     *exec.Cmd
	daemon  *exec.Cmd
}

// Start starts a session. It skips t if the programs for it are missing.
func Start(t testing.TB, state State) *Session {
	t.Helper()
	s := &Session{dir: testenv.ShortDir(t)}
	if state == NoBus {
		s.address = "unix:path=" + filepath.Join(s.dir, "nothing-here")
		return s
	}
	s.address, s.bus = testenv.StartBus(t, s.dir, s.Env())
	switch state {
	case Unlocked:
		s.Appear(t)
	case Locked:
		s.Appear(t)
		s.Lock(t)
	case NotSetUp:
		s.startDaemon(t, "--start")
	}
	return s
}

// Appear starts the keychain, unlocked, in a session that has none.
func (s *Session) Appear(t testing.TB) {
	t.Helper()
	s.startDaemon(t, "--unlock")
	s.wait(t, "unlocked", func(c *dbus.Conn) bool { return !locked(c) })
}

func (s *Session) startDaemon(t testing.TB, how string) {
	t.Helper()
	program := testenv.Need(t, "gnome-keyring-daemon")
	s.daemon = exec.Command(program, "--foreground", how, "--components=secrets")
	s.daemon.Env = s.Env()
	s.daemon.Stdin = strings.NewReader(password)
	if err := s.daemon.Start(); err != nil {
		t.Fatal(err)
	}
	daemon := s.daemon
	t.Cleanup(func() { testenv.End(daemon) })
	s.wait(t, "on the bus", func(c *dbus.Conn) bool {
		var owned bool
		err := c.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, name).Store(&owned)
		return err == nil && owned
	})
}

// Env returns the environment of a program in this session, without the test's
// own session or a display.
func (s *Session) Env() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + s.dir,
		"XDG_RUNTIME_DIR=" + s.dir,
		"XDG_CONFIG_HOME=" + filepath.Join(s.dir, "config"),
		"XDG_DATA_HOME=" + filepath.Join(s.dir, "share"),
		"XDG_CACHE_HOME=" + filepath.Join(s.dir, "cache"),
	}
	if s.address != "" {
		env = append(env, "DBUS_SESSION_BUS_ADDRESS="+s.address)
	}
	return env
}

// Setenv puts t into the session, until t ends.
func (s *Session) Setenv(t *testing.T) {
	t.Helper()
	for _, pair := range s.Env() {
		if name, value, _ := strings.Cut(pair, "="); name != "PATH" {
			t.Setenv(name, value)
		}
	}
	t.Setenv("DISPLAY", "")
	t.Setenv("WAYLAND_DISPLAY", "")
}

// Lock locks the keychain.
func (s *Session) Lock(t testing.TB) {
	t.Helper()
	c := s.connect(t)
	defer c.Close()
	var done []dbus.ObjectPath
	var prompt dbus.ObjectPath
	err := c.Object(name, path).Call("org.freedesktop.Secret.Service.Lock", 0, []dbus.ObjectPath{login}).Store(&done, &prompt)
	if err != nil {
		t.Fatal(err)
	}
	s.wait(t, "locked", locked)
}

// Unlock unlocks the keychain without a prompt, as a login does.
func (s *Session) Unlock(t testing.TB) {
	t.Helper()
	c := s.connect(t)
	defer c.Close()
	var (
		ignored dbus.Variant
		session dbus.ObjectPath
	)
	err := c.Object(name, path).Call("org.freedesktop.Secret.Service.OpenSession", 0, "plain", dbus.MakeVariant("")).Store(&ignored, &session)
	if err != nil {
		t.Fatal(err)
	}
	secret := struct {
		Session     dbus.ObjectPath
		Parameters  []byte
		Value       []byte
		ContentType string
	}{session, nil, []byte(password), "text/plain"}
	err = c.Object(name, path).Call("org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface.UnlockWithMasterPassword", 0, login, secret).Err
	if err != nil {
		t.Fatal(err)
	}
	s.wait(t, "unlocked", func(c *dbus.Conn) bool { return !locked(c) })
}

// Hang makes the keychain stop answering.
func (s *Session) Hang(t testing.TB) { s.signal(t, syscall.SIGSTOP) }

// Resume makes a keychain that hangs continue.
func (s *Session) Resume(t testing.TB) { s.signal(t, syscall.SIGCONT) }

func (s *Session) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := s.daemon.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// Stop ends the keychain; the bus stays.
func (s *Session) Stop(t testing.TB) {
	t.Helper()
	testenv.End(s.daemon)
}

// EndBus ends the bus, like the end of a login session.
func (s *Session) EndBus() { testenv.End(s.bus) }

func (s *Session) connect(t testing.TB) *dbus.Conn {
	t.Helper()
	c, err := dbus.Connect(s.address)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wait waits until ok accepts the state of the keychain.
func (s *Session) wait(t testing.TB, what string, ok func(c *dbus.Conn) bool) {
	t.Helper()
	c := s.connect(t)
	defer c.Close()
	for deadline := time.Now().Add(time.Minute); !ok(c); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the keychain is still not %s", what)
		}
	}
}

// locked reports whether the login keyring is locked or missing.
func locked(c *dbus.Conn) bool {
	v, err := c.Object(name, login).GetProperty("org.freedesktop.Secret.Collection.Locked")
	return err != nil || v.Value() != false
}
