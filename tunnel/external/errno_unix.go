//go:build !windows

package external

import "syscall"

// errInUse is what the system says when another program listens there.
const errInUse = syscall.EADDRINUSE
