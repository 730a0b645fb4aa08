//go:build !unix

package wire

import (
	"net"
	"sync/atomic"
)

// canProbe says that now.quiet can tell. Without that a request could be written
// to a connection that was closed long ago, and would be lost.
const canProbe = false

// A now is never made here.
type now struct{}

func (*now) quiet() bool { return false }

func nowOf(net.Conn) *now { return nil }

// An arriving is never made here.
type arriving struct{ hasty atomic.Bool }

func newArriving(c net.Conn) net.Conn { return c }
