package safedial

import "syscall"

// limitSilence ends a connection when what was sent on it is not acknowledged
// (TCP_MAXRT of ws2ipdef.h, in seconds).
func limitSilence(fd uintptr) {
	const tcpMaxRT = 5
	// Without it the connection only ends later, so errors are ignored.
	_ = syscall.SetsockoptInt(syscall.Handle(fd), syscall.IPPROTO_TCP, tcpMaxRT, int(silence.Seconds()))
}
