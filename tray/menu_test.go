package tray

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/icons"
	"github.com/key2oauth/key2oauth/tray/internal/words"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// connected is an app in everyday use.
func connected() State {
	return State{
		Now:    now,
		Tunnel: Tunnel{State: TunnelConnected, Host: "calm-otter.ngrok-free.app"},
		Endpoints: []Endpoint{
			{Slug: "aaaaaaaaaaaa", Name: "Linear", State: "Working", LastUsed: now.Add(-2 * time.Minute)},
			{Slug: "bbbbbbbbbbbb", Name: "Sentry", State: "Not tried"},
		},
		Clients: []Client{
			{Grant: "g1", Name: "Claude", Endpoint: "Linear", LastUsed: now.Add(-2 * time.Minute)},
			{Grant: "g2", Name: "Cursor", Endpoint: "Sentry", LastUsed: now.Add(-26 * time.Hour)},
		},
		Login: LoginOn,
	}
}

func but(s State, change func(*State)) State {
	change(&s)
	return s
}

// states lists every look of the menu, by the names of the golden files.
func menuStates() map[string]State {
	many := but(connected(), func(s *State) {
		s.Endpoints, s.Clients = nil, nil
		for i := range 30 {
			s.Endpoints = append(s.Endpoints, Endpoint{Slug: fmt.Sprintf("slug%08d", i), Name: fmt.Sprintf("Server %d", i+1), Key: Key(i % 2)})
			s.Clients = append(s.Clients, Client{Grant: fmt.Sprintf("g%d", i), Name: fmt.Sprintf("App %d", i+1), Endpoint: "Server 1", LastUsed: now.Add(-time.Duration(i*i) * 2 * time.Hour)})
		}
	})
	odd := []string{
		"my_server_one", "R&D", "<b>bold</b>", "\U0001F469\u200d\U0001F4BB Ada \U0001F1EB\U0001F1F7 \u2764\ufe0f",
		"", "\u05e9\u05dc\u05d5\u05dd",
	}
	return map[string]State{
		"first-run":  {Now: now, Login: LoginOff},
		"confirm":    but(connected(), func(s *State) { s.Confirm = true }),
		"local-only": but(connected(), func(s *State) { s.Tunnel = Tunnel{} }),
		"connecting": but(connected(), func(s *State) { s.Tunnel = Tunnel{State: TunnelConnecting} }),
		"no-internet": but(connected(), func(s *State) {
			s.Tunnel = Tunnel{State: TunnelConnecting, Words: "Connecting. This computer has no internet connection."}
		}),
		"connected": connected(),
		"waiting":   but(connected(), func(s *State) { s.Tunnel.State = TunnelWaiting }),
		"needs-you": but(connected(), func(s *State) {
			s.Tunnel = Tunnel{State: TunnelNeedsYou, Words: "ngrok does not accept the authtoken."}
		}),
		"needs-you-without-words": but(connected(), func(s *State) { s.Tunnel = Tunnel{State: TunnelNeedsYou} }),
		"rejected-key":            but(connected(), func(s *State) { s.Endpoints[0].Key = KeyRejected }),
		"needed-key":              but(connected(), func(s *State) { s.Endpoints[1].Key = KeyNeeded }),
		"damaged-key":             but(connected(), func(s *State) { s.Endpoints[1].Key = KeyDamaged }),
		"wanted-key":              but(connected(), func(s *State) { s.Endpoints[1].State, s.Endpoints[1].Key = "Key needed", KeyWanted }),
		"unreachable":             but(connected(), func(s *State) { s.Endpoints[1].State, s.Endpoints[1].Key = "Not reachable", Unreachable }),
		"unstarted":               but(connected(), func(s *State) { s.Endpoints[1].State, s.Endpoints[1].Key = "Can\u2019t start", Unstarted }),
		"unconfirmed":             but(connected(), func(s *State) { s.Endpoints[1].State, s.Endpoints[1].Key = "Not confirmed", Unconfirmed }),
		"paused-with-troubles": but(connected(), func(s *State) {
			s.Paused = true
			s.Endpoints[0].State, s.Endpoints[0].Key = "Paused", KeyRejected
			s.Endpoints[1].State, s.Endpoints[1].Key = "Paused", Unreachable
			s.Stopped = Attempt{"Claude", PartyOwner, now.Add(-time.Minute)}
		}),
		"one-name": but(connected(), func(s *State) {
			s.Clients = []Client{
				{Grant: "g1", Name: "Claude", Endpoint: "Linear"}, {Grant: "g2", Name: "Claude", Endpoint: "Sentry"},
				{Grant: "g3", Name: "Claude", Endpoint: "Sentry", Since: now.Add(-50 * time.Hour)}, {Grant: "g4", Name: "Cursor", Endpoint: "Sentry"},
				{Grant: "g5", Name: "Cline", Endpoint: "Linear"}, {Grant: "g6", Name: "Cline", Endpoint: "Linear"},
			}
		}),
		"paused":              but(connected(), func(s *State) { s.Paused = true }),
		"paused-with-request": but(connected(), func(s *State) { s.Paused = true; s.Pending = []Request{{ID: "r1"}} }),
		"offline":             but(connected(), func(s *State) { s.Tunnel = Tunnel{State: TunnelOffline} }),
		"locked-keychain":     but(connected(), func(s *State) { s.Keychain = KeychainWaiting }),
		"unusable-keychain":   but(connected(), func(s *State) { s.Keychain = KeychainUnusable }),
		"no-keychain":         but(connected(), func(s *State) { s.Keychain = KeychainMemory; s.Login = LoginUnknown }),
		"many":                many,
		"long-names": but(connected(), func(s *State) {
			s.Endpoints[0].Name = strings.Repeat("m", 40)
			s.Endpoints[0].Key = KeyRejected
			s.Endpoints[1].Name = strings.Repeat("wide name ", 3) + "wide name"
			s.Clients[0].Name = strings.Repeat("\u754c", 39) + "\u2026"
			s.Clients[1].Endpoint = s.Endpoints[1].Name
		}),
		"odd-names": but(connected(), func(s *State) {
			s.Endpoints, s.Clients = nil, nil
			for i, n := range odd {
				s.Endpoints = append(s.Endpoints, Endpoint{Slug: fmt.Sprint("slug", i), Name: n})
			}
			s.Clients = []Client{{Grant: "g1", Name: odd[0], Endpoint: odd[4]}}
			s.Pending = []Request{{ID: "r1"}}
		}),
		"stopped-yours":  but(connected(), func(s *State) { s.Stopped = Attempt{"Claude", PartyOwner, now.Add(-time.Minute)} }),
		"stopped-client": but(connected(), func(s *State) { s.Stopped = Attempt{"Claude", PartyClient, now.Add(-time.Minute)} }),
		"stopped-server": but(connected(), func(s *State) { s.Stopped = Attempt{"Claude", PartyServer, now.Add(-time.Minute)} }),
		"stopped-tunnel": but(connected(), func(s *State) { s.Stopped = Attempt{"Claude", PartyTunnel, now.Add(-time.Hour)} }),
		"stopped-unknown": but(connected(), func(s *State) {
			s.Stopped = Attempt{"", PartyUnknown, now}
		}),
		"stopped-long-ago": but(connected(), func(s *State) { s.Stopped = Attempt{"Claude", PartyClient, now.Add(-time.Hour - 1)} }),
		"full-disk":        but(connected(), func(s *State) { s.DiskFull = true }),
		"request":          but(connected(), func(s *State) { s.Pending = []Request{{ID: "r1"}} }),
		"requests":         but(connected(), func(s *State) { s.Pending = []Request{{ID: "r1"}, {ID: "r2"}} }),
		"approve":          but(connected(), func(s *State) { s.Pending = []Request{{ID: "r1", Here: true, App: "Claude", Server: "Linear"}} }),
		"approve-new":      but(connected(), func(s *State) { s.Pending = []Request{{ID: "r1", Here: true}, {ID: "r2"}} }),
		"approve-many": but(connected(), func(s *State) {
			s.Pending = []Request{{ID: "r1", Here: true, App: "Claude"}, {ID: "r2", Here: true}, {ID: "r3", Here: true}}
		}),
		"everything-at-once": but(connected(), func(s *State) {
			s.Pending = []Request{{ID: "r1"}}
			s.Endpoints[0].Key = KeyRejected
			s.Tunnel = Tunnel{State: TunnelNeedsYou, Words: "The domain is in use elsewhere"}
			s.Keychain = KeychainMemory
		}),
	}
}

