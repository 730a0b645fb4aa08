//go:build !unix

package wire

import "net"

// canProbe says that now.quiet can tell. Without that a request could be written
// to a connection that was closed long ago, and would be lost.
const canProbe = false

// A now is never made here.
type now struct{}

func (*now) quiet() bool { return false }

func nowOf(net.Conn) *now { return nil }
