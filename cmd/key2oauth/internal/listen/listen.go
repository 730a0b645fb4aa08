// Package listen takes the loopback address that Key2OAuth serves, and names the
// program that holds it where it is taken.
package listen

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// DefaultAddr is the address of a first run, if it is free.
const DefaultAddr = "127.0.0.1:7450"

// ParseAddr reads an address to listen on. It must be on loopback: the admin
// API and the page that keys are pasted into are served there.
func ParseAddr(s string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, errors.New("want HOST:PORT")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is not a port number", port)
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is not an IP address", host)
	}
	if ip = ip.Unmap(); !ip.IsLoopback() || ip.Zone() != "" {
		return netip.AddrPort{}, fmt.Errorf("%s is not a loopback address", host)
	}
	return netip.AddrPortFrom(ip, uint16(n)), nil
}

// On listens on a loopback address. If the port is taken, the error names the program
// that has it, where that can be known.
func On(addr string) (net.Listener, error) {
	ap, err := ParseAddr(addr)
	if err != nil {
		return nil, fmt.Errorf("address %s: %w", addr, err)
	}
	ln, err := net.Listen("tcp", ap.String())
	if err == nil {
		return ln, nil
	}
	if who := holder(ap); who != "" {
		return nil, fmt.Errorf("%s is taken by %s", ap, who)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // the rest of it repeats the address
	}
	return nil, fmt.Errorf("%s cannot be used: %w", ap, err)
}

// Free returns a loopback address with a port that is free now, if the one given
// leaves the choice.
func Free(addr string) (string, error) {
	ap, err := ParseAddr(addr)
	if err != nil || ap.Port() != 0 {
		return addr, nil // who listens there says what is wrong
	}
	ln, err := On(addr)
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}
