package safedial

import "syscall"

// limitSilence ends a connection when what was sent on it is not acknowledged
// (TCP_RXT_CONNDROPTIME of netinet/tcp.h, in seconds).
func limitSilence(fd uintptr) {
	// Without it the connection only ends later, so errors are ignored.
	_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_RXT_CONNDROPTIME, int(silence.Seconds()))
}
