package web

import (
	"fmt"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
)

func formToken(action string) string { return token + action }

// rows makes n servers in all their states.
func rows(n int) []ServerRow {
	all := []ServerRow{
		{Slug: "k3v9x2m7q4ab", Name: "Linear", Host: "mcp.linear.app", State: api.EndpointOK, Used: "2 minutes ago", Apps: []string{"Claude", "Cursor"}, NumApps: 2},
		{Slug: "p0d8s6f4h2jk", Name: name40, Host: "finance.internal.example.com", State: api.EndpointRejected, Used: "4 minutes ago", Apps: []string{"Claude Code", "Cursor"}, NumApps: 1204},
		{Slug: "z1x2c3v4b5n6", Name: "Notes", Host: "192.168.1.20:8080", State: api.EndpointNotTried},
		{Slug: "a1x2c3v4b5n6", Name: "Home Assistant", Host: "homeassistant.local:8123", State: api.EndpointUnreachable, Used: "3 hours ago", Apps: []string{"ChatGPT"}, NumApps: 1},
		{Slug: "b1x2c3v4b5n6", Name: "Sentry", Host: "mcp.sentry.dev", State: api.EndpointKeyNeeded},
		{Slug: "c1x2c3v4b5n6", Name: "GitHub", Host: "api.githubcopilot.com", State: api.EndpointOK, Used: "just now", Apps: []string{"\u201cMy own client\u201d", "Claude Code"}, NumApps: 2},
	}
	for i := len(all); i < n; i++ {
		r := all[i%6]
		r.Slug, r.Name = fmt.Sprintf("s%011d", i), fmt.Sprintf("%s %d", r.Name, i/6+1)
		all = append(all, r)
	}
	for i := range all {
		all[i].StateWords = ServerState(all[i].State)
	}
	return all[:n]
}

func homeStates() []state {
	home := func(n int, change func(*Home)) Home {
		h := Home{Version: "1.0.0", Keychain: Keychain{State: "ready", Words: "The keychain is ready.", Mode: "os"}, Rows: rows(min(n, 20)), All: n, Total: n, Page: 1, Pages: max(1, (n+19)/20), Token: formToken}
		change(&h)
		return h
	}
	nothing := func(*Home) {}
	memory := func(h *Home) {
		h.Keychain = Keychain{"memory", "No keychain was found, so nothing is kept when Key2OAuth stops.", "memory", false, false}
	}
	return []state{
		{"home-first", home(0, func(h *Home) { h.Sample = true })},
		{"home-first-memory", home(0, func(h *Home) {
			memory(h)
			h.Sample = true
			h.More = []Banner{{Kind: api.ConcernMemory, Level: api.LevelWarn, Words: "No system keychain found. Servers, keys and connected apps will be lost when Key2OAuth quits.", Button: UrgentButton(UrgentKeepInFile), Do: "/keychain/file", Token: token}}
		})},
		{"home-first-deleted", home(0, func(h *Home) { h.Deleted = 1; h.Notices = []Notice{DoneNotices["deleted"]} })},
		{"home-first-connect", home(1, func(h *Home) { h.Steps = &Steps{Slug: "k3v9x2m7q4ab", Server: name40} })},
		{"home-first-asks", home(1, func(h *Home) {
			h.Steps = &Steps{Slug: "k3v9x2m7q4ab", Server: "Notes", Asks: true}
			h.Pending = []PendingRow{{"/consent/1", name40, "cursor:", "Notes", "just now", false}}
		})},
		{"home-first-done", home(1, func(h *Home) { h.Steps = &Steps{Connected: true, App: "Claude Code", OfferLogin: true} })},
		{"home-first-hostile", Home{All: 1, Steps: &Steps{hostile, hostile, false, true, hostile, true}}},
		{"home-1", home(1, nothing)}, {"home-6", home(6, nothing)}, {"home-10", home(10, nothing)}, {"home-50", home(50, nothing)},
		{"home-50-2", home(50, func(h *Home) { h.Page = 2 })},
		{"home-found", home(50, func(h *Home) { h.Search, h.Total, h.Pages, h.Rows = "linear", 1, 1, h.Rows[:1] })},
		{"home-found-none", home(50, func(h *Home) { h.Search, h.Total, h.Pages, h.Rows = "nowhere", 0, 1, nil })},
		{"home-pending", home(3, func(h *Home) {
			h.Pending = []PendingRow{{"/consent/1", "Cursor", "cursor:", "Linear", "1 minute ago", false}, {"/consent/2", "", "claude.ai", "", "just now", true}}
		})},
		{"home-more", home(3, func(h *Home) {
			h.More = []Banner{{Kind: api.ConcernUnreachable, Level: api.LevelWarn, Words: "Home Assistant can't be reached.", Next: "homeassistant.local did not answer within 20 seconds.", Button: "View", Href: "/servers/a1x2c3v4b5n6"},
				{Kind: api.ConcernDamaged, Level: api.LevelError, Words: "A saved key of Notes is damaged and can't be used.", Button: "Delete it", Do: "/damaged", Damage: "key", ID: "c9", Token: token}}
			h.Happened = []string{"The data folder was removed or replaced while Key2OAuth was running. Everything was saved there again; nothing is lost."}
		})},
		{"home-paused", home(3, func(h *Home) {
			for i := range h.Rows {
				h.Rows[i].Paused, h.Rows[i].StateWords = true, ServerState(StatePaused)
			}
			h.Notices, h.Deleted = []Notice{DoneNotices["paused"]}, 2
		})},
		{"home-memory", home(2, memory)},
		{"home-hostile", Home{Version: hostile, Keychain: Keychain{hostile, hostile, hostile, true, true}, All: 9, Search: hostile, Page: 2, Pages: 3, Notices: []Notice{{hostile, hostile}},
			More:    []Banner{{hostile, hostile, hostile, hostile, hostile, "javascript:alert(1)", "javascript:alert(1)", hostile, hostile, hostile}},
			Rows:    []ServerRow{{hostile, hostile, hostile, hostile, hostile, false, hostile, []string{hostile, hostile}, 9}},
			Pending: []PendingRow{{"javascript:alert(1)", hostile, hostile, hostile, hostile, true}}}},
		{"home-zero", Home{}},
	}
}

