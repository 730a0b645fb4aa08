// Package safedial connects to upstreams and refuses addresses that a user's
// upstream cannot have: cloud metadata, link-local, our own listeners, and for
// plain http everything outside this computer and private networks.
//
// The check runs in net.Dialer.Control, after name resolution and on the address
// that is about to be connected to. A name that resolves differently the second
// time (DNS rebinding) gains nothing.
package safedial

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// silence is after how long a connection is dead whose peer's system answers
// nothing, not even probes of its own: the way to it is gone, as when a computer
// moves to another network. A peer that takes long to answer is not silent. It
// is RFC 5482's user timeout, which the usual systems have by different names.
const silence = 30 * time.Second

// dialTimeout bounds one connect, name resolution included.
const dialTimeout = 10 * time.Second

// A Guard decides which addresses may be connected to. The zero Guard works.
type Guard struct {
	// Own lists the addresses that we listen on: a call that came back to us
	// would carry a key into our own logs, or loop. nil means none.
	Own func() []netip.AddrPort
	// OwnName reports whether a name and a port lead from the internet to us,
	// with the same result. nil means no.
	OwnName func(host, port string) bool
	// Public allows only addresses of the public internet. It is for URLs that
	// a stranger asks us to fetch; the owner chooses upstreams.
	Public bool
	// Resolver resolves names; nil means the system's.
	Resolver *net.Resolver
}

// A RefusedError is the error for an address that must not be connected to.
type RefusedError struct {
	Addr netip.AddrPort
	Name string // instead of Addr, if the name was enough
	Why  string // what the address is; for people
}

func (r *RefusedError) Error() string {
	return fmt.Sprintf("refusing to connect to %s: %s", r.Place(), r.Why)
}

// Place is what must not be connected to.
func (r *RefusedError) Place() string {
	if r.Name != "" {
		return r.Name
	}
	return r.Addr.Addr().String()
}

// DialContext returns a dial function for URLs of a scheme. "https" may go to
// any address except the forbidden ones; every other scheme counts as
// unencrypted and may go only to loopback and private networks (see IsShared).
func (g *Guard) DialContext(scheme string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	d := &net.Dialer{
		Timeout:         dialTimeout,
		Resolver:        g.resolver(),
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence / 2, Interval: silence / 6, Count: 3},
		Control: func(network, address string, c syscall.RawConn) error {
			if err := g.check(scheme, network, address); err != nil {
				return err
			}
			return c.Control(limitSilence)
		},
	}
	if g == nil || g.OwnName == nil {
		return d.DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if host, port, err := net.SplitHostPort(addr); err == nil && g.OwnName(strings.TrimSuffix(host, "."), port) {
			return nil, &RefusedError{Name: host, Why: WhyOwn}
		}
		return d.DialContext(ctx, network, addr)
	}
}

// CheckName is for a connection that another program makes for us, as an HTTP
// proxy does: it refuses a host by what can be known without resolving it.
func (g *Guard) CheckName(scheme, host, port string) error {
	if g != nil && g.OwnName != nil && g.OwnName(strings.TrimSuffix(host, "."), port) {
		return &RefusedError{Name: host, Why: WhyOwn}
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return g.check(scheme, "tcp", net.JoinHostPort(host, port))
	}
	return nil
}

// WhyOwn is the Why of an address that leads to ourselves. Tests compare with it.
const WhyOwn = "Key2OAuth itself listens there"

func (g *Guard) resolver() *net.Resolver {
	if g == nil {
		return nil
	}
	return g.Resolver
}

func (g *Guard) check(scheme, network, address string) error {
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return fmt.Errorf("refusing to connect over %s", network)
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("refusing to connect: %w", err)
	}
	if why := Judge(ap.Addr(), scheme); why != "" {
		return &RefusedError{Addr: ap, Why: why}
	}
	if g != nil && g.Public && !isPublic(ap.Addr()) {
		return &RefusedError{Addr: ap, Why: "it is not an address of the public internet"}
	}
	if g != nil && g.Own != nil {
		for _, own := range g.Own() {
			if isOwn(own, ap) {
				return &RefusedError{Addr: ap, Why: WhyOwn}
			}
		}
	}
	return nil
}

// isOwn reports whether a connection to ap would reach a listener on own. A
// listener on the unspecified address is reached through every address of this
// computer, so there only the port counts.
func isOwn(own, ap netip.AddrPort) bool {
	if own.Port() != ap.Port() {
		return false
	}
	a, b := own.Addr().Unmap().WithZone(""), ap.Addr().Unmap().WithZone("")
	return a == b || a.IsUnspecified()
}

