//go:build !windows

package tunnel

import "syscall"

// What the system says when it cannot connect.
const (
	errRefused   = syscall.ECONNREFUSED
	errNoNetwork = syscall.ENETUNREACH
	errNoRoute   = syscall.EHOSTUNREACH
	errReset     = syscall.ECONNRESET
)