func serverStates() []state {
	base := Server{
		Version: "1.0.0", Slug: "k3v9x2m7q4ab", Name: "Linear", Host: "mcp.linear.app", State: api.EndpointOK, UpstreamURL: "https://mcp.linear.app/mcp?\u2026",
		MCPURL: mcpURL(local, "k3v9x2m7q4ab"), LocalMCPURL: mcpURL(local, "k3v9x2m7q4ab"), Header: "Authorization: Bearer \u2026",
		Credentials: []CredentialRow{{ID: "c1", Label: "key 1", State: "ok"}},
		Grants: []GrantRow{
			{ID: "g0", Client: "Claude", ReturnsTo: "claude.ai", Created: "today", LastUsed: "just now", Credential: "key 1", How: &connected},
			{ID: "g1", Client: "Claude Code", ReturnsTo: "an app on this computer", TwoPlaces: "12 November 2026", Created: "12 Nov 2026", LastUsed: "2 minutes ago"},
			{ID: "g2", Client: "Cursor", Claim: "Cursor Nightly", ReturnsTo: "an app on the other device (a link that starts with cursor:)", Created: "yesterday"},
		},
		Apps: 3, Created: "12 Nov 2026", LastUsed: "2 minutes ago", Token: formToken,
	}
	server := func(change func(*Server)) Server {
		p := base
		change(&p)
		p.StateWords = ServerState(p.State)
		if p.Paused {
			p.StateWords = ServerState(StatePaused)
		}
		return p
	}
	add := AddPage{Version: "1.0.0", Token: formToken}
	adding := func(f CreateForm) AddPage { a := add; a.Create = f; return a }
	return []state{
		{"server", server(func(p *Server) { p.MCPURL = mcpURL(public, p.Slug) })},
		{"server-fresh", server(func(p *Server) {
			p.Name, p.Host, p.State, p.Why, p.Grants, p.Apps, p.Credentials, p.LastUsed = "Notes", "192.168.1.20:8080", api.EndpointNotTried, ServerWhy(api.EndpointNotTried), nil, 0, nil, ""
			p.Notices = []Notice{DoneNotices["added"], {"info", "This address is not encrypted. Others on this network could read the key."}}
		})},
		{"server-rejected", server(func(p *Server) {
			p.Name, p.State, p.Struck, p.Apps, p.UpstreamURL = name40, api.EndpointRejected, 12, 1204, longURL
			p.Credentials = []CredentialRow{{"c2", "key 1", "rejected", "", "short", ""}, {"c3", "key 2", "unverified", "grant", "guessable", ""}, {"c4", "key 3", "key needed", "", "", endpoint.TroubleKeychain.Words()}}
			p.Banner = &Banner{Kind: api.ConcernRejected, Level: api.LevelError, Words: UrgentWords(api.ConcernRejected, name40), Button: UrgentButton(api.ConcernRejected), Href: "/servers/k3v9x2m7q4ab/key"}
		})},
		{"server-pending", server(func(p *Server) {
			p.Pending = []PendingRow{{"/consent/1", "Cursor", "cursor:", "Linear", "1 minute ago", false}}
		})},
		{"server-paused", server(func(p *Server) { p.Paused = true })},
		{"server-sample", server(func(p *Server) {
			p.Sample, p.Name, p.Host, p.Grants, p.Apps = true, "Sample", "127.0.0.1:41234", nil, 0
		})},
		{"server-hostile", Server{hostile, hostile, hostile, hostile, hostile, hostile, hostile, false, hostile, hostile, hostile, hostile + "2", &Banner{Words: hostile, Button: hostile, Href: "javascript:alert(1)"},
			[]Notice{{hostile, hostile}}, []PendingRow{{"javascript:alert(1)", hostile, hostile, hostile, hostile, true}}, []CredentialRow{{hostile, hostile, hostile, hostile, hostile, hostile}},
			[]GrantRow{{hostile, hostile, hostile, hostile, hostile, hostile, hostile, hostile, &hostileAttempt}}, 2, hostile, hostile, 3, true, true, nil}},
		{"server-zero", Server{}},
		{"add", add},
		{"add-error", adding(CreateForm{UpstreamURL: longURL, Error: "This address begins with ftp. Only https works here, and http for this computer or your own network.", ErrorField: "upstream_url", KeyHeld: "held1", Name: name40})},
		{"add-force", adding(CreateForm{UpstreamURL: "https://example.com/", Error: "example.com answers, but not as an MCP server (it sent a web page). Often the address ends in /mcp or /sse.", ErrorField: "upstream_url", CanForce: true, KeyHeld: "held1", HeaderName: "X-Api-Key"})},
		{"add-key-wrong", adding(CreateForm{UpstreamURL: "https://mcp.linear.app/mcp", Error: "mcp.linear.app answered 401: \"invalid api key\".", ErrorField: "api_key"})},
		{"add-found", adding(CreateForm{Found: true, UpstreamURL: "https://mcp.example.com/mcp", Name: "Example", HeaderName: "X-Api-Key", KeyHeld: "held1",
			Left: []Omission{{endpoint.LeftHeader, "X-Workspace"}, {endpoint.LeftPlaceholder, "Authorization"}, {endpoint.LeftVariable, "NODE_OPTIONS"}}})},
		{"add-hostile", adding(CreateForm{hostile, hostile, hostile, hostile, true, []Omission{{hostile, hostile}}, hostile, "display_name", hostile, true, true, hostile})},
		{"again", AddKeyPage{Slug: "k3v9x2m7q4ab", Name: "Linear", Host: "mcp.linear.app", Create: CreateForm{Name: SecondName("Linear")}, FormToken: token}},
		{"again-error", AddKeyPage{Slug: "k3v9x2m7q4ab", Name: "Linear", Host: "mcp.linear.app", Create: CreateForm{Name: name40, Error: "mcp.linear.app answered 401: \"invalid api key\".", ErrorField: "api_key"}, FormToken: token}},
		{"again-hostile", AddKeyPage{hostile, hostile, hostile, CreateForm{Name: hostile, Error: hostile, CanForce: true, KeyHeld: hostile}, hostile}},
		{"deleted-servers", DeletedServers{Version: "1.0.0", Rows: []DeletedRow{{"k3v9x2m7q4ab", "Linear", "mcp.linear.app", "2 hours ago", "29 December 2026"}, {"p0d8s6f4h2jk", name40, "finance.internal.example.com", "12 days ago", "17 December 2026"}}, Token: formToken}},
		{"deleted-servers-none", DeletedServers{Notices: []Notice{DoneNotices["forgot"]}, Token: formToken}},
		{"deleted-servers-hostile", DeletedServers{Rows: []DeletedRow{{hostile, hostile, hostile, hostile, hostile}}, Token: formToken}},
	}
}
