package tray

import (
	"cmp"
	"slices"
	"time"

	"github.com/key2oauth/key2oauth/icons"
	"github.com/key2oauth/key2oauth/tray/internal/words"
)

// An Item is one line of the menu, as a person reads it. It is escaped for the
// desktop only when it is drawn.
type Item struct {
	Text      string
	Action    Action // of a click; an item with neither Action nor Items is grayed
	Checkable bool   // has a check mark, set or not
	Checked   bool
	Separator bool
	Items     []Item // a submenu
}

// Enabled reports whether the item can be clicked or opened.
func (i Item) Enabled() bool { return i.Action != Action{} || len(i.Items) > 0 }

// A panelMenu shows the menu where the systray package cannot do that well.
type panelMenu interface {
	show(items []Item)
	// asked returns a channel that is closed once a panel has read the menu.
	asked() <-chan struct{}
}

// Bounds on lines of which there may be hundreds. The window shows the
// rest.
const (
	maxEndpoints = 12
	maxClients   = 8
	maxKeys      = 3
)

// Menu lays out the tray menu. It is a pure function, which lets tests hold
// every state of the menu as text; only tray.go uses the systray package.
func Menu(s State) []Item {
	return sections(
		review(s),
		slices.Concat(status(s), troubles(s)),
		endpoints(s),
		clients(s),
		switches(s),
		program(s),
	)
}

// sections puts separators between the parts that are not empty.
func sections(parts ...[]Item) []Item {
	var menu []Item
	for _, p := range parts {
		if len(menu) > 0 && len(p) > 0 {
			menu = append(menu, Item{Separator: true})
		}
		menu = append(menu, p...)
	}
	return menu
}

// do returns an item with a fixed text.
func do(key string, v Verb) Item { return Item{Text: t(key), Action: Action{Verb: v}} }

func review(s State) []Item {
	var items []Item
	switch len(s.Pending) {
	case 0:
	case 1:
		items = append(items, Item{Text: t("review"), Action: Action{ReviewRequest, s.Pending[0].ID}})
	default:
		items = append(items, Item{Text: t("review.many", len(s.Pending)), Action: Action{Verb: ReviewRequest}})
	}
	if s.Confirm {
		items = append(items, do("confirm.move", ConfirmMove))
	}
	return items
}

// status returns the state, clickable where a click helps.
func status(s State) []Item {
	var items []Item
	switch {
	case s.Keychain == KeychainWaiting:
		items = append(items, do("status.locked", OpenDashboard))
	case s.Keychain == KeychainUnusable:
		items = append(items, do("status.unusable", OpenDashboard))
	case s.Paused:
		items = append(items, Item{Text: t("status.paused")})
	default:
		items = append(items, tunnelStatus(s.Tunnel))
	}
	if s.DiskFull {
		items = append(items, do("status.disk", OpenDashboard))
	}
	if s.Damaged > 0 {
		items = append(items, do("status.damaged", OpenDashboard))
	}
	if s.Keychain == KeychainMemory {
		items = append(items, do("status.memory", OpenDashboard))
	}
	return items
}

func tunnelStatus(tn Tunnel) Item {
	switch words := tn.Words; tn.State {
	case TunnelOffline:
		return Item{Text: t("status.offline")}
	case TunnelConnecting:
		if words != "" {
			return Item{Text: words}
		}
		return Item{Text: t("status.connecting")}
	case TunnelWaiting:
		return do("status.waiting", OpenTunnel)
	case TunnelConnected:
		if host := tn.Host; host != "" {
			return Item{Text: t("status.connected.at", host)}
		}
		return Item{Text: t("status.connected")}
	case TunnelNeedsYou:
		if words == "" {
			words = t("status.needs-words")
		}
		return Item{Text: t("status.needs-you", sentence(words)), Action: Action{Verb: OpenTunnel}}
	}
	return Item{Text: t("status.unset")}
}

// troubles returns what does not work besides. While everything is paused, that is
// said once.
func troubles(s State) []Item {
	if s.Paused {
		return nil
	}
	return append(keys(s), stopped(s)...)
}

