package safedial

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// An address of RFC 6598 is private for a computer that has one, as with
// Tailscale.
func TestJudgeShared(t *testing.T) {
	of := func(cidr ...string) func() ([]net.Addr, error) {
		var addrs []net.Addr
		for _, c := range cidr {
			ip, n, err := net.ParseCIDR(c)
			if err != nil {
				t.Fatal(err)
			}
			addrs = append(addrs, &net.IPNet{IP: ip, Mask: n.Mask})
		}
		return func() ([]net.Addr, error) { return addrs, nil }
	}
	broken := func() ([]net.Addr, error) { return nil, errors.New("no addresses") }
	t.Cleanup(func() { interfaceAddrs = net.InterfaceAddrs })
	for _, tt := range []struct {
		name  string
		addrs func() ([]net.Addr, error)
		in    bool
	}{
		{"Tailscale", of("127.0.0.1/8", "192.168.1.10/24", "100.101.1.2/32", "fd7a:115c:a1e0::1/128"), true},
		{"none", of("127.0.0.1/8", "192.168.1.10/24", "100.63.0.1/10", "100.128.0.1/10"), false},
		{"unknown", broken, false},
	} {
		interfaceAddrs = tt.addrs
		for addr, in := range map[string]bool{
			"100.101.102.103": tt.in, "100.64.0.1": tt.in, "100.127.255.255": tt.in, "::ffff:100.101.102.103": tt.in,
			"100.63.255.255": false, "100.128.0.1": false, "93.184.215.14": false, "100.100.100.200": false, "64:ff9b::100.101.102.103": false,
		} {
			if why := Judge(netip.MustParseAddr(addr), "http"); (why == "") != in {
				t.Errorf("%s: http to %s: %q, want it allowed: %v", tt.name, addr, why, in)
			} else if shared := IsShared(netip.MustParseAddr(addr)); shared && !tt.in && strings.Contains(why, "public") {
				t.Errorf("%s: http to %s is refused because %q, which is not so", tt.name, addr, why)
			}
		}
		if why := Judge(netip.MustParseAddr("100.101.102.103"), "https"); why != "" {
			t.Errorf("%s: https is refused: %s", tt.name, why)
		}
	}
}

func TestJudge(t *testing.T) {
	tests := []struct {
		addr        string
		https, http bool
	}{
		{"93.184.215.14", true, false},
		{"2606:2800:21f:cb07:6820:80da:af6b:8b2c", true, false},
		{"127.0.0.1", true, true},
		{"127.0.0.2", true, true},
		{"::1", true, true},
		{"10.1.2.3", true, true},
		{"172.16.0.1", true, true},
		{"172.32.0.1", true, false},
		{"192.168.1.10", true, true},
		{"fd12:3456::1", true, true},
		{"100.64.0.1", true, false}, // shared between strangers by RFC 6598
		{"100.127.255.254", true, false},
		{"::ffff:100.64.0.1", true, false},
		{"100.128.0.1", true, false},
		{"::ffff:127.0.0.1", true, true},
		{"::ffff:93.184.215.14", true, false},

		{"169.254.169.254", false, false},
		{"169.254.0.1", false, false},
		{"fe80::1", false, false},
		{"fe80::1%eth0", false, false},
		{"fd00:ec2::254", false, false},
		{"fd00:ec2::23", false, false},
		{"fd20:ce::254", false, false},
		{"fd00:42::42", false, false},
		{"100.100.100.200", false, false},
		{"168.63.129.16", false, false},
		{"192.0.0.192", false, false},
		{"0.0.0.0", false, false},
		{"0.0.0.1", false, false},
		{"::", false, false},
		{"224.0.0.1", false, false},
		{"ff02::1", false, false},
		{"255.255.255.255", false, false},

		{"::ffff:169.254.169.254", false, false},
		{"::169.254.169.254", false, false},
		{"::ffff:0:169.254.169.254", false, false},
		{"64:ff9b::169.254.169.254", false, false},
		{"64:ff9b:1::169.254.169.254", false, false},
		{"64:ff9b:1:a9fe:a9:fe00::", false, false}, // the /48 form of the same
		{"64:ff9b::93.184.215.14", true, false},
		{"64:ff9b::10.0.0.1", true, false}, // a gateway is outside the private network
		{"2002:a9fe:a9fe::1", false, false},
		{"2002:5db8:d70e::1", true, false},
		{"2001:0:4136:e378:8000:63bf:5601:5601", false, false}, // Teredo of 169.254.169.254
		{"2a00::5efe:169.254.169.254", false, false},
		{"2a00::200:5efe:169.254.169.254", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.addr, func(t *testing.T) {
			addr := netip.MustParseAddr(tt.addr)
			if why := Judge(addr, "https"); (why == "") != tt.https {
				t.Errorf("Judge(%s, https) = %q, want allowed %t", addr, why, tt.https)
			}
			if why := Judge(addr, "http"); (why == "") != tt.http {
				t.Errorf("Judge(%s, http) = %q, want allowed %t", addr, why, tt.http)
			}
		})
	}
}

