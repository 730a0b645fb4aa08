package ring

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/godbus/dbus/v5"
)

// MayBeMissing says that a session without a Secret Service is common.
const MayBeMissing = true

const (
	secretsName       = "org.freedesktop.secrets"
	secretsPath       = "/org/freedesktop/secrets"
	secretsService    = "org.freedesktop.Secret.Service"
	secretsCollection = "org.freedesktop.Secret.Collection"
	loginCollection   = "/org/freedesktop/secrets/collection/login"
)

// busAddress is the address of the session bus, "" if there is none. Without an
// address, D-Bus libraries start a bus of their own with dbus-launch and leave
// it behind; so they are not called then.
func busAddress(getenv func(string) string) string {
	if a := getenv("DBUS_SESSION_BUS_ADDRESS"); a != "" && !strings.HasPrefix(a, "autolaunch:") {
		return a
	}
	dirs := []string{getenv("XDG_RUNTIME_DIR"), "/run/user/" + strconv.Itoa(os.Getuid())}
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		if info, err := os.Stat(dir + "/bus"); err == nil && info.Mode()&os.ModeSocket != 0 {
			return "unix:path=" + dir + "/bus"
		}
	}
	return ""
}

// childEnv is the environment of the child: what the bus needs, and nothing
// that a token may have come in with. ok is false if there is no bus.
func childEnv(getenv func(string) string) (env []string, ok bool) {
	address := busAddress(getenv)
	if address == "" {
		return nil, false
	}
	env = []string{"DBUS_SESSION_BUS_ADDRESS=" + address}
	for _, name := range []string{"HOME", "PATH", "USER", "XDG_RUNTIME_DIR", "GOCOVERDIR"} {
		if value := getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env, true
}

// ownGroup lets the child be ended together with all that it started.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// probe looks at the Secret Service on a connection of its own, since the
// shared one of the D-Bus library is go-keyring's. It reads properties only,
// which raises no prompt.
func probe() Status {
	address := busAddress(os.Getenv)
	if address == "" {
		return Unavailable
	}
	conn, err := dbus.Connect(address)
	if err != nil {
		return Unavailable
	}
	defer conn.Close()

	var owned bool
	bus := conn.BusObject()
	if err := bus.Call("org.freedesktop.DBus.NameHasOwner", 0, secretsName).Store(&owned); err != nil {
		return Unavailable
	}
	if !owned {
		var names []string
		err := bus.Call("org.freedesktop.DBus.ListActivatableNames", 0).Store(&names)
		if err != nil || !slices.Contains(names, secretsName) {
			return Unavailable
		}
	}

	collection, err := defaultCollection(conn)
	if err != nil {
		return probeError(err)
	}
	if collection == "/" {
		return NotSetUp
	}
	locked, err := conn.Object(secretsName, collection).GetProperty(secretsCollection + ".Locked")
	if err != nil {
		return probeError(err)
	}
	if locked.Value() == false {
		return Unlocked
	}
	return Locked
}

// defaultCollection chooses as go-keyring does. "/" means that there is none.
func defaultCollection(conn *dbus.Conn) (dbus.ObjectPath, error) {
	service := conn.Object(secretsName, secretsPath)
	all, err := service.GetProperty(secretsService + ".Collections")
	if err != nil {
		return "", err
	}
	if paths, ok := all.Value().([]dbus.ObjectPath); ok && slices.Contains(paths, loginCollection) {
		return loginCollection, nil
	}
	var path dbus.ObjectPath
	err = service.Call(secretsService+".ReadAlias", 0, "default").Store(&path)
	return path, err
}

// probeError tells a service that cannot be had from one that is slow.
func probeError(err error) Status {
	if e, ok := errors.AsType[dbus.Error](err); ok {
		switch e.Name {
		case "org.freedesktop.DBus.Error.NoReply", "org.freedesktop.DBus.Error.Timeout", "org.freedesktop.DBus.Error.TimedOut":
			return Slow
		}
	}
	return Unavailable
}