// keys returns the servers that do not work.
func keys(s State) []Item {
	lines := map[Key]struct {
		text string
		verb Verb
	}{
		KeyRejected: {"key.rejected", FixKey},
		KeyNeeded:   {"key.needed", FixKey},
		KeyDamaged:  {"key.damaged", FixKey},
		Unreachable: {"server.unreachable", OpenEndpoint},
		Unstarted:   {"server.unstarted", OpenEndpoint},
		Unconfirmed: {"server.unconfirmed", OpenEndpoint},
	}
	var items []Item
	for _, e := range s.Endpoints {
		if l, ok := lines[e.Key]; ok {
			items = append(items, Item{Text: t(l.text, name(e.Name)), Action: Action{l.verb, e.Slug}})
		}
	}
	return limit(items, maxKeys, 0, "key.more")
}

// stoppedFor is how long a failed attempt stays in the menu. The page shows it
// longer.
const stoppedFor = time.Hour

// stopped returns the last app that failed to connect, and who has to fix it.
func stopped(s State) []Item {
	a := s.Stopped
	if a.Time.IsZero() || s.Now.Sub(a.Time) > stoppedFor {
		return nil
	}
	key := map[Party]string{
		PartyOwner: "stopped.yours", PartyClient: "stopped.client", PartyServer: "stopped.server", PartyTunnel: "stopped.tunnel",
	}[a.Whose]
	return []Item{{Text: t(cmp.Or(key, "stopped"), cmp.Or(a.Client, t("app"))), Action: Action{Verb: OpenCheck}}}
}

// limit replaces the items after the n-th, and others that were left out before,
// with one line that leads to the window.
func limit(items []Item, n, others int, more string) []Item {
	if others == 0 && len(items) <= n+1 { // the line would take the place of the item
		return items
	}
	n = min(n, len(items))
	return append(items[:n:n], Item{Text: t(more, len(items)-n+others), Action: Action{Verb: OpenDashboard}})
}

func endpoints(s State) []Item {
	var items []Item
	for _, e := range s.Endpoints {
		used := t("used.never")
		if !e.LastUsed.IsZero() {
			used = t("used", words.Ago(s.Now, e.LastUsed))
		}
		var sub []Item
		if e.State != "" {
			sub = append(sub, Item{Text: e.State}, Item{Separator: true})
		}
		sub = append(sub,
			Item{Text: t("copy"), Action: Action{CopyURL, e.Slug}},
			Item{Text: t("open"), Action: Action{OpenEndpoint, e.Slug}},
		)
		switch e.Key {
		case KeyRejected:
			sub = append(sub, Item{Text: t("replace"), Action: Action{FixKey, e.Slug}})
		case KeyNeeded, KeyDamaged, KeyWanted:
			sub = append(sub, Item{Text: t("paste"), Action: Action{FixKey, e.Slug}})
		}
		sub = append(sub, Item{Separator: true}, Item{Text: used})
		items = append(items, Item{Text: name(e.Name), Items: sub})
	}
	return append(limit(items, maxEndpoints, 0, "endpoints.more"), do("endpoint.add", AddEndpoint))
}

// clients returns the connected apps. Disconnecting one cannot be undone, so
// it takes a second click, next to what it does.
func clients(s State) []Item {
	if len(s.Clients) == 0 {
		return nil
	}
	var items []Item
	names := clientNames(s.Now, s.Clients)
	for i, c := range s.Clients {
		used := t("used.never")
		if !c.LastUsed.IsZero() {
			used = t("used", words.Ago(s.Now, c.LastUsed))
		}
		items = append(items, Item{Text: names[i], Items: []Item{
			{Text: t("client.uses", name(c.Endpoint))},
			{Text: used},
			{Separator: true},
			{Text: t("revoke"), Items: []Item{
				{Text: t("revoke.warning", name(c.Name))},
				{Text: t("revoke.now"), Action: Action{Revoke, c.Grant}},
			}},
		}})
	}
	return []Item{{Text: t("clients"), Items: limit(items, maxClients, s.More, "clients.more")}}
}

