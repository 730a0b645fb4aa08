package standing

import (
	"net/url"
	"path"
	"slices"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// Ranking is the order of the kinds of concerns. What keeps a person waiting now
// comes first, then what stops everything, then what stops something, then what
// may.
var Ranking = []string{
	api.ConcernRequest, api.ConcernKeychain, api.ConcernDisk, api.ConcernPaused, api.ConcernDamaged,
	api.ConcernRejected, api.ConcernKeyLost, api.ConcernCannotStart, api.ConcernUnreachable, api.ConcernInternet,
	api.ConcernTwoPlaces, api.ConcernMemory, api.ConcernStranded, api.ConcernNotConfirmed, api.ConcernUsage,
	api.ConcernStopped, api.ConcernWaiting, api.ConcernKeyWanted,
}

// Concerns lists what the owner should look at, the most urgent first. While
// everything is paused, one concern says so, and what the pause stops anyway is
// left out.
func Concerns(st api.Status, servers []api.Endpoint) []api.Concern {
	all := slices.Concat(requests(st), ofProgram(st))
	if !st.Paused {
		all = slices.Concat(all, ofServers(servers), ofInternet(st), ofApps(st))
	}
	slices.SortStableFunc(all, func(a, b api.Concern) int {
		return slices.Index(Ranking, a.Kind) - slices.Index(Ranking, b.Kind)
	})
	return all
}

// requests is about the apps that wait for an answer. It names none: a name is
// the first thing that a stranger can put there.
func requests(st api.Status) []api.Concern {
	if len(st.Pending) == 0 {
		return nil
	}
	c := api.Concern{Kind: api.ConcernRequest, Level: api.LevelWarn, Words: web.RequestsWait(len(st.Pending)), Button: web.UrgentButton(api.ConcernRequest), Path: "/"}
	if len(st.Pending) == 1 {
		if u, err := url.Parse(st.Pending[0].URL); err == nil && u.Path != "" {
			c.Path, c.ID = u.Path, path.Base(u.Path)
		}
	}
	return []api.Concern{c}
}

// ofProgram is about Key2OAuth itself.
func ofProgram(st api.Status) []api.Concern {
	var all []api.Concern
	switch k := st.Keychain; {
	case k.State == "":
	case k.State == api.KeychainMemory:
		c := api.Concern{Kind: api.ConcernMemory, Level: api.LevelWarn, Words: k.Words, Path: "/"}
		switch {
		case k.CanKeep:
			c.Button, c.Do = web.UrgentButton(api.ConcernMemory), "/keychain/keep"
		case k.Mode != api.ModeMemory: // which the owner asked for
			c.Button, c.Do = web.UrgentButton(web.UrgentKeepInFile), "/keychain/file"
		}
		all = append(all, c)
	case !k.Usable():
		level := api.LevelWarn
		if k.State == api.KeychainWaiting {
			level = api.LevelInfo // it was asked just now
		}
		all = append(all, api.Concern{Kind: api.ConcernKeychain, Level: level, Words: k.Words, Button: web.UrgentButton(api.ConcernKeychain), Path: "/", Do: "/keychain/unlock"})
	}
	if st.Disk.Words != "" {
		all = append(all, api.Concern{Kind: api.ConcernDisk, Level: api.LevelError, Words: st.Disk.Words, Next: st.Disk.Next, Button: web.UrgentButton(api.ConcernDisk), Path: "/check"})
	}
	if st.Paused {
		all = append(all, api.Concern{Kind: api.ConcernPaused, Level: api.LevelWarn, Words: web.UrgentWords(api.ConcernPaused), Button: web.UrgentButton(api.ConcernPaused), Path: "/", Do: "/resume"})
	}
	for _, d := range st.Damaged {
		if d.Kind == api.DamagedSealedKey {
			continue // its server says so
		}
		all = append(all, api.Concern{
			Kind: api.ConcernDamaged, Level: api.LevelError, Slug: d.Slug, ID: d.ID, Damage: d.Kind, Words: d.Words, Next: d.Next,
			Button: web.DamageButton(d.Kind), Path: "/", Do: "/damaged",
		})
	}
	return all
}

// ofServers is about the servers whose state needs the owner.
func ofServers(servers []api.Endpoint) []api.Concern {
	var all []api.Concern
	for _, o := range servers {
		page := "/servers/" + o.Slug
		c := api.Concern{Level: api.LevelError, Slug: o.Slug, Path: page}
		switch o.State {
		case api.EndpointRejected:
			c.Kind, c.Path = api.ConcernRejected, page+"/key"
		case api.EndpointKeyNeeded:
			c.Kind, c.Path = api.ConcernKeyWanted, page+"/key"
			c.Level = api.LevelInfo
			if KeyLost(o) {
				c.Kind, c.Level, c.Next = api.ConcernKeyLost, api.LevelError, o.Why
			}
		case api.EndpointCannotStart:
			c.Kind, c.Next = api.ConcernCannotStart, o.Why
		case api.EndpointUnreachable:
			c.Kind, c.Level, c.Next = api.ConcernUnreachable, api.LevelWarn, o.Why
		case api.EndpointNotConfirmed:
			c.Kind, c.Level = api.ConcernNotConfirmed, api.LevelWarn
		default:
			continue
		}
		c.Words, c.Button = web.UrgentWords(c.Kind, o.DisplayName), web.UrgentButton(c.Kind)
		all = append(all, c)
	}
	return all
}

// ofInternet is about the way in from the internet.
func ofInternet(st api.Status) []api.Concern {
	var all []api.Concern
	add := func(kind, level, words, next string) {
		all = append(all, api.Concern{Kind: kind, Level: level, Words: words, Next: next, Button: web.UrgentButton(kind), Path: "/tunnel"})
	}
	switch n := st.Internet; {
	case n.State == api.InternetUnreachable, n.State == api.InternetConnecting && st.Tunnel.State == api.TunnelRetrying:
		add(api.ConcernInternet, api.LevelWarn, web.UrgentWords(api.ConcernInternet), problem.Join(n.Why, n.Next))
	case n.State == api.InternetWaiting:
		add(api.ConcernWaiting, api.LevelInfo, web.UrgentWords(api.ConcernWaiting), n.Why)
	}
	if len(st.Tunnel.Stranded) > 0 {
		add(api.ConcernStranded, api.LevelWarn, web.UrgentWords(api.ConcernStranded), "")
	}
	if u := st.Tunnel.Usage; u != nil && u.Warning != "" {
		add(api.ConcernUsage, api.LevelWarn, u.Warning, "")
	}
	return all
}

// ofApps is about connected apps, and those that did not get connected.
func ofApps(st api.Status) []api.Concern {
	var all []api.Concern
	for _, p := range st.TwoPlaces {
		all = append(all, api.Concern{
			Kind: api.ConcernTwoPlaces, Level: api.LevelWarn, Slug: p.Slug, ID: p.Grant, Words: web.UrgentWords(api.ConcernTwoPlaces, p.App, web.Day(p.Since)),
			Button: web.UrgentButton(api.ConcernTwoPlaces), Path: "/grants/" + p.Grant + "/revoke",
		})
	}
	// What the owner denied is known.
	if slices.ContainsFunc(st.Attempts, func(a api.Attempt) bool { return a.Diagnosis.Cause != api.CauseDenied }) {
		all = append(all, api.Concern{
			Kind: api.ConcernStopped, Level: api.LevelInfo, Words: web.UrgentWords(api.ConcernStopped),
			Button: web.UrgentButton(api.ConcernStopped), Path: "/check#attempts-title",
		})
	}
	return all
}
