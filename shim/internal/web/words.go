package web

import (
	"strconv"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

// ShownKeychain is the keychain as pages show it. A first run on a computer
// without one keeps the key in memory in every mode.
func ShownKeychain(k api.Keychain) Keychain {
	shown := Keychain{State: k.State, Words: k.Words, Mode: k.Mode, CanKeep: k.CanKeep, CanUnlock: !k.Usable()}
	if k.State == api.KeychainMemory {
		shown.Mode = api.ModeMemory
	}
	return shown
}

// Day names the day of a time.
func Day(t time.Time) string { return t.Local().Format("2 January 2006") }

// Ago says how long ago something was, as a person would.
func Ago(t time.Time) string {
	d := time.Since(t)
	n, unit := 0, ""
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		n, unit = int(d/time.Minute), "minute"
	case d < 24*time.Hour:
		n, unit = int(d/time.Hour), "hour"
	case d < 30*24*time.Hour:
		n, unit = int(d/(24*time.Hour)), "day"
	default:
		return "on " + Day(t)
	}
	if n != 1 {
		unit += "s"
	}
	return strconv.Itoa(n) + " " + unit + " ago"
}

// DescribeHeader shows how a key is sent, without the key.
func DescribeHeader(h endpoint.Header) string {
	if h.Prefix == "" {
		return h.Name + ": " + TextKeyAlone
	}
	return h.Name + ": " + h.Prefix + "\u2026"
}