// clientNames are the names of apps for the menu. Apps of one name are told apart
// by their servers, those of one server by when they were connected, and at last
// by a number.
func clientNames(now time.Time, all []Client) []string {
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = name(c.Name)
	}
	tell := func(more func(i int) string) {
		count := make(map[string]int)
		for _, n := range names {
			count[n]++
		}
		for i, n := range slices.Clone(names) {
			if count[n] > 1 {
				names[i] = more(i)
			}
		}
	}
	tell(func(i int) string { return t("client.of", names[i], name(all[i].Endpoint)) })
	tell(func(i int) string {
		if all[i].Since.IsZero() {
			return names[i]
		}
		return t("client.since", names[i], words.Ago(now, all[i].Since))
	})
	seen := make(map[string]int)
	tell(func(i int) string {
		n := names[i]
		seen[n]++
		return t("client.number", n, seen[n])
	})
	return names
}

// switches returns the items that start and stop calls.
func switches(s State) []Item {
	if s.Paused { // a pause closes the tunnel too
		return []Item{do("resume", Resume)}
	}
	items := []Item{do("pause", Pause)}
	switch s.Tunnel.State {
	case TunnelUnset:
		return append(items, do("tunnel", OpenTunnel))
	case TunnelOffline:
		return append(items, do("online", GoOnline))
	}
	return append(items, do("offline", GoOffline))
}

func program(s State) []Item {
	items := []Item{do("dashboard", OpenDashboard), do("settings", OpenSettings)}
	switch s.Login {
	case LoginOff:
		items = append(items, Item{Text: t("login"), Action: Action{Verb: StartAtLogin}, Checkable: true})
	case LoginOn:
		items = append(items, Item{Text: t("login"), Action: Action{Verb: DoNotStart}, Checkable: true, Checked: true})
	}
	return append(items, do("about", OpenAbout), do("quit", Quit))
}

// Icon chooses the tray icon. What waits for the owner comes first, then the
// owner's choices, then the state of the network.
func Icon(s State) icons.State {
	switch {
	case len(s.Pending) > 0, s.Confirm:
		return icons.Attention
	case s.Paused:
		return icons.Paused
	case s.Keychain == KeychainWaiting, s.Keychain == KeychainUnusable, s.DiskFull, s.Damaged > 0, broken(s) > 0, s.Tunnel.State == TunnelNeedsYou:
		return icons.Attention
	case s.Tunnel.State == TunnelConnecting, s.Tunnel.State == TunnelWaiting:
		return icons.Connecting
	case s.Tunnel.State == TunnelConnected:
		return icons.Connected
	}
	return icons.Local
}

// broken counts the servers whose calls fail until the owner does something.
func broken(s State) int {
	n := 0
	for _, e := range s.Endpoints {
		if e.Key.breaks() {
			n++
		}
	}
	return n
}

// Tooltip explains the icon in a few words. It contains no name, since a
// tooltip may appear while the owner presents the screen to others.
func Tooltip(s State) string {
	return t("tooltip", situation(s))
}

func situation(s State) string {
	switch n := broken(s); {
	case len(s.Pending) > 0:
		return t("tooltip.request")
	case s.Paused:
		return t("tooltip.paused")
	case s.Keychain == KeychainWaiting:
		return t("tooltip.locked")
	case s.Keychain == KeychainUnusable:
		return t("tooltip.unusable")
	case s.DiskFull:
		return t("tooltip.disk")
	case s.Damaged > 0:
		return t("tooltip.damaged")
	case n == 1:
		return t("tooltip.key")
	case n > 1:
		return t("tooltip.keys", n)
	}
	switch s.Tunnel.State {
	case TunnelOffline:
		return t("tooltip.offline")
	case TunnelConnecting:
		return t("tooltip.connect")
	case TunnelWaiting:
		return t("tooltip.waiting")
	case TunnelConnected:
		return t("tooltip.connected")
	case TunnelNeedsYou:
		return t("tooltip.needs-you")
	}
	return t("tooltip.unset")
}
