package rows

import (
	"slices"
	"testing"

	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
)

// TestTunnelRows: everything that the owner has to know about the tunnel is in
// the table, the warning before a monthly limit included.
func TestTunnelRows(t *testing.T) {
	all := Tunnel(api.TunnelStatus{
		State: api.TunnelOnline, Words: "words", Next: "next", Link: "link", Test: "test",
		Usage: &api.TunnelUsage{Warning: "warning"}, Stranded: []string{"app"},
	})
	for _, want := range []string{"words", "next", "link", "test", "warning"} {
		if !slices.ContainsFunc(all, func(row []string) bool { return slices.Contains(row, want) }) {
			t.Errorf("%q is not in %q", want, all)
		}
	}
	if n := len(Tunnel(api.TunnelStatus{State: api.TunnelOff, Words: "words", Usage: &api.TunnelUsage{}})); n != 1 {
		t.Errorf("there are %d rows where there is nothing to say, want 1", n)
	}
}

// TestServers: the list says the words that pages and the tray say, of each state.
func TestServers(t *testing.T) {
	for _, state := range []string{
		api.EndpointOK, api.EndpointNotTried, api.EndpointUnreachable, api.EndpointRejected, api.EndpointKeyNeeded, api.EndpointLocked,
		api.EndpointNotConfirmed, api.EndpointCannotStart,
	} {
		for _, paused := range []bool{false, true} {
			all := Servers([]api.Endpoint{{Slug: "s", DisplayName: "Notes", State: state}}, paused)
			if want := shim.ServerState(state, paused); want == state || !slices.Contains(all[1], want) {
				t.Errorf("a server that is %q, paused %v, is listed as %q, want %q", state, paused, all[1], want)
			}
		}
	}
}

// TestStatus: the state of the internet stands beside its address, and what needs
// the owner stands there with the command that helps.
func TestStatus(t *testing.T) {
	public := "https://k2o.example"
	all := Status(api.Status{
		PublicOrigin: &public, Internet: api.Internet{State: api.InternetWaiting, Words: "Waiting"},
		Concerns: []api.Concern{
			{Kind: api.ConcernRejected, Slug: "abc", Words: "Rejected."}, {Kind: api.ConcernTwoPlaces, ID: "g1", Words: "Two."},
			{Kind: api.ConcernUnreachable, Words: "Gone.", Next: "No answer."}, {Kind: api.ConcernPaused, Words: "Said elsewhere."},
		},
	})
	for _, want := range [][]string{
		{"internet", "Waiting, " + public}, {"to do", "Rejected. Command: key2oauth key abc"}, {"to do", "Two. Command: key2oauth disconnect g1"}, {"to do", "Gone. No answer."},
	} {
		if !slices.ContainsFunc(all, func(row []string) bool { return slices.Equal(row, want) }) {
			t.Errorf("there is no row %q in %q", want, all)
		}
	}
	if slices.ContainsFunc(all, func(row []string) bool { return slices.Contains(row, "Said elsewhere.") }) {
		t.Error("the pause is said twice")
	}
}
