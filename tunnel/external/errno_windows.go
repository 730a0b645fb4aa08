package external

import "syscall"

// errInUse is what the system says when another program listens there: package
// syscall has this name on Windows too, with a number that Windows never returns.
const errInUse = syscall.Errno(10048) // WSAEADDRINUSE
