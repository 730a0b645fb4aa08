package desktop

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/display"
	"github.com/key2oauth/key2oauth/shim/shimtest/catalogue"
	"github.com/key2oauth/key2oauth/tray"
)

func TestTrayState(t *testing.T) {
	used := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	public := "https://calm-otter.ngrok-free.app"
	var o api.Overview
	o.Status.Keychain.State = api.KeychainReady
	o.Status.Internet = api.Internet{State: api.InternetOnline, Words: "Online"}
	o.Status.PublicOrigin = &public
	o.Status.Paused = true
	o.Status.Pending = []api.PendingRequest{
		{URL: "http://127.0.0.1:7450/consent/one", ClientName: "Claude"},
		{URL: "http://127.0.0.1:7450/consent/two", ClientName: "ChatGPT", App: "ChatGPT", Slug: "aaaaaaaaaaaa", Asked: true, Familiar: true},
		{URL: "http://127.0.0.1:7450/consent/three", ClientName: "Claude", App: "Claude", Slug: "aaaaaaaaaaaa", NeedsOwner: true, Familiar: true},
		{URL: "http://127.0.0.1:7450/consent/four", ClientName: "Claude", App: "\u201cClaude\u201d", Slug: "zzzzzzzzzzzz", NeedsOwner: true},
	}
	o.Endpoints = []api.Endpoint{{Slug: "aaaaaaaaaaaa", DisplayName: "Linear", MCPEndpoint: public + "/aaaaaaaaaaaa/mcp", State: api.EndpointRejected, StateWords: "Paused", LastUsed: &used}}
	o.Clients = []api.ClientSummary{{Grant: "g1", Name: "Claude", Endpoint: "Linear", LastUsed: used}}
	want := tray.State{
		Paused:    true,
		Pending:   []tray.Request{{ID: "two"}, {ID: "three", Here: true, App: "Claude", Server: "Linear"}, {ID: "four", Here: true}},
		Tunnel:    tray.Tunnel{State: tray.TunnelConnected, Host: "calm-otter.ngrok-free.app"},
		Endpoints: []tray.Endpoint{{Slug: "aaaaaaaaaaaa", Name: "Linear", State: "Paused", Key: tray.KeyRejected, LastUsed: used}},
		Clients:   []tray.Client{{Grant: "g1", Name: "Claude", Endpoint: "Linear", LastUsed: used}},
	}
	if diff := cmp.Diff(want, trayState(o)); diff != "" {
		t.Errorf("trayState (-want +got):\n%s", diff)
	}
}

// Every text from a stranger is made harmless before the tray gets it.
func TestTrayStateOfStrangers(t *testing.T) {
	name := "Lin\u202eraeL\n\u3164\x1b[31m" + strings.Repeat("x", 50)
	want := "LinraeL [31m" + strings.Repeat("x", 27) + "\u2026"
	var o api.Overview
	o.Status.Internet = api.Internet{State: api.InternetUnreachable, Words: "W", Why: name}
	o.Status.Pending = []api.PendingRequest{{ClientName: name, Asked: true}}
	o.Endpoints = []api.Endpoint{{DisplayName: name}}
	o.Clients = []api.ClientSummary{{Name: name, Endpoint: name}}
	var a api.Attempt
	a.Client, a.Last = name, time.Now()
	o.Status.Attempts = []api.Attempt{a}
	s := trayState(o)
	for _, got := range []string{s.Endpoints[0].Name, s.Clients[0].Name, s.Clients[0].Endpoint} {
		if got != want {
			t.Errorf("got the name %q, want %q", got, want)
		}
	}
	if s.Stopped.Client != "" || s.Stopped.Time.IsZero() {
		t.Errorf("got %+v, want an attempt of no app that the owner has approved", s.Stopped)
	}
	o.Status.Attempts[0].Grant = "g1"
	if got, want := trayState(o).Stopped.Client, display.Quote(name); got != want {
		t.Errorf("an approved app is named %q, want %q", got, want)
	}
	if got, want := s.Tunnel.Words, "W. LinraeL [31m"+strings.Repeat("x", 50); got != want {
		t.Errorf("got the words %q, want %q", got, want)
	}
}