func TestMenu(t *testing.T) {
	for name, s := range menuStates() {
		t.Run(name, func(t *testing.T) {
			got := fmt.Sprintf("icon: %s\ntooltip: %s\n\n%s", Icon(s), Tooltip(s), drawn(Menu(s)))
			for _, n := range Notices(s) {
				if !n.Event { // a part about clients, which every state has
					got += fmt.Sprintf("\nnotice: %s\n    %s\n    %s [%s]\n", n.Title, n.Body, n.Button, strings.TrimSpace(string(n.Action.Verb)+" "+n.Action.ID))
				}
			}
			file := filepath.Join("testdata", "menu", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v; go test ./tray -update writes it", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("Menu differs from %s (-want +got):\n%s", file, diff)
			}
		})
	}
	files, err := filepath.Glob("testdata/menu/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(menuStates()) {
		t.Errorf("%d golden files for %d states", len(files), len(menuStates()))
	}
}

// drawn returns a menu as text: the action of a click is in brackets, a
// disabled line in parentheses.
func drawn(items []Item) string {
	var b strings.Builder
	var walk func([]Item, string)
	walk = func(items []Item, indent string) {
		for _, i := range items {
			b.WriteString(indent)
			switch {
			case i.Separator:
				b.WriteString("---")
			case !i.Enabled():
				fmt.Fprintf(&b, "(%s)", i.Text)
			default:
				if i.Checkable {
					b.WriteString(map[bool]string{true: "[x] ", false: "[ ] "}[i.Checked])
				}
				b.WriteString(i.Text)
			}
			if i.Action != (Action{}) {
				fmt.Fprintf(&b, " [%s]", strings.TrimSpace(string(i.Action.Verb)+" "+i.Action.ID))
			}
			b.WriteByte('\n')
			walk(i.Items, indent+"    ")
		}
	}
	walk(items, "")
	return b.String()
}

