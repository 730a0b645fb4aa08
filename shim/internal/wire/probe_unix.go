//go:build unix

package wire

import (
	"net"
	"syscall"
)

// canProbe says that probe.quiet works here.
const canProbe = true

// A probe looks at a connection without waiting. It is kept with the
// connection: a function made for each look would be garbage.
type probe struct {
	raw   syscall.RawConn
	try   func(fd uintptr) bool
	empty bool
}

// newProbe returns nil if c cannot be probed.
func newProbe(c net.Conn) *probe {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	p := &probe{raw: raw}
	p.try = func(fd uintptr) bool {
		var b [1]byte
		for {
			_, err := syscall.Read(int(fd), b[:])
			if err == syscall.EINTR {
				continue
			}
			p.empty = err == syscall.EAGAIN
			return true
		}
	}
	return p
}

// quiet reports whether the connection is open and its peer has sent nothing
// since the last answer. It is for one goroutine at a time.
func (p *probe) quiet() bool {
	p.empty = false
	return p.raw.Read(p.try) == nil && p.empty
}