// TestDialRefuses proves that the check is made on the address that is
// connected to, also for a name, and that nothing arrives there.
func TestDialRefuses(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	accepted := make(chan net.Conn, 10)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	self := ln.Addr().(*net.TCPAddr).AddrPort()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	own := &Guard{Own: func() []netip.AddrPort { return []netip.AddrPort{self} }}
	named := &Guard{OwnName: func(host, p string) bool { return strings.EqualFold(host, "localhost") && p == port }}
	everywhere := &Guard{Own: func() []netip.AddrPort {
		return []netip.AddrPort{netip.AddrPortFrom(netip.IPv6Unspecified(), self.Port())}
	}}

	tests := []struct {
		name  string
		guard *Guard
		addr  string
		ok    bool
	}{
		{"loopback", &Guard{}, "127.0.0.1:" + port, true},
		{"no guard", nil, "127.0.0.1:" + port, true},
		{"a name", &Guard{}, "localhost:" + port, true},
		{"own listener", own, "127.0.0.1:" + port, false},
		{"own listener by name", own, "localhost:" + port, false},
		{"own listener, v4-mapped", own, "[::ffff:127.0.0.1]:" + port, false},
		{"own listener on every address", everywhere, "127.0.0.1:" + port, false},
		{"own name", named, "localhost:" + port, false},
		{"own name, absolute, in capitals", named, "LOCALHOST.:" + port, false},
		{"not the own name", named, "127.0.0.1:" + port, true},
		{"unspecified", &Guard{}, "0.0.0.0:" + port, false},
		{"metadata", &Guard{}, "169.254.169.254:80", false},
		{"public over http", &Guard{}, "192.0.2.1:80", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := tt.guard.DialContext("http")(t.Context(), "tcp", tt.addr)
			if tt.ok {
				if err != nil {
					t.Fatalf("dial %s: %v", tt.addr, err)
				}
				c.Close()
				(<-accepted).Close()
				return
			}
			if err == nil {
				c.Close()
				t.Fatalf("dial %s succeeded, want it refused", tt.addr)
			}
			// A name may also have addresses without a listener. What counts is
			// that no connection was made.
			if _, ok := errors.AsType[*RefusedError](err); !ok && tt.name != "own listener by name" {
				t.Errorf("dial %s: %v, want a RefusedError", tt.addr, err)
			}
			select {
			case <-accepted:
				t.Errorf("dial %s reached the listener", tt.addr)
			default:
			}
		})
	}
	if _, err := (&Guard{}).DialContext("https")(t.Context(), "unix", "/nowhere"); err == nil {
		t.Error("a unix socket was dialed, want it refused")
	}
}

// FuzzJudge compares the judgment with the predicates of net/netip.
func FuzzJudge(f *testing.F) {
	for _, s := range []string{
		"127.0.0.1", "169.254.169.254", "10.0.0.1", "8.8.8.8", "::1", "fe80::1", "64:ff9b::a9fe:a9fe",
		"2002:a9fe:a9fe::1", "::ffff:169.254.169.254", "::a9fe:a9fe", "ff02::1", "fd00:ec2::254", "2001::1",
	} {
		a := netip.MustParseAddr(s)
		f.Add(a.AsSlice())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		addr, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		https, http := Judge(addr, "https") == "", Judge(addr, "http") == ""
		plain := addr.Unmap()
		switch {
		case http && !https:
			t.Errorf("%s: allowed over http but not over https", addr)
		case http && !plain.IsLoopback() && !plain.IsPrivate():
			t.Errorf("%s: allowed over http, is neither loopback nor private", addr)
		case https && (plain.IsUnspecified() || plain.IsMulticast() || plain.IsLinkLocalUnicast() || plain.IsInterfaceLocalMulticast()):
			t.Errorf("%s: allowed, yet unspecified, multicast or link-local", addr)
		}
		if !plain.Is4() {
			return
		}
		// No way to write an IPv4 address in IPv6 is judged less strictly than
		// the address itself.
		v4 := plain.As4()
		mapped := netip.AddrFrom16(plain.As16())
		if Judge(mapped, "https") != Judge(plain, "https") || Judge(mapped, "http") != Judge(plain, "http") {
			t.Errorf("%s is judged differently when mapped into IPv6", plain)
		}
		for _, prefix := range []netip.Prefix{nat64, nat64Local, translated, sixToFour} {
			b := prefix.Addr().As16()
			if prefix == sixToFour {
				copy(b[2:], v4[:])
			} else {
				copy(b[12:], v4[:])
			}
			if in := netip.AddrFrom16(b); Judge(in, "https") == "" && !https {
				t.Errorf("%s is allowed as %s", plain, in)
			}
		}
	})
}