// TestMenuHolds checks what is true of the menu in every state.
func TestMenuHolds(t *testing.T) {
	for name, s := range menuStates() {
		t.Run(name, func(t *testing.T) {
			menu := Menu(s)
			if len(s.Pending) > 0 && menu[0].Action.Verb != ReviewRequest {
				t.Errorf("the first item is %q, want the request that waits", menu[0].Text)
			}
			if last := menu[len(menu)-1]; last.Action.Verb != Quit {
				t.Errorf("the last item is %q, want quit", last.Text)
			}
			for _, v := range []Verb{AddEndpoint, OpenDashboard, OpenSettings, OpenAbout} {
				if !slices.ContainsFunc(menu, func(i Item) bool { return i.Action.Verb == v }) {
					t.Errorf("no item does %q", v)
				}
			}
			// Windows cuts a tooltip at 127 characters of UTF-16.
			if tip := Tooltip(s); len(utf16.Encode([]rune(tip))) > 127 {
				t.Errorf("the tooltip is too long for Windows: %q", tip)
			}
			var walk func(string, []Item)
			walk = func(parent string, items []Item) {
				for k, i := range items {
					if i.Action.Verb == Revoke && parent != Text("revoke") {
						t.Errorf("%q revokes by a click in the menu of %q, without a confirmation", i.Text, parent)
					}
					if i.Separator {
						if k == 0 || k == len(items)-1 || items[k-1].Separator {
							t.Errorf("a separator separates nothing, at %d of\n%s", k, drawn(items))
						}
						continue
					}
					if i.Text == "" || strings.ContainsAny(i.Text, "\n\t%") {
						t.Errorf("text %q", i.Text)
					}
					if words.Has(i.Text) {
						t.Errorf("%q is a key of the catalogue", i.Text)
					}
					walk(i.Text, i.Items)
				}
			}
			walk("", menu)
		})
	}
}

func TestIcon(t *testing.T) {
	seen := make(map[icons.State]bool)
	for _, s := range menuStates() {
		seen[Icon(s)] = true
	}
	for _, s := range icons.States {
		if !seen[s] {
			t.Errorf("no state of the menu has the icon %s", s)
		}
	}
}

func TestAgo(t *testing.T) {
	for _, tt := range []struct {
		name string
		ago  time.Duration
		want string
	}{
		{"now", 0, Text("ago.now")},
		{"a clock that was set back", -time.Hour, Text("ago.now")},
		{"59 seconds", 59 * time.Second, Text("ago.now")},
		{"a minute", time.Minute, Text("ago.minute")},
		{"two", 2 * time.Minute, Text("ago.minutes", 2)},
		{"under an hour", time.Hour - 1, Text("ago.minutes", 59)},
		{"an hour", time.Hour, Text("ago.hour")},
		{"hours", 23*time.Hour + 59*time.Minute, Text("ago.hours", 23)},
		{"yesterday", 24 * time.Hour, Text("ago.day")},
		{"days", 29 * 24 * time.Hour, Text("ago.days", 29)},
		{"long ago", 30 * 24 * time.Hour, Text("ago.date", "26 Oct 2026")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := words.Ago(now, now.Add(-tt.ago)); got != tt.want {
				t.Errorf("ago(%v) = %q, want %q", tt.ago, got, tt.want)
			}
		})
	}
}
