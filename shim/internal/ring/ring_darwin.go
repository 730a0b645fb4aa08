package ring

import (
	"errors"
	"os/exec"

	gokeyring "github.com/zalando/go-keyring"
)

// MayBeMissing says that over ssh there may be no keychain at all.
const MayBeMissing = true

// childEnv: nil is our own environment. The keychain has its own process here,
// /usr/bin/security.
func childEnv(func(string) string) (env []string, ok bool) { return nil, true }

func ownGroup(*exec.Cmd) {}

// probe looks for an item that does not exist. Storing first would raise a
// window with a destructive default button where there is no keychain.
//
// The exit status of /usr/bin/security is the last byte of an OSStatus.
func probe() Status {
	_, err := gokeyring.Get(Service, "probe")
	if err == nil || errors.Is(err, gokeyring.ErrNotFound) {
		return Unlocked
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return Unavailable
	}
	switch exit.ExitCode() {
	case 37, 50: // errSecNoDefaultKeychain, errSecNoSuchKeychain
		return NotSetUp
	}
	return Locked
}
