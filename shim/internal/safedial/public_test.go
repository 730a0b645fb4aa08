package safedial

import (
	"errors"
	"net"
	"net/netip"
	"testing"
)

func TestIsPublic(t *testing.T) {
	for addr, want := range map[string]bool{
		"93.184.215.14": true, "8.8.8.8": true, "172.32.0.1": true, "100.128.0.1": true, "198.20.0.1": true, "192.0.1.1": true,
		"2606:2800:21f:cb07:6820:80da:af6b:8b2c": true, "2a00:1450:4001::1": true, "::ffff:93.184.215.14": true, "64:ff9b::5db8:d70e": true,

		"127.0.0.1": false, "127.1.2.3": false, "10.1.2.3": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false,
		"169.254.169.254": false, "169.254.0.1": false, "100.64.0.1": false, "100.127.255.255": false, "100.100.100.200": false,
		"0.0.0.0": false, "0.1.2.3": false, "192.0.0.1": false, "192.0.0.192": false, "192.0.2.1": false, "192.88.99.1": false,
		"198.18.0.1": false, "198.19.255.255": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false,
		"240.0.0.1": false, "255.255.255.255": false, "168.63.129.16": false,

		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd12:3456::1": false, "fd00:ec2::254": false,
		"fec0::1": false, "ff02::1": false, "2001:db8::1": false, "3fff::1": false, "100::1": false, "5f00::1": false, "2001:2::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false,
		"::127.0.0.1": false, "::ffff:0:127.0.0.1": false, "::93.184.215.14": false,
		"64:ff9b::7f00:1": false, "64:ff9b::a00:1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::7f00:1": false, "64:ff9b:1::5db8:d70e": false,
		"2002:7f00:1::1": false, "2002:a00:1::1": false, "2002:a9fe:a9fe::1": false, "2001:0:0:0:0:0:80ff:fffe": false,
		"2606:2800::5efe:7f00:1": false, "2606:2800::200:5efe:a00:1": false,
	} {
		if got := isPublic(netip.MustParseAddr(addr)); got != want {
			t.Errorf("isPublic(%s): got %t, want %t", addr, got, want)
		}
	}
}

// TestPublicGuard proves that a guard for the public internet never connects to
// this machine, under any of its names.
func TestPublicGuard(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	accepted := make(chan struct{}, 10)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Close()
			accepted <- struct{}{}
		}
	}()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost", "::ffff:127.0.0.1", "127.0.0.2"} {
		c, err := (&Guard{Public: true}).DialContext("https")(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err == nil {
			c.Close()
		}
		if _, ok := errors.AsType[*RefusedError](err); !ok {
			t.Errorf("%s: got %v, want a refusal", host, err)
		}
	}
	if n := len(accepted); n > 0 {
		t.Errorf("%d connections arrived, want 0", n)
	}
	// The listener does notice an allowed connection.
	c, err := (&Guard{}).DialContext("https")(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	<-accepted
}

// FuzzIsPublic: an address that Judge refuses is never public, and no way to
// write it in another family makes it public.
func FuzzIsPublic(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "10.0.0.1", "93.184.215.14", "2606:2800::1", "64:ff9b::1", "2002:7f00:1::", "fe80::1"} {
		b := netip.MustParseAddr(s).As16()
		f.Add(b[:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		addr, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		public := isPublic(addr)
		plain := addr.Unmap()
		if public && (Judge(addr, "https") != "" || plain.IsPrivate() || plain.IsLoopback() || !plain.IsGlobalUnicast()) {
			t.Errorf("%s is taken for public", addr)
		}
		if !plain.Is4() || isPublic(plain) {
			return
		}
		v4 := plain.As4()
		for _, prefix := range []netip.Prefix{nat64, nat64Local, translated, compatible, sixToFour} {
			w := prefix.Addr().As16()
			if prefix == sixToFour {
				copy(w[2:], v4[:])
			} else {
				copy(w[12:], v4[:])
			}
			if in := netip.AddrFrom16(w); isPublic(in) {
				t.Errorf("%s is taken for public as %s", plain, in)
			}
		}
	})
}
