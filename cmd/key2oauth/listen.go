package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

const defaultAddr = "127.0.0.1:7450"

// parseAddr reads an address to listen on. It must be on loopback: the admin
// API and the page that keys are pasted into are served there.
func parseAddr(s string) (netip.AddrPort, error) {
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

// listenOn listens on addr. If the port is taken, the error names the program
// that has it, where that can be known.
func listenOn(addr, hint string) (net.Listener, error) {
	ap, err := parseAddr(addr)
	if err != nil {
		return nil, failed(fmt.Errorf("address %s: %w", addr, err), hint)
	}
	ln, err := net.Listen("tcp", ap.String())
	if err == nil {
		return ln, nil
	}
	if who := holder(ap); who != "" {
		return nil, failed(fmt.Errorf("%s is taken by %s", ap, who), hint)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // the rest of it repeats the address
	}
	return nil, failed(fmt.Errorf("%s cannot be used: %w", ap, err), hint)
}
