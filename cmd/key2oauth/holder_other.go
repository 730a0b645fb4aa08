//go:build !linux

package main

import "net/netip"

// holder is known on Linux alone.
func holder(netip.AddrPort) string { return "" }
