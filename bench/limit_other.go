//go:build !unix

package main

// fileLimit is large: the measurements need Linux's /proc anyway.
func fileLimit() uint64 { return 1 << 20 }
