// Package external is a tunnel that the owner runs: it waits on a loopback
// address of this computer for what the tunnel passes on, and knows the programs
// that can make one.
package external

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/key2oauth/key2oauth/tunnel"
)

// A Tunnel is one that the owner runs. It passes requests on to a loopback
// address of this computer.
type Tunnel struct {
	URL    string // the public origin
	Addr   string // where to listen, on loopback; "" means DefaultAddr
	Preset string // the ID of the program that makes the tunnel; "" is any
}

// DefaultAddr is where an external tunnel leads by default.
const DefaultAddr = "127.0.0.1:7451"

// Provider returns [tunnel.ProviderExternal].
func (*Tunnel) Provider() string { return tunnel.ProviderExternal }

// ClientHeader returns the header of the preset.
func (x *Tunnel) ClientHeader() tunnel.ClientHeader {
	p, _ := PresetByID(x.Preset, x.URL, x.Addr)
	return p.ClientHeader
}

// Open listens. Whether requests arrive is for [tunnel.Probe] to find out.
func (x *Tunnel) Open(ctx context.Context, _ string) (net.Listener, string, error) {
	origin, err := tunnel.ParseOrigin(x.URL)
	if err != nil {
		return nil, "", tunnel.NewFault(tunnel.CauseBadURL, err)
	}
	addr := x.Addr
	if addr == "" {
		addr = DefaultAddr
	}
	if err := CheckAddr(addr); err != nil {
		return nil, "", tunnel.NewFault(tunnel.CauseBadAddress, err)
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, errInUse):
		return nil, "", tunnel.NewFault(tunnel.CausePortTaken, err)
	case err != nil:
		return nil, "", tunnel.NewFault(tunnel.CauseBadAddress, err)
	}
	return ln, origin, nil
}

// CheckAddr checks the address for an external tunnel. Only loopback is allowed:
// on any other address, the local network could bypass the tunnel.
func CheckAddr(addr string) error {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not an address with a port, such as %s", addr, DefaultAddr)
	}
	if !ap.Addr().IsLoopback() {
		return fmt.Errorf("%s is not an address of this computer alone; use 127.0.0.1 or [::1]", ap.Addr())
	}
	return nil
}
