package listen

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// Both adds the IPv6 loopback address at the same port, if ln is on 127.0.0.1.
// Apps that are told "localhost" may try that one first, and a program that holds
// it would get their tokens (RFC 8252, Section 8.3). The error says that another
// program holds it already; the listener works all the same. A computer without
// IPv6 needs none.
func Both(ln net.Listener) (net.Listener, error) {
	addr, err := netip.ParseAddrPort(ln.Addr().String())
	if err != nil || addr.Addr() != netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		return ln, nil
	}
	six := netip.AddrPortFrom(netip.IPv6Loopback(), addr.Port())
	other, err := net.Listen("tcp6", six.String())
	switch {
	case err == nil:
		return join(ln, other), nil
	case !errors.Is(err, syscall.EADDRINUSE):
		return ln, nil
	}
	who := holder(six)
	if who == "" {
		who = "another program"
	}
	return ln, fmt.Errorf("%s is taken by %s", six, who)
}

// A pair accepts the connections of two listeners. Its address is that of the
// first.
type pair struct {
	net.Listener
	other net.Listener

	conns  chan net.Conn
	failed chan error
	once   sync.Once
	closed chan struct{}
}

func join(ln, other net.Listener) *pair {
	p := &pair{Listener: ln, other: other, conns: make(chan net.Conn), failed: make(chan error, 2), closed: make(chan struct{})}
	go p.pump(ln)
	go p.pump(other)
	return p
}

func (p *pair) pump(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			// The HTTP server tries a temporary failure again, after a while.
			select {
			case p.failed <- err:
			case <-p.closed:
				return
			}
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		select {
		case p.conns <- c:
		case <-p.closed:
			c.Close()
			return
		}
	}
}

func (p *pair) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case err := <-p.failed:
		return nil, err
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pair) Close() error {
	p.once.Do(func() { close(p.closed) })
	return errors.Join(p.Listener.Close(), p.other.Close())
}
