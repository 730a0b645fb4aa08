package cli

import (
	"slices"
	"testing"

	"github.com/key2oauth/key2oauth/shim/api"
)

// TestTunnelRows: everything that the owner has to know about the tunnel is in
// the table, the warning before a monthly limit included.
func TestTunnelRows(t *testing.T) {
	rows := tunnelRows(api.TunnelStatus{
		State: api.TunnelOnline, Words: "words", Next: "next", Link: "link", Test: "test",
		Usage: &api.TunnelUsage{Warning: "warning"}, Stranded: []string{"app"},
	})
	for _, want := range []string{"words", "next", "link", "test", "warning"} {
		if !slices.ContainsFunc(rows, func(row []string) bool { return slices.Contains(row, want) }) {
			t.Errorf("%q is not in %q", want, rows)
		}
	}
	if n := len(tunnelRows(api.TunnelStatus{State: api.TunnelOff, Words: "words", Usage: &api.TunnelUsage{}})); n != 1 {
		t.Errorf("there are %d rows where there is nothing to say, want 1", n)
	}
}
