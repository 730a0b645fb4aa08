//go:build !linux

package listen

import "net/netip"

// holder is known on Linux alone.
func holder(netip.AddrPort) string { return "" }
