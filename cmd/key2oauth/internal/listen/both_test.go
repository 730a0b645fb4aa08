package listen

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
)

func at(t *testing.T, network, addr string) net.Listener {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		testenv.Skip(t, fmt.Sprintf("cannot listen on %s, as without IPv6: %v", addr, err))
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func TestBoth(t *testing.T) {
	at(t, "tcp6", "[::1]:0")
	ln, err := Both(at(t, "tcp", "127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	port := netip.MustParseAddrPort(ln.Addr().String()).Port()
	for _, host := range []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()} {
		addr := netip.AddrPortFrom(host, port)
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		got, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got.LocalAddr().String() != addr.String() {
			t.Errorf("accepted at %s, want %s", got.LocalAddr(), addr)
		}
		got.Close()
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s: %v, want the end", addr, err)
		}
	}
	ln.Close()
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if c, err := net.Dial("tcp", netip.AddrPortFrom(netip.IPv6Loopback(), port).String()); err == nil {
		c.Close()
		t.Error("[::1] is still held after Close")
	}
}

// Another program's [::1] is reported, and the rest works.
func TestBothTaken(t *testing.T) {
	six := at(t, "tcp6", "[::1]:0")
	port := netip.MustParseAddrPort(six.Addr().String()).Port()
	four := at(t, "tcp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String())
	ln, err := Both(four)
	if err == nil || ln != four {
		t.Errorf("got %v, %v, want the first listener and an error", ln, err)
	}
}

func TestBothAlone(t *testing.T) {
	for _, addr := range []string{"[::1]:0", "127.0.0.2:0"} {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			if addr == "127.0.0.2:0" {
				testenv.Skip(t, "has no "+addr)
			}
			continue
		}
		defer ln.Close()
		if got, err := Both(ln); got != ln || err != nil {
			t.Errorf("%s: got %v, %v", addr, got, err)
		}
	}
}
