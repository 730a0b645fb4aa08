package standing

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// TestServer holds every combination of what can be known of a server to a rule
// that is written another way than the function: each fact decides over those
// after it.
func TestServer(t *testing.T) {
	keys := [][]endpoint.CredentialState{
		nil, {endpoint.Working}, {endpoint.Unverified}, {endpoint.Rejected}, {endpoint.KeyNeeded},
		{endpoint.Working, endpoint.Rejected}, {endpoint.Unverified, endpoint.KeyNeeded}, {endpoint.KeyNeeded, endpoint.Rejected},
	}
	seen := map[string]bool{}
	for _, k := range keys {
		for _, last := range []Answer{Unheard, Good, Missing, Asks} {
			for flags := range 8 {
				s := Server{Keys: k, Last: last, Locked: flags&1 > 0, Unconfirmed: flags&2 > 0, Unstarted: flags&4 > 0}
				rules := []struct {
					when bool
					want string
				}{
					{flags&1 > 0, api.EndpointLocked},
					{flags&2 > 0, api.EndpointNotConfirmed},
					{flags&4 > 0, api.EndpointCannotStart},
					{slices.Contains(k, endpoint.Rejected), api.EndpointRejected},
					{slices.Contains(k, endpoint.KeyNeeded), api.EndpointKeyNeeded},
					{last == Missing, api.EndpointUnreachable},
					{last == Asks, api.EndpointKeyNeeded},
					{last == Good, api.EndpointOK},
					{slices.Contains(k, endpoint.Working), api.EndpointOK},
					{true, api.EndpointNotTried},
				}
				want := rules[slices.IndexFunc(rules, func(r struct {
					when bool
					want string
				}) bool {
					return r.when
				})].want
				seen[want] = true
				if got := s.State(); got != want {
					t.Errorf("%+v is %q, want %q", s, got, want)
				}
				for _, paused := range []bool{false, true} {
					var o api.Endpoint
					s.Describe(&o, paused)
					words := web.ServerState(want)
					if paused {
						words = web.ServerState(web.StatePaused)
					}
					if o.State != want || o.StateWords != words || words == "" || (o.Why == "") != (paused || want == api.EndpointOK) {
						t.Errorf("%+v, paused %v, is shown as %q, %q, %q", s, paused, o.State, o.StateWords, o.Why)
					}
				}
			}
		}
	}
	if len(seen) != 8 {
		t.Errorf("only the states %v were seen", seen)
	}
}

// A sentence of the caller's stands only where it is about the state.
func TestServerWhy(t *testing.T) {
	const why = "The host does not resolve."
	for state, s := range map[string]Server{
		why:                                 {Last: Missing, Why: why},
		web.ServerWhy("key wanted"):         {Last: Asks, Why: why},
		"":                                  {Last: Good, Why: why},
		web.ServerWhy("rejected"):           {Keys: []endpoint.CredentialState{endpoint.Rejected}, Why: why},
		web.ServerWhy(api.EndpointLocked):   {Locked: true},
		web.ServerWhy("key needed"):         {Keys: []endpoint.CredentialState{endpoint.KeyNeeded}},
		web.ServerWhy("unreachable"):        {Last: Missing},
		web.ServerWhy("cannot start"):       {Unstarted: true},
		web.ServerWhy("not confirmed"):      {Unconfirmed: true, Why: why},
		web.ServerWhy(api.EndpointNotTried): {Why: why},
	} {
		var o api.Endpoint
		s.Describe(&o, false)
		if o.Why != state {
			t.Errorf("%+v says %q, want %q", s, o.Why, state)
		}
	}
}

func TestInternet(t *testing.T) {
	ngrok := func(state string) api.TunnelStatus {
		return api.TunnelStatus{Provider: api.TunnelNgrok, State: state, Words: "W", Next: "N", Link: "L"}
	}
	own := func(test string, proven bool) api.TunnelStatus {
		return api.TunnelStatus{Provider: api.TunnelExternal, State: api.TunnelOnline, Words: "W", Test: test, Proven: proven}
	}
	failing := ngrok(api.TunnelOnline)
	failing.Test = "T"
	for _, c := range []struct {
		name       string
		t          api.TunnelStatus
		paused     bool
		state, why string
	}{
		{"none", api.TunnelStatus{}, false, api.InternetOff, ""},
		{"off", api.TunnelStatus{Provider: api.TunnelOff, State: api.TunnelOff, Words: "W"}, false, api.InternetOff, ""},
		{"connecting", ngrok(api.TunnelConnecting), false, api.InternetConnecting, "W"},
		{"retrying", ngrok(api.TunnelRetrying), false, api.InternetConnecting, "W"},
		{"failed", ngrok(api.TunnelFailed), false, api.InternetUnreachable, "W"},
		{"locked", ngrok(api.TunnelLocked), false, api.InternetUnreachable, "W"},
		{"online", ngrok(api.TunnelOnline), false, api.InternetOnline, ""},
		{"online, and the test failed", failing, false, api.InternetUnreachable, "T"},
		{"own tunnel, not tested", own("", false), false, api.InternetWaiting, "W"},
		{"own tunnel, the test failed", own("T", false), false, api.InternetWaiting, "T"},
		{"own tunnel, proven", own("", true), false, api.InternetOnline, ""},
		{"own tunnel, proven, and the test failed", own("T", true), false, api.InternetUnreachable, "T"},
		{"paused", ngrok(api.TunnelPaused), true, api.InternetPaused, ""},
		{"paused while online", ngrok(api.TunnelOnline), true, api.InternetPaused, ""},
		{"paused while off", api.TunnelStatus{}, true, api.InternetPaused, ""},
	} {
		got := Internet(c.t, c.paused)
		if got.State != c.state || got.Why != c.why || got.Words != web.InternetState(c.state) {
			t.Errorf("%s: %+v, want %q because %q", c.name, got, c.state, c.why)
		}
	}
}