func TestTrayStopped(t *testing.T) {
	at := func(client, cause, whose string) (a api.Attempt) {
		a.App, a.Grant, a.Last = client, "g", time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
		a.Diagnosis.Cause = cause
		a.Diagnosis.Whose = whose
		return a
	}
	for _, tt := range []struct {
		name string
		all  []api.Attempt
		want tray.Attempt
	}{
		{"none", nil, tray.Attempt{}},
		{"the newest", []api.Attempt{at("Claude", "approve", "client"), at("Cursor", "call 403", "upstream")}, tray.Attempt{Client: "Claude", Whose: tray.PartyClient}},
		{"no news", []api.Attempt{at("Claude", "approve denied", "yours"), at("Cursor", "call 401", "yours"), at("ChatGPT", "call 403", "upstream")}, tray.Attempt{Client: "ChatGPT", Whose: tray.PartyServer}},
		{"yours", []api.Attempt{at("Claude", "key rejected", "yours")}, tray.Attempt{Client: "Claude", Whose: tray.PartyOwner}},
		{"the tunnel's", []api.Attempt{at("Claude", "register ngrok", "ngrok")}, tray.Attempt{Client: "Claude", Whose: tray.PartyTunnel}},
		{"unknown", []api.Attempt{at("Claude", "x", "moon")}, tray.Attempt{Client: "Claude"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := trayStopped(tt.all)
			if got.Time.IsZero() != (tt.want.Client == "") {
				t.Errorf("the time is %v", got.Time)
			}
			if got.Time = (time.Time{}); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestTrayTunnel(t *testing.T) {
	words := func(s api.Internet) string { return s.Words + ". why" }
	for _, tt := range []struct {
		state, tunnel string
		wasOnline     bool
		want          tray.TunnelState
		words         bool
	}{
		{api.InternetOff, api.TunnelOff, false, tray.TunnelUnset, false},
		{api.InternetOff, api.TunnelOff, true, tray.TunnelOffline, false},
		{api.InternetConnecting, api.TunnelConnecting, true, tray.TunnelConnecting, false},
		{api.InternetConnecting, api.TunnelRetrying, true, tray.TunnelConnecting, true},
		{api.InternetWaiting, api.TunnelOnline, true, tray.TunnelWaiting, false},
		{api.InternetOnline, api.TunnelOnline, true, tray.TunnelConnected, false},
		{api.InternetUnreachable, api.TunnelOnline, true, tray.TunnelNeedsYou, true},
		{api.InternetUnreachable, api.TunnelFailed, false, tray.TunnelNeedsYou, true},
		{api.InternetPaused, api.TunnelPaused, true, tray.TunnelConnecting, false},
		{"", "", false, tray.TunnelUnset, false},
	} {
		o := api.Overview{WasOnline: tt.wasOnline}
		o.Status.Tunnel.State = tt.tunnel
		o.Status.Internet = api.Internet{State: tt.state, Words: catalogue.InternetState(tt.state), Why: "why"}
		want := tray.Tunnel{State: tt.want}
		if tt.words {
			want.Words = words(o.Status.Internet)
		}
		if got := trayTunnel(o); got != want {
			t.Errorf("an internet that is %q, and was online: %v, shows as %+v, want %+v", tt.state, tt.wasOnline, got, want)
		}
	}
}

// TestSameWords: the menu says of each state what pages and command line say.
func TestSameWords(t *testing.T) {
	host := "https://k2o.example"
	for _, paused := range []bool{false, true} {
		for _, state := range []string{
			api.InternetOff, api.InternetConnecting, api.InternetWaiting, api.InternetOnline, api.InternetUnreachable,
		} {
			if paused {
				state = api.InternetPaused
			}
			o := api.Overview{WasOnline: true}
			o.Status.Paused, o.Status.PublicOrigin, o.Status.Keychain.State = paused, &host, api.KeychainReady
			o.Status.Internet = api.Internet{State: state, Words: catalogue.InternetState(state), Why: "The reason."}
			if line := tray.Menu(trayState(o))[0].Text; !strings.HasPrefix(line, o.Status.Internet.Words) {
				t.Errorf("the menu says %q of an internet that is %q, want %q", line, state, o.Status.Internet.Words)
			}
		}
		for _, state := range []string{
			api.EndpointOK, api.EndpointNotTried, api.EndpointUnreachable, api.EndpointRejected, api.EndpointKeyNeeded, api.EndpointLocked,
			api.EndpointNotConfirmed, api.EndpointCannotStart,
		} {
			words := shim.ServerState(state, paused)
			o := api.Overview{Endpoints: []api.Endpoint{{Slug: "s", DisplayName: "Linear", State: state, StateWords: words}}}
			o.Status.Paused = paused
			menu := tray.Menu(trayState(o))
			i := slices.IndexFunc(menu, func(i tray.Item) bool { return i.Text == "Linear" })
			if i < 0 || menu[i].Items[0].Text != words {
				t.Errorf("the menu does not say %q of a server that is %q:\n%+v", words, state, menu)
			}
			// What needs the owner has a line of its own, in the same words.
			line := slices.IndexFunc(menu, func(i tray.Item) bool { return strings.HasPrefix(i.Text, "Linear \u2013 ") })
			needs := state != api.EndpointOK && state != api.EndpointNotTried && state != api.EndpointLocked && state != api.EndpointKeyNeeded
			if needs = needs && !paused; needs != (line >= 0) {
				t.Errorf("a server that is %q, paused %v, has a line of its own: %v", state, paused, line >= 0)
			} else if needs && !strings.Contains(strings.ToLower(menu[line].Text), strings.ToLower(words)) {
				t.Errorf("the line %q is not in the words %q", menu[line].Text, words)
			}
		}
	}
}

func TestTrayKeychain(t *testing.T) {
	for state, want := range map[string]tray.Keychain{
		api.KeychainReady:       tray.KeychainReady,
		api.KeychainFile:        tray.KeychainReady,
		api.KeychainMemory:      tray.KeychainMemory,
		api.KeychainWaiting:     tray.KeychainWaiting,
		api.KeychainLocked:      tray.KeychainWaiting,
		api.KeychainNotSetUp:    tray.KeychainUnusable,
		api.KeychainUnavailable: tray.KeychainUnusable,
		"new":                   tray.KeychainUnusable,
	} {
		if got := trayKeychain(state); got != want {
			t.Errorf("a keychain that is %s shows as %v, want %v", state, got, want)
		}
	}
}

// A saved key that is damaged is said to be so at its server, and not a second
// time as damaged data.
func TestTrayDamagedKey(t *testing.T) {
	key := api.Damage{Kind: api.DamagedSealedKey, Slug: "a"}
	for _, tt := range []struct {
		state   string
		all     []api.Damage
		key     tray.Key
		damaged int
	}{
		{api.EndpointKeyNeeded, nil, tray.KeyNeeded, 0},
		{api.EndpointKeyNeeded, []api.Damage{key, key, {Kind: api.DamagedApp, Slug: "a"}}, tray.KeyDamaged, 1},
		{api.EndpointKeyNeeded, []api.Damage{{Kind: api.DamagedSealedKey, Slug: "b"}}, tray.KeyNeeded, 1},
		{api.EndpointKeyNeeded, []api.Damage{{Kind: api.DamagedKey, Slug: "a"}}, tray.KeyDamaged, 0},
		{api.EndpointRejected, []api.Damage{key}, tray.KeyRejected, 1},
	} {
		s := trayState(api.Overview{Status: api.Status{Damaged: tt.all}, Endpoints: []api.Endpoint{{Slug: "a", State: tt.state, Credentials: []api.Credential{{State: tt.state}}}}})
		if s.Endpoints[0].Key != tt.key || s.Damaged != tt.damaged {
			t.Errorf("%q with %v shows as %v and %d, want %v and %d", tt.state, tt.all, s.Endpoints[0].Key, s.Damaged, tt.key, tt.damaged)
		}
	}
}

func TestTrayKey(t *testing.T) {
	for state, want := range map[string]tray.Key{
		api.EndpointOK:           tray.KeyFine,
		api.EndpointNotTried:     tray.KeyFine,
		api.EndpointLocked:       tray.KeyFine,
		api.EndpointRejected:     tray.KeyRejected,
		api.EndpointKeyNeeded:    tray.KeyWanted,
		api.EndpointUnreachable:  tray.Unreachable,
		api.EndpointCannotStart:  tray.Unstarted,
		api.EndpointNotConfirmed: tray.Unconfirmed,
	} {
		if got := trayKey(api.Endpoint{State: state}); got != want {
			t.Errorf("an endpoint that is %q shows as %v, want %v", state, got, want)
		}
	}
	lost := api.Endpoint{State: api.EndpointKeyNeeded, Credentials: []api.Credential{{State: api.CredentialKeyNeeded}}}
	if got := trayKey(lost); got != tray.KeyNeeded {
		t.Errorf("an endpoint whose key is lost shows as %v", got)
	}
}
