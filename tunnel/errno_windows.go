package tunnel

import "syscall"

// What the system says when it cannot connect: package syscall has these names
// on Windows too, with numbers that Windows never returns.
const (
	errRefused   = syscall.Errno(10061) // WSAECONNREFUSED
	errNoNetwork = syscall.Errno(10051) // WSAENETUNREACH
	errNoRoute   = syscall.Errno(10065) // WSAEHOSTUNREACH
	errReset     = syscall.Errno(10054) // WSAECONNRESET
)