// A status with every trouble lists each kind once, in the order of Ranking.
func everything() (api.Status, []api.Endpoint) {
	st := api.Status{
		Pending:  []api.PendingRequest{{URL: "http://127.0.0.1:7450/consent/r1", App: "A stranger"}},
		Keychain: api.Keychain{State: api.KeychainLocked, Words: "Unlock your keychain."},
		Disk:     api.DiskStatus{State: api.DiskFull, Words: "Full.", Next: "Free some."},
		Damaged:  []api.Damage{{Kind: api.DamagedSealedKey, ID: "c9", Words: "Its server says so."}, {Kind: api.DamagedApp, ID: "g9", Words: "Damaged.", Next: "Delete it."}},
		Tunnel: api.TunnelStatus{
			Provider: api.TunnelNgrok, State: api.TunnelFailed, Stranded: []string{"Claude"}, Usage: &api.TunnelUsage{Warning: "Near."},
		},
		TwoPlaces: []api.TwoPlaces{{Grant: "g1", App: "Claude", Since: time.Now()}},
		Attempts:  []api.Attempt{{Diagnosis: api.Diagnosis{Cause: "key"}}},
	}
	st.Internet = Internet(st.Tunnel, false)
	servers := []api.Endpoint{
		{Slug: "a", DisplayName: "Wants", State: api.EndpointKeyNeeded},
		{Slug: "b", DisplayName: "Fine", State: api.EndpointOK},
		{Slug: "c", DisplayName: "Gone", State: api.EndpointUnreachable, Why: "It didn't answer."},
		{Slug: "d", DisplayName: "Lost", State: api.EndpointKeyNeeded, Credentials: []api.Credential{{State: api.CredentialKeyNeeded}}},
		{Slug: "e", DisplayName: "Bad", State: api.EndpointRejected},
		{Slug: "f", DisplayName: "Program", State: api.EndpointNotConfirmed},
		{Slug: "g", DisplayName: "Broken", State: api.EndpointCannotStart},
		{Slug: "h", DisplayName: "New", State: api.EndpointNotTried},
	}
	return st, servers
}

func kinds(all []api.Concern) []string {
	var k []string
	for _, c := range all {
		k = append(k, c.Kind)
	}
	return k
}

func TestConcerns(t *testing.T) {
	st, servers := everything()
	all := Concerns(st, servers)
	want := slices.DeleteFunc(slices.Clone(Ranking), func(k string) bool {
		return k == api.ConcernPaused || k == api.ConcernMemory || k == api.ConcernWaiting // other states of the same things
	})
	if diff := cmp.Diff(want, kinds(all)); diff != "" {
		t.Errorf("concerns (-want +got):\n%s", diff)
	}
	for _, c := range all {
		if c.Words == "" || c.Words == "urgent."+c.Kind || c.Button == "" || c.Path == "" || c.Path[0] != '/' || c.Level == "" {
			t.Errorf("the concern %+v lacks something", c)
		}
	}
	if c := all[0]; c.Path != "/consent/r1" || c.ID != "r1" || c.Words != web.RequestsWait(1) {
		t.Errorf("a request is %+v; it must lead to itself, and name no one", c)
	}
}

// While everything is paused that is said once, and what the pause stops is not
// said besides.
func TestConcernsWhilePaused(t *testing.T) {
	st, servers := everything()
	st.Paused = true
	want := []string{api.ConcernRequest, api.ConcernKeychain, api.ConcernDisk, api.ConcernPaused, api.ConcernDamaged}
	if diff := cmp.Diff(want, kinds(Concerns(st, servers))); diff != "" {
		t.Errorf("concerns while paused (-want +got):\n%s", diff)
	}
}

func TestConcernsOfStates(t *testing.T) {
	waiting := api.TunnelStatus{Provider: api.TunnelExternal, State: api.TunnelOnline}
	retrying := api.TunnelStatus{Provider: api.TunnelNgrok, State: api.TunnelRetrying}
	connecting := api.TunnelStatus{Provider: api.TunnelNgrok, State: api.TunnelConnecting}
	for name, c := range map[string]struct {
		st   api.Status
		want []string
	}{
		"nothing":                    {api.Status{Keychain: api.Keychain{State: api.KeychainReady}}, nil},
		"nothing is kept":            {api.Status{Keychain: api.Keychain{State: api.KeychainMemory}}, []string{api.ConcernMemory}},
		"own tunnel waits":           {api.Status{Tunnel: waiting, Internet: Internet(waiting, false)}, []string{api.ConcernWaiting}},
		"the tunnel is tried again":  {api.Status{Tunnel: retrying, Internet: Internet(retrying, false)}, []string{api.ConcernInternet}},
		"the tunnel is being opened": {api.Status{Tunnel: connecting, Internet: Internet(connecting, false)}, nil},
		"the owner denied an app":    {api.Status{Attempts: []api.Attempt{{Diagnosis: api.Diagnosis{Cause: api.CauseDenied}}}}, nil},
		"two apps wait":              {api.Status{Pending: []api.PendingRequest{{URL: "http://127.0.0.1:1/consent/a"}, {URL: "http://127.0.0.1:1/consent/b"}}}, []string{api.ConcernRequest}},
	} {
		got := Concerns(c.st, nil)
		if diff := cmp.Diff(c.want, kinds(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
