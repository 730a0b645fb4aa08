package safedial

import "syscall"

// limitSilence ends a connection when what was sent on it is not acknowledged
// (tcp(7), TCP_USER_TIMEOUT, in milliseconds).
func limitSilence(fd uintptr) {
	const tcpUserTimeout = 0x12
	// Without it the connection only ends later, so errors are ignored.
	_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(silence.Milliseconds()))
}
