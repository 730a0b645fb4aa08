package tunneltest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// clientHello reads the first message of a TLS client. It returns the name that
// the client asks for, "" if none, and a connection that replays that message.
func clientHello(c net.Conn) (string, net.Conn, error) {
	var name string
	var seen bytes.Buffer
	read := errors.New("read")
	err := tls.Server(readOnlyConn{c, io.TeeReader(c, &seen)}, &tls.Config{
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			name = h.ServerName
			return nil, read
		},
	}).Handshake()
	if !errors.Is(err, read) {
		return "", nil, err
	}
	return name, replayedConn{c, io.MultiReader(&seen, c)}, nil
}

// readOnlyConn keeps the client from seeing the alert of the handshake that
// clientHello aborts.
type readOnlyConn struct {
	net.Conn
	r io.Reader
}

func (c readOnlyConn) Read(b []byte) (int, error)  { return c.r.Read(b) }
func (c readOnlyConn) Write(b []byte) (int, error) { return len(b), nil }

// replayedConn is a connection with its first bytes already read.
type replayedConn struct {
	net.Conn
	r io.Reader
}

func (c replayedConn) Read(b []byte) (int, error) { return c.r.Read(b) }

// A streamConn is a proxy stream that ends after it was idle for a while in
// both directions.
type streamConn struct {
	net.Conn
	idle  time.Duration
	timer *time.Timer
}

func newStreamConn(c net.Conn, idle time.Duration) *streamConn {
	return &streamConn{Conn: c, idle: idle, timer: time.AfterFunc(idle, func() { c.Close() })}
}

func (c *streamConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.timer.Reset(c.idle)
	}
	return n, err
}

func (c *streamConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if n > 0 {
		c.timer.Reset(c.idle)
	}
	return n, err
}

func (c *streamConn) Close() error {
	c.timer.Stop()
	return c.Conn.Close()
}

// A handOver is a listener for connections that are accepted elsewhere.
type handOver struct {
	addr   net.Addr
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newHandOver(addr net.Addr) *handOver {
	return &handOver{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (h *handOver) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.closed:
		c.Close()
	}
}

func (h *handOver) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handOver) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *handOver) Addr() net.Addr { return h.addr }
