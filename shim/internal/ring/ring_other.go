//go:build !linux && !darwin && !windows

package ring

import "os/exec"

// MayBeMissing says that there may be no keychain at all on such a system.
const MayBeMissing = true

func childEnv(func(string) string) (env []string, ok bool) { return nil, true }

func ownGroup(*exec.Cmd) {}

// probe: go-keyring's Secret Service is only used where it was tried.
func probe() Status { return Unavailable }
