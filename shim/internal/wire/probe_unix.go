//go:build unix

package wire

import (
	"io"
	"net"
	"syscall"
)

// canProbe says that now.quiet can tell.
const canProbe = true

// quiet reports whether a connection is open and its peer has sent nothing on
// it that nobody asked for.
func (r *now) quiet() bool {
	var b [1]byte
	_, err := r.read(b[:])
	return err == errNothing
}

// A now reads what has arrived on a connection. It is kept with the connection,
// since a function made for each read would be garbage after it.
type now struct {
	raw syscall.RawConn
	try func(fd uintptr) bool
	p   []byte
	n   int
	err error
}

// nowOf returns nil if c is none that can be asked.
func nowOf(c net.Conn) *now {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	r := &now{raw: raw}
	r.try = func(fd uintptr) bool {
		for {
			switch n, err := syscall.Read(int(fd), r.p); {
			case err == syscall.EINTR:
				continue
			case err == syscall.EAGAIN:
				r.err = errNothing
			case err != nil:
				r.err = err
			case n == 0:
				r.err = io.EOF
			default:
				r.n = n
			}
			return true
		}
	}
	return r
}

// read reads what has arrived. The error is errNothing if nothing has. It is
// for one goroutine at a time.
func (r *now) read(p []byte) (int, error) {
	r.p, r.n, r.err = p, 0, nil
	if err := r.raw.Read(r.try); err != nil {
		return 0, err
	}
	r.p = nil
	return r.n, r.err
}
