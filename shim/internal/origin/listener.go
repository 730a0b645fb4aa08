package origin

import (
	"net"
	"sync/atomic"
)

// maxConns bounds the connections of a public side. One person's clients have
// dozens, and each costs about 20 kB while it waits.
const maxConns = 2048

// A Listener bounds the connections of a public side, and counts the bytes that
// leave by them.
type Listener struct {
	net.Listener
	Wrote func(n int) // is told of each write

	open atomic.Int64
}

// Accept waits for a connection. Those past the bound are closed at once.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= maxConns {
			return &conn{Conn: c, l: l}, nil
		}
		l.open.Add(-1)
		c.Close()
	}
}

type conn struct {
	net.Conn
	l      *Listener
	closed atomic.Bool
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.l.Wrote(n)
	return n, err
}

func (c *conn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.l.open.Add(-1)
	}
	return c.Conn.Close()
}