// metadata holds the addresses where cloud machines get their own credentials,
// in addition to the link-local ones.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("fd00:ec2::/32"),      // AWS
	netip.MustParsePrefix("fd20:ce::254/128"),   // Google Cloud
	netip.MustParsePrefix("fd00:42::42/128"),    // Scaleway
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba Cloud
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure
	netip.MustParsePrefix("192.0.0.192/32"),     // Oracle Cloud
}

// thisNetwork is from RFC 1122, Section 3.2.1.3. Linux treats 0.0.0.0 as
// loopback.
var thisNetwork = netip.MustParsePrefix("0.0.0.0/8")

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// Judge says in words for people why a URL of the scheme must not lead to addr;
// "" means that it may.
func Judge(addr netip.Addr, scheme string) string {
	addr = addr.Unmap().WithZone("")
	if why := forbidden(addr); why != "" {
		return why
	}
	// An address that a gateway translates to IPv4 is judged as that IPv4
	// address.
	if v4, ok := embedded(addr); ok {
		if why := Judge(v4, "https"); why != "" {
			return why
		}
	}
	if scheme == "https" || addr.IsLoopback() || addr.IsPrivate() {
		return ""
	}
	if shared.Contains(addr) {
		if inShared() {
			return ""
		}
		return "such an address is in a network like Tailscale's or an internet provider's, this computer is in none now, and over http the key would travel unencrypted"
	}
	return "it is a public address, and over http the key would travel unencrypted"
}

// shared is the space of RFC 6598. Tailscale and others make private networks of
// it. Providers use it for their customers, who are strangers to each other, but
// then a router has the address and not this computer.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// IsShared reports whether addr is private only where this computer is in the
// same network.
func IsShared(addr netip.Addr) bool { return shared.Contains(addr.Unmap().WithZone("")) }

// interfaceAddrs are the addresses of this computer.
var interfaceAddrs = net.InterfaceAddrs

// inShared reports whether this computer has an address in shared.
func inShared() bool {
	addrs, err := interfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && IsShared(p.Addr()) {
			return true
		}
	}
	return false
}

func forbidden(addr netip.Addr) string {
	switch {
	case !addr.IsValid():
		return "it is not an address"
	case addr.IsUnspecified(), addr.Is4() && thisNetwork.Contains(addr):
		return "it is not the address of a computer"
	case addr.IsMulticast(), addr == broadcast:
		return "it is a multicast or broadcast address"
	case addr.IsLinkLocalUnicast():
		return "it is a link-local address, where cloud machines keep their own credentials"
	}
	for _, p := range metadata {
		if p.Contains(addr) {
			return "it is a cloud metadata address, where machines keep their own credentials"
		}
	}
	return ""
}

var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052, Section 2.1
	nat64Local = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215
	compatible = netip.MustParsePrefix("::/96")          // RFC 4291, Section 2.5.5.1
	translated = netip.MustParsePrefix("::ffff:0:0:0/96")
	sixToFour  = netip.MustParsePrefix("2002::/16") // RFC 3056
	teredo     = netip.MustParsePrefix("2001::/32") // RFC 4380
)

// isatap is the prefix of interface identifiers of RFC 5214, Section 6.1, with
// the universal bit cleared.
const isatap = 0x00005efe

// embedded returns the IPv4 address that a transition mechanism would deliver
// to. Callers have unmapped v4-mapped addresses.
func embedded(addr netip.Addr) (v4 netip.Addr, ok bool) {
	if !addr.Is6() || addr.IsLoopback() {
		return netip.Addr{}, false
	}
	b := addr.As16()
	at := func(i int) (netip.Addr, bool) { return netip.AddrFrom4([4]byte(b[i : i+4])), true }
	switch {
	case nat64.Contains(addr), compatible.Contains(addr), translated.Contains(addr):
		return at(12)
	case nat64Local.Contains(addr):
		// With a /48 prefix the address is spread around a zero byte (RFC 6052,
		// Section 2.2); with a /96 it is at the end, which is the usual choice.
		// So the spread form is used only if the end is empty.
		if binary.BigEndian.Uint32(b[12:]) == 0 {
			return netip.AddrFrom4([4]byte{b[6], b[7], b[9], b[10]}), true
		}
		return at(12)
	case sixToFour.Contains(addr):
		return at(2)
	case teredo.Contains(addr):
		for i := 12; i < 16; i++ {
			b[i] ^= 0xff
		}
		return at(12)
	case binary.BigEndian.Uint32(b[8:])&^0x02000000 == isatap:
		return at(12)
	}
	return netip.Addr{}, false
}
