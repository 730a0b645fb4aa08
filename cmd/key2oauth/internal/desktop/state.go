package desktop

import (
	"net/url"
	"path"
	"slices"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/display"
	"github.com/key2oauth/key2oauth/tray"
)

// trayState is what the tray shows of an overview. It is a pure function.
func trayState(o api.Overview) tray.State {
	st := o.Status
	s := tray.State{
		Paused: st.Paused, Keychain: trayKeychain(st.Keychain.State), Tunnel: trayTunnel(o),
		Confirm: o.Confirm != "", DiskFull: st.Disk.Words != "", Damaged: len(st.Damaged), Stopped: trayStopped(st.Attempts),
	}
	for _, q := range st.Pending {
		if q.Asked || q.NeedsOwner { // the others are before the owner's eyes
			s.Pending = append(s.Pending, trayRequest(q, o.Endpoints))
		}
	}
	for _, e := range o.Endpoints {
		shown := tray.Endpoint{Slug: e.Slug, Name: trayName(e.DisplayName), State: display.Text(e.StateWords, tray.MaxWords), Key: trayKey(e)}
		if n := damagedKeys(st.Damaged, e.Slug); n > 0 && shown.Key == tray.KeyNeeded {
			shown.Key = tray.KeyDamaged
			s.Damaged -= n
		}
		if e.LastUsed != nil {
			shown.LastUsed = *e.LastUsed
		}
		s.Endpoints = append(s.Endpoints, shown)
	}
	for _, c := range o.Clients {
		s.Clients = append(s.Clients, tray.Client{Grant: c.Grant, Name: trayName(c.Name), Endpoint: trayName(c.Endpoint), Since: c.Connected, LastUsed: c.LastUsed, Old: c.Old})
	}
	s.More = o.MoreClients
	return s
}

// trayRequest is what the tray says of a request. The sender chose the
// app's name, so it has one only if the answer goes where an app is known.
func trayRequest(q api.PendingRequest, servers []api.Endpoint) tray.Request {
	r := tray.Request{ID: path.Base(q.URL), Here: !q.Asked}
	if q.Asked {
		return r
	}
	if q.Familiar {
		r.App = trayName(q.App)
	}
	for _, e := range servers {
		if e.Slug == q.Slug || q.Slug == "" && len(servers) == 1 {
			r.Server = trayName(e.DisplayName)
		}
	}
	return r
}

// damagedKeys counts the saved keys of a server that are damaged.
func damagedKeys(all []api.Damage, slug string) (n int) {
	for _, d := range all {
		if (d.Kind == api.DamagedSealedKey || d.Kind == api.DamagedKey) && d.Slug == slug {
			n++
		}
	}
	return n
}

// trayName is a name for a line of the menu.
func trayName(s string) string { return display.Text(s, tray.MaxName) }

// trayKeychain translates the state of the keychain. An unknown one counts as
// unusable: a warning too many is better than one too few.
func trayKeychain(state string) tray.Keychain {
	switch state {
	case api.KeychainReady, api.KeychainFile:
		return tray.KeychainReady
	case api.KeychainMemory:
		return tray.KeychainMemory
	case api.KeychainWaiting, api.KeychainLocked:
		return tray.KeychainWaiting
	}
	return tray.KeychainUnusable
}

// told are causes that the menu shows anyway, or that the owner knows already.
var told = []string{
	api.CauseDenied, api.CauseDiskApprove, api.CauseDiskExchange, api.CauseDiskRefresh,
	api.CauseKeyRejected, api.CausePaused, api.CauseLocked, api.CauseLockedConsent,
}

// trayStopped finds the last attempt that the owner should know about. The tray
// names no app that the owner has not approved: a name is the first thing that
// a stranger can put there.
func trayStopped(all []api.Attempt) tray.Attempt {
	for _, a := range all { // the newest comes first
		if slices.Contains(told, a.Diagnosis.Cause) {
			continue
		}
		whose := map[string]tray.Party{
			api.WhoseYours: tray.PartyOwner, api.WhoseClient: tray.PartyClient,
			api.WhoseUpstream: tray.PartyServer, api.WhoseNgrok: tray.PartyTunnel,
		}[a.Diagnosis.Whose]
		stopped := tray.Attempt{Whose: whose, Time: a.Last}
		if a.Grant != "" { // the owner has approved it
			stopped.Client = trayName(a.Who())
		}
		return stopped
	}
	return tray.Attempt{}
}

// trayKey translates the state of an endpoint. One that waits for the keychain
// is not a problem of its own.
func trayKey(e api.Endpoint) tray.Key {
	switch e.State {
	case api.EndpointRejected:
		return tray.KeyRejected
	case api.EndpointKeyNeeded:
		if slices.ContainsFunc(e.Credentials, func(c api.Credential) bool { return c.State == api.CredentialKeyNeeded }) {
			return tray.KeyNeeded
		}
		return tray.KeyWanted
	case api.EndpointUnreachable:
		return tray.Unreachable
	case api.EndpointCannotStart:
		return tray.Unstarted
	case api.EndpointNotConfirmed:
		return tray.Unconfirmed
	}
	return tray.KeyFine
}

// trayTunnel translates the state of the internet. It has words only where the
// state alone does not say what is wrong.
func trayTunnel(o api.Overview) tray.Tunnel {
	var t tray.Tunnel
	if p := o.Status.PublicOrigin; p != nil {
		if u, err := url.Parse(*p); err == nil {
			t.Host = display.Text(u.Host, tray.MaxWords)
		}
	}
	n := o.Status.Internet
	words := func() string {
		if n.Why == "" {
			return ""
		}
		return display.Text(n.Words+". "+n.Why, tray.MaxWords)
	}
	switch n.State {
	case api.InternetOnline:
		t.State = tray.TunnelConnected
	case api.InternetWaiting:
		t.State = tray.TunnelWaiting
	case api.InternetPaused: // after a pause it opens again
		t.State = tray.TunnelConnecting
	case api.InternetConnecting:
		if t.State = tray.TunnelConnecting; o.Status.Tunnel.State == api.TunnelRetrying {
			t.Words = words()
		}
	case api.InternetUnreachable:
		t.State, t.Words = tray.TunnelNeedsYou, words()
	default:
		if o.WasOnline {
			t.State = tray.TunnelOffline
		}
	}
	return t
}
