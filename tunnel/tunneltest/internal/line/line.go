// Package line is a network whose speed tests choose: it can stand still, be
// slow, and have a long way.
package line

import (
	"net"
	"sync"
	"time"
)

// A Line carries connections. It can be frozen and starved.
type Line struct {
	mu     sync.Mutex
	thawed chan struct{} // not nil while frozen; closed by Thaw
	rate   int           // bytes a second in each direction, 0 for no limit
	delay  time.Duration // of each read and write
}

// Freeze lets nothing through, and closes nothing.
func (l *Line) Freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.thawed == nil {
		l.thawed = make(chan struct{})
	}
}

// Thaw ends Freeze.
func (l *Line) Thaw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.thawed != nil {
		close(l.thawed)
		l.thawed = nil
	}
}

// Starve lets rate bytes a second through in each direction, or any number if
// rate is 0, and delays each read and write.
func (l *Line) Starve(rate int, delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate, l.delay = rate, delay
}

// A Conn is one connection on a Line.
type Conn struct {
	net.Conn
	line   *Line
	once   sync.Once
	closed chan struct{}
}

// Conn returns c on the line.
func (l *Line) Conn(c net.Conn) *Conn {
	return &Conn{Conn: c, line: l, closed: make(chan struct{})}
}

func (c *Conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// pass waits until the line is not frozen and the time to send n bytes is over.
func (c *Conn) pass(n int) error {
	for {
		c.line.mu.Lock()
		thawed, rate, delay := c.line.thawed, c.line.rate, c.line.delay
		c.line.mu.Unlock()
		if rate > 0 {
			delay += time.Duration(float64(n) / float64(rate) * float64(time.Second))
		}
		switch {
		case thawed != nil:
			select {
			case <-thawed:
				continue
			case <-c.closed:
				return net.ErrClosed
			}
		case delay > 0:
			select {
			case <-time.After(delay):
			case <-c.closed:
				return net.ErrClosed
			}
		}
		return nil
	}
}

func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 || err == nil {
		if frozen := c.pass(n); frozen != nil {
			return 0, frozen
		}
	}
	return n, err
}

func (c *Conn) Write(b []byte) (int, error) {
	if err := c.pass(len(b)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
