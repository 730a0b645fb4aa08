//go:build !unix

package wire

import "net"

// canProbe says that probe.quiet works here. Without it a request could be
// written to a connection that was closed long ago, and would be lost.
const canProbe = false

// A probe is never made here.
type probe struct{}

func (*probe) quiet() bool { return false }

func newProbe(net.Conn) *probe { return nil }
