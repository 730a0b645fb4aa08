package web

import (
	"slices"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/display"
)

// A state is one page as a handler may fill it in.
type state struct {
	name string
	page Page
}

const (
	hostile = "<script>alert(1)</script>\"'><img src=https://evil.example/x.png>&#8238;\u202eesrever\u202c\u200b\u2066\ufeff\x00\x1b[31m\nline two {{.P}}"
	tower   = "Z\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u0309\u030a\u030b\u030c\u0310\u0311\u0312\u0313"
	name40  = "Quarterly Finance & Planning Server (EU)"
	token   = "FORMTOKEN"
)

var longURL = "https://mcp.example.com/" + strings.Repeat("tenant-0123456789/", 15) + "mcp"

// testBar is the header that page p is shown with: offline on the first run,
// paused if the page is, and with the banner that the page calls for.
func testBar(p Page) Bar {
	b := NetBar(api.Internet{State: api.InternetOnline, Words: InternetState(api.InternetOnline)}, public)
	switch p := p.(type) {
	case ErrorPage, NotFound, Address:
		return Bar{}
	case Home:
		if p.First() {
			b = NetBar(api.Internet{State: api.InternetOff}, "")
		}
		for _, r := range p.Rows {
			b.Paused = b.Paused || r.Paused
			if r.State == api.EndpointRejected && b.Banner == nil {
				b.Banner = &Banner{Kind: api.ConcernRejected, Level: api.LevelError, Words: UrgentWords(api.ConcernRejected, r.Name), Button: UrgentButton(api.ConcernRejected), Href: "/servers/" + r.Slug + "/key"}
			}
		}
		if len(p.More) > 0 {
			b.Banner = &p.More[0]
		}
	case Tunnel:
		b = NetBar(api.Internet{State: map[string]string{"online": "online", "connecting": "connecting", "failed": "unreachable"}[p.State], Words: p.StateWords()}, p.Origin)
	}
	b.Token = func(action string) string { return token + action }
	return b
}

func mcpURL(origin, slug string) string { return origin + "/" + slug + "/mcp" }

const (
	local  = "http://127.0.0.1:7450"
	public = "https://calm-heron-42.ngrok-free.dev"
)

// states returns every page in every state that looks different.
func states() []state {
	var all []state
	all = append(all, consentStates()...)
	all = append(all, homeStates()...)
	all = append(all, serverStates()...)
	all = append(all, activityStates()...)
	all = append(all, checkStates()...)
	all = append(all, formStates()...)
	all = append(all, publicStates()...)
	all = append(all, tunnelStates()...)
	all = append(all, settingsStates()...)
	all = append(all, connectStates()...)
	return append(all, messageStates()...)
}

func consent(change func(*Consent)) Consent {
	c := Consent{
		App: display.App{Name: "Cursor"}, Answer: Answer{Kind: "loopback", Host: "127.0.0.1:3118", Flow: FlowLocal},
		Endpoint: "Linear", UpstreamHost: "mcp.linear.app", Owner: true, Mode: "os",
		Action: "/consent/abc", FormToken: token,
	}
	change(&c)
	return c
}

func consentStates() []state {
	saved := []SavedKey{{"c1", "key 1", "ok"}, {"c2", "key 2 (test workspace)", "rejected"}, {"c3", "key 3", "key needed"}}
	pick := []EndpointChoice{
		{Slug: "k3v9x2m7q4ab", Name: "Linear", UpstreamHost: "mcp.linear.app", Saved: saved[:2]},
		{Slug: "p0d8s6f4h2jk", Name: name40, UpstreamHost: "finance.internal.example.com"},
		{Slug: "z1x2c3v4b5n6", Name: "Notes", UpstreamHost: "192.168.1.20:8080", Saved: []SavedKey{{"c9", "key 1", "unverified"}}},
	}
	return []state{
		{"consent-loopback", consent(func(c *Consent) {})},
		{"consent-known", consent(func(c *Consent) {
			c.App = display.App{Name: "Claude", Host: "claude.ai", Known: true}
			c.Answer = Answer{Kind: "https", Host: "claude.ai", Flow: FlowPublic, BuiltIn: true, Approved: true}
			c.Saved = saved
		})},
		{"consent-only", consent(func(c *Consent) {
			c.App = display.App{Name: "Claude", Host: "claude.ai", Known: true}
			c.Answer, c.Saved = Answer{Kind: "https", Host: "claude.ai", Flow: FlowPublic, BuiltIn: true}, saved[:1]
		})},
		{"consent-only-rejected", consent(func(c *Consent) { c.Saved = saved[1:2] })},
		{"consent-forty", consent(func(c *Consent) {
			c.App.Name, c.Endpoint, c.UpstreamHost = name40[:38], name40, "finance.internal.example.com"
			c.Saved = []SavedKey{{"c1", strings.Repeat("k", 40), "unverified"}}
		})},
		{"consent-forty-unknown", consent(func(c *Consent) {
			c.App.Name, c.Endpoint, c.UpstreamHost = name40[:38], name40, "finance.internal.example.com"
			c.Answer = Answer{Kind: "https", Host: "connectors.quarterly-finance.example.com", Flow: FlowPublic}
			c.Error, c.Trouble, c.Saved = TextSayYouKnow, TroubleIncomplete, saved[:1]
		})},
		{"consent-forty-device", consent(func(c *Consent) {
			c.App.Name, c.Endpoint, c.UpstreamHost, c.Number = name40[:38], name40, "finance.internal.example.com", 47
			c.Answer, c.Saved = Answer{Kind: "https", Host: "connectors.quarterly-finance.example.com", Flow: FlowDevice}, saved[:1]
			c.Error, c.Trouble = TextSayYouPressed, TroubleIncomplete
		})},
		{"consent-forty-key", consent(func(c *Consent) {
			c.App.Name, c.Endpoint, c.UpstreamHost = name40[:38], name40, "finance.internal.example.com"
			c.Error, c.Trouble, c.CanSkip, c.KeyHeld = "finance.internal.example.com did not answer within 20 seconds.", "unreachable", true, "held1"
		})},
		{"consent-unknown", consent(func(c *Consent) {
			c.App.Name, c.Answer = "Claude", Answer{Kind: "https", Host: "claude.ai.login-session.example", Flow: FlowLocal}
		})},
		{"consent-unknown-sure", consent(func(c *Consent) {
			c.App.Name, c.Answer = "Claude", Answer{Kind: "https", Host: "claude.ai.login-session.example", Flow: FlowPublic}
			c.Error, c.Trouble = TextSayYouKnow, TroubleIncomplete
		})},
		{"consent-number", consent(func(c *Consent) {
			c.App = display.App{Name: "Claude", Host: "claude.ai", Known: true}
			c.Answer, c.Saved, c.Number = Answer{Kind: "https", Host: "claude.ai", Flow: FlowDevice, BuiltIn: true}, saved, 47
		})},
		{"consent-number-ok", consent(func(c *Consent) {
			c.App = display.App{Name: "Claude", Host: "claude.ai", Known: true}
			c.Answer, c.Confirmed, c.Number = Answer{Kind: "https", Host: "claude.ai", Flow: FlowDevice, BuiltIn: true}, true, 47
			c.Error = "mcp.linear.app answered 401: \"invalid api key\"."
		})},
		{"number", NumberPage{"/consent/abc", token, ""}},
		{"number-again", NumberPage{"/consent/abc", token, TextTypeNumber}},
		{"number-hostile", NumberPage{"javascript:alert(1)", hostile, hostile}},
		{"consent-custom", consent(func(c *Consent) {
			c.Answer, c.UpstreamPlain, c.UpstreamHost = Answer{Kind: "custom", Host: "cursor:", Flow: FlowLocal}, true, "nas.local:3000"
		})},
		{"consent-document", consent(func(c *Consent) {
			c.App = display.App{Name: "Claude", Host: "claude-desktop.example"}
		})},
		{"consent-unchecked", consent(func(c *Consent) {
			c.App, c.Unchecked = display.App{Name: "goose-docs.example"}, true
		})},
		{"consent-device-loopback", consent(func(c *Consent) {
			c.App.Name, c.Answer, c.Saved = "Claude Code", Answer{Kind: "loopback", Host: "localhost:3118", Flow: FlowDevice, Approved: true}, saved[:1]
			c.Number = 47
		})},
		{"consent-device-custom", consent(func(c *Consent) {
			c.App.Name, c.Answer, c.Saved = "Claude", Answer{Kind: "custom", Host: "claude.ai:", Flow: FlowDevice}, saved[:1]
		})},
		{"consent-device-unknown", consent(func(c *Consent) {
			c.App.Name, c.Answer, c.Saved = "Claude", Answer{Kind: "https", Host: "claude.ai.login-session.example", Flow: FlowDevice}, saved[:1]
			c.Error, c.Trouble = TextSayYouPressed, TroubleIncomplete
		})},
		{"consent-device-pick", consent(func(c *Consent) {
			c.Endpoint, c.UpstreamHost, c.Pick = "", "", pick
			c.Answer = Answer{Kind: "loopback", Host: "localhost:3118", Flow: FlowDevice}
		})},
		{"consent-stranger", consent(func(c *Consent) { c.Owner = false })},
		{"consent-rejected", consent(func(c *Consent) {
			c.Error, c.Trouble = "mcp.linear.app answered 401: \"invalid api key\". Check that you copied the whole key.", "rejected"
		})},
		{"consent-skip", consent(func(c *Consent) {
			c.Error, c.Trouble, c.CanSkip, c.KeyHeld = "mcp.linear.app did not answer within 20 seconds.", "unreachable", true, "held1"
		})},
		{"consent-saved-new", consent(func(c *Consent) {
			c.Saved, c.SelectedKey = saved, "new"
		})},
		{"consent-locked", consent(func(c *Consent) {
			c.Saved = []SavedKey{{"c3", "key 1", "key needed"}}
			c.NeedUnlock = "Unlock your keychain, then reload this page. Saved keys cannot be used until then."
		})},
		{"consent-memory", consent(func(c *Consent) { c.Mode = "memory" })},
		{"consent-pick", consent(func(c *Consent) { c.Endpoint, c.UpstreamHost, c.Pick = "", "", pick })},
		{"consent-pick-chosen", consent(func(c *Consent) {
			c.Pick, c.Selected, c.SelectedKey = pick, "k3v9x2m7q4ab", "c1"
			c.Error = "mcp.linear.app answered 401. Choose another key."
		})},
		{"consent-long", consent(func(c *Consent) {
			c.App.Name, c.Endpoint, c.UpstreamHost = strings.Repeat("Very long name ", 20), name40, strings.Repeat("sub.", 50)+"example.com"
			c.Answer = Answer{Kind: "https", Host: strings.Repeat("claude.ai.", 24) + "evil.example", Flow: FlowPublic}
		})},
		{"consent-hostile", consent(func(c *Consent) {
			*c = Consent{App: display.App{Name: hostile + tower}, Answer: Answer{Kind: "https", Host: "cl\u0430ude.ai", Flow: FlowPublic}, Endpoint: hostile,
				UpstreamHost: hostile, Error: strings.Repeat(hostile, 20), NeedUnlock: hostile, Action: "javascript:alert(1)",
				FormToken: hostile, Saved: []SavedKey{{hostile, hostile, hostile}}, KeyHeld: hostile, CanSkip: true}
		})},
		{"consent-zero", Consent{}},
	}
}

func activityStates() []state {
	now := time.Date(2026, 11, 23, 14, 12, 40, 0, time.Local)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	servers := []ServerOption{{"k3v9x2m7q4ab", "Linear"}, {"p0d8s6f4h2jk", name40}}
	rows := []CallRow{
		{Time: ago(3 * time.Second), Client: "Claude", Server: "Linear", Method: "tools/call", Tool: "list_issues", Status: 200, MS: 412, Note: "differs"},
		{Time: ago(9 * time.Second), Client: "Claude", Server: "Linear", Method: "tools/list", Status: 200, MS: 88},
		{Time: ago(2 * time.Minute), Client: "Cursor", Server: name40, Method: "tools/call", Tool: "create_quarterly_report_for_all_subsidiaries", Status: 401, MS: 301},
		{Time: ago(14 * time.Minute), Client: "Claude Code", Server: "Linear", Method: "GET", Status: 200, MS: 11 * 60 * 1000},
		{Time: ago(15 * time.Minute), Client: "Claude Code", Server: "Linear", Method: "tools/call", Tool: "search", Status: 403, MS: 95, Struck: 1},
		{Time: ago(16 * time.Minute), Client: "Claude Code", Server: "Linear", Method: "GET", Status: 405, MS: 9},
		{Time: ago(3 * time.Hour), Client: "Cursor", Server: "", Method: "tools/call", Tool: "weather", Status: 502, MS: 10_004},
		{Time: ago(26 * time.Hour), Client: "Cursor", Server: name40, Method: "initialize", Status: 499, MS: 61_000},
		{Time: ago(26 * time.Hour), Client: "", Server: "Linear", Method: "resources/read", Status: 413, MS: 1},
		{Time: ago(27 * time.Hour), Client: "Claude", Server: "Linear", Method: "notifications/initialized", Status: 202, MS: 20},
	}
	some := Activity{Version: "1.0.0", Servers: servers, Apps: []string{"Claude", "Claude Code", "Cursor"}, Rows: rows, Newest: "/activity?", Now: now, Hidden: 1204,
		Days: map[string]DayCount{"2026-11-23": {48, 2}, "2026-11-22": {131, 0}}}
	everything := some
	everything.Show, everything.Hidden = ShowAll, 0
	some.Rows = slices.DeleteFunc(slices.Clone(rows), CallRow.Protocol)
	older := some
	older.Paged, older.Older = true, "/activity?before=2026-11-22T10%3A00%3A00Z"
	found := some
	found.Query, found.Server, found.Rows, found.Older = "cursor rejected", "p0d8s6f4h2jk", rows[2:3], "/activity?q=cursor&before=2026-11-22T10%3A00%3A00Z"
	live := found
	live.Query, live.Server, live.Rows = "search rejected", "k3v9x2m7q4ab", rows[4:5]
	refused := some
	refused.Show, refused.Hidden, refused.Rows, refused.Days = ShowRefused, 0, rows[2:7:7], nil
	nothing := found
	nothing.Query, nothing.Rows, nothing.Older = "frobnicate", nil, ""
	return []state{
		{"activity", some}, {"activity-older", older}, {"activity-everything", everything}, {"activity-refused", refused}, {"activity-found", found}, {"activity-live", live}, {"activity-nothing", nothing},
		{"apps", Apps{"1.0.0", "k3v9x0q2m7ab", "Linear", []GrantRow{{ID: "g1", Client: "claude.ai", ReturnsTo: "claude.ai", Created: "3 days ago", LastUsed: "just now"}}, 21, 100_000, 2, 5_000}},
		{"apps-one", Apps{"1.0.0", "k3v9x0q2m7ab", "Linear", []GrantRow{{ID: "g1", Client: "Cursor", ReturnsTo: "an app on this computer"}}, 1, 1, 1, 1}}, {"apps-zero", Apps{}},
		{"apps-hostile", Apps{hostile, hostile, hostile, []GrantRow{{hostile, hostile, hostile, hostile, hostile, hostile, hostile, hostile, &hostileAttempt}}, -1, -1, 2, 3}},
		{"activity-empty", Activity{Servers: servers, Show: ShowAll, Now: time.Now()}}, {"activity-first", Activity{Now: now}},
		{"activity-end", Activity{Paged: true, Servers: servers, Newest: "/activity"}},
		{"activity-hostile", Activity{hostile, hostile, hostile, hostile, hostile, []ServerOption{{hostile, hostile}}, []string{hostile},
			[]CallRow{{Time: now, Client: hostile + tower, Server: hostile, Method: strings.Repeat(hostile, 20), Tool: strings.Repeat("x", 500), Status: -1, MS: -1, Note: hostile}},
			map[string]DayCount{hostile: {-1, -1}}, -1, false, "javascript:alert(1)", "javascript:alert(1)", now}},
	}
}

func formStates() []state {
	edit := EditEndpointPage{Slug: "k3v9x2m7q4ab", Title: "Linear", Name: "Linear", UpstreamURL: "https://mcp.linear.app/mcp", HidesPart: true,
		HeaderName: "Authorization", HeaderPrefix: "Bearer ", FormToken: token}
	wrong := edit
	wrong.HeaderName, wrong.Error, wrong.ErrorField, wrong.HidesPart = "Host", "Host decides where a request goes, so it cannot carry a key.", "auth_header_name", false
	warned := edit
	warned.Warning, warned.CanForce = "You changed the address. Its saved keys will be dropped.", true
	replace := ReplaceKeyPage{Slug: "k3v9x2m7q4ab", Name: "Linear", UpstreamHost: "mcp.linear.app", FormToken: token, Credentials: []SavedKey{{"c1", "key 1", "rejected"}}}
	many := replace
	many.Credentials, many.Selected = append(many.Credentials, SavedKey{"c2", "key 2", "ok"}), "c1"
	failed := replace
	failed.Error, failed.CanForce, failed.KeyHeld = "mcp.linear.app did not answer within 20 seconds.", true, "held1"
	return []state{
		{"edit", edit}, {"edit-error", wrong}, {"edit-warning", warned}, {"edit-zero", EditEndpointPage{}},
		{"edit-hostile", EditEndpointPage{hostile, hostile, hostile, true, hostile, hostile, hostile, hostile, hostile, hostile, true, hostile}},
		{"replace", replace}, {"replace-many", many}, {"replace-error", failed}, {"replace-zero", ReplaceKeyPage{}},
		{"replace-hostile", ReplaceKeyPage{hostile, hostile, hostile, []SavedKey{{hostile, hostile, hostile}, {}}, hostile, hostile, true, hostile, hostile}},
		{"confirm-delete", ConfirmPage{"Delete Linear?", "This cannot be undone.", []string{"Its saved key is erased from this computer.", "Claude Code and Cursor lose their connection to it."}, "/servers/k3v9x2m7q4ab/delete", token, "Delete Linear", true, ""}},
		{"confirm-revoke", ConfirmPage{Title: "Disconnect Cursor?", Words: "Cursor can no longer use Linear. You can connect it again at any time.", Action: "/grants/g1/revoke", FormToken: token, Button: "Disconnect", Cancel: "/"}},
		{"edit-key", EditKeyPage{Slug: "k3v9x2m7q4ab", ID: "c1", Endpoint: "Linear", Title: "key 1", Label: "key 1", FormToken: token}},
		{"edit-key-error", EditKeyPage{Slug: "k3v9x2m7q4ab", ID: "c1", Endpoint: name40, Title: "key 1", Error: TextLabelIsKey, FormToken: token}},
		{"edit-key-hostile", EditKeyPage{hostile, hostile, hostile, hostile, hostile, hostile, hostile}},
		{"delete-key", DeleteKey(EditKeyPage{Slug: "k3v9x2m7q4ab", ID: "c1", Endpoint: "Linear", Title: "key 1"}, []string{"Claude Code", name40})},
		{"delete-key-unused", DeleteKey(EditKeyPage{Slug: "k3v9x2m7q4ab", ID: "c1", Endpoint: "Linear", Title: "key 1"}, nil)},
		{"confirm-hostile", ConfirmPage{hostile, hostile, []string{hostile}, "javascript:alert(1)", hostile, hostile, true, "javascript:alert(1)"}},
	}
}

func tunnelStates() []state {
	base := Tunnel{Version: "1.0.0", Provider: "off", State: "off", With: "tailscale", Point: "http://127.0.0.1:7451", Token: func(action string) string { return token + action }, Presets: []Preset{
		{"tailscale", "Tailscale Funnel", []Step{{"Open the funnel. It stays open after a restart.", "", "tailscale funnel --bg http://127.0.0.1:7451"}}},
		{"cloudflared", "cloudflared", []Step{{"Make a tunnel, once.", "", "cloudflared tunnel create key2oauth"}, {"Run it.", "", "cloudflared tunnel run --url http://127.0.0.1:7451 key2oauth"}}},
		{"caddy", "Caddy", []Step{{"Tell Caddy where to pass requests on.", "Caddyfile", "key2oauth.example.com {\n\treverse_proxy 127.0.0.1:7451\n}\n"}}},
	}}
	page := func(change func(*Tunnel)) Tunnel { p := base; change(&p); return p }
	online := page(func(p *Tunnel) {
		p.Provider, p.State, p.Origin, p.Plan, p.Since, p.HasToken = "ngrok", "online", public, "Free", "2 hours ago", true
		p.Usage = &Usage{Requests: 3140, MaxRequests: 20_000, Bytes: 220e6, MaxBytes: 1e9}
	})
	next, any := online, online
	next.Next = &ConnectNext{"/servers/k3v9x2m7q4ab/connect/claude", "Claude", "Linear"}
	any.Next = &ConnectNext{"/servers/k3v9x2m7q4ab/connect", "", name40}
	change := online
	change.Change = true
	near := online
	near.Usage = &Usage{Requests: 16_720, MaxRequests: 20_000, Bytes: 400, MaxBytes: 1e9, Warning: "16720 of the 20000 requests that your ngrok plan has each month are used."}
	near.Stranded = []string{"Claude (claude.ai)", name40}
	own := page(func(p *Tunnel) {
		p.Provider, p.State, p.Origin, p.Listener, p.With = "external", "online", "https://key2oauth.example.com", "http://127.0.0.1:7451", "caddy"
		p.Form.URL, p.Form.Preset = p.Origin, "caddy"
	})
	waiting, wrong := own, own
	waiting.State, waiting.Why, waiting.Then = "waiting", "Can't reach the public address. Is your tunnel running?", "It is tested again every 15 seconds."
	wrong.State, wrong.Why = "unreachable", "This domain does not resolve."
	tested := own
	tested.Notices = []Notice{{"ok", TextTestPassed}}
	return []state{
		{"tunnel-off", base}, {"tunnel-online", online}, {"tunnel-next", next}, {"tunnel-next-any", any}, {"tunnel-change", change}, {"tunnel-near", near},
		{"tunnel-off-cloudflared", page(func(p *Tunnel) { p.With = "cloudflared" })},
		{"tunnel-off-other", page(func(p *Tunnel) { p.With = "other" })},
		{"tunnel-offline", page(func(p *Tunnel) { p.Last, p.HasToken = "ngrok", true })},
		{"tunnel-connecting", page(func(p *Tunnel) { p.Provider, p.State, p.Why = "ngrok", "connecting", "Connecting to ngrok." })},
		{"tunnel-failed", page(func(p *Tunnel) {
			p.Provider, p.State, p.Why, p.Then = "ngrok", "unreachable", "ngrok does not accept this authtoken. It was mistyped, or it was reset in your ngrok account.", "Copy the authtoken from your ngrok dashboard and paste it here again."
			p.Link = LinkAuthtoken
		})},
		{"tunnel-refused", page(func(p *Tunnel) {
			p.Form = TunnelForm{Which: "ngrok", Field: "authtoken", Error: "ngrok does not accept this authtoken. It was mistyped, or it was reset in your ngrok account. Copy the authtoken from your ngrok dashboard and paste it here again."}
		})},
		{"tunnel-external", own}, {"tunnel-external-waiting", waiting}, {"tunnel-external-unreachable", wrong}, {"tunnel-external-tested", tested},
		{"tunnel-external-wrong", page(func(p *Tunnel) {
			p.Form = TunnelForm{Which: "external", Field: "public_url", URL: "http://example.com/x", Error: "The public URL must begin with https://."}
		})},
		{"tunnel-paused", page(func(p *Tunnel) { p.Provider, p.State, p.Origin = "ngrok", "paused", public })},
		{"tunnel-hostile", Tunnel{hostile, "ngrok", hostile, hostile, hostile, hostile, "javascript:alert(1)", hostile, hostile, hostile, hostile, hostile, true,
			&Usage{-1, -1, -1, -1, hostile}, []string{hostile}, []Preset{{hostile, hostile, []Step{{hostile, hostile, hostile}, {hostile, "", hostile}}}},
			hostile, true, &ConnectNext{"javascript:alert(1)", hostile, hostile}, TunnelForm{hostile, hostile, hostile, hostile, "public_url"}, []Notice{{hostile, hostile}}, nil}},
		{"tunnel-zero", Tunnel{}},
	}
}

func settingsStates() []state {
	base := Settings{Version: "1.0.0", HasLogin: true, HasProxy: true, Lifetime: 24 * 3600, LogLevel: "info", DataDir: "/home/ada/.config/key2oauth",
		LogFile: "/home/ada/.config/key2oauth/key2oauth.log", HasLicenses: true, Keychain: Keychain{State: "ready", Mode: "os"}, Token: func(action string) string { return token + action }}
	page := func(change func(*Settings)) Settings { p := base; change(&p); return p }
	return []state{
		{"settings", base},
		{"settings-other", page(func(p *Settings) {
			p.Login, p.Lifetime, p.LogLevel, p.DataDir = true, 5400, "debug", "/home/"+strings.Repeat("a-long-user-name/", 8)+"key2oauth"
			p.Notices = []Notice{{"ok", "Saved."}}
		})},
		{"settings-fixed", page(func(p *Settings) { p.HasLogin, p.LogLevel, p.Keychain.Mode = false, "", "file" })},
		{"settings-error", page(func(p *Settings) { p.Notices = []Notice{{"error", TextLoginTrouble}} })},
		{"import", Import{Added: []ImportRow{{"Linear", "mcp.linear.app", false}, {name40, "finance.internal.example.com", true}}, Skipped: []ImportRow{{"Notes", "192.168.1.20:8080", false}}, File: "{}", Action: "/settings/import", FormToken: token}},
		{"import-nothing", Import{Skipped: []ImportRow{{"Notes", "192.168.1.20:8080", false}}}},
		{"import-hostile", Import{[]ImportRow{{hostile, hostile, true}}, []ImportRow{{hostile, hostile, true}}, hostile, "javascript:alert(1)", hostile}},
		{"delete-everything", DeleteEverythingPage{Servers: 3, Keys: 4, Apps: 1, Authtoken: true, Items: []string{"master key 5WQZJ3N7B2K4X6T5M3A7C2D4E6"}, DataDir: "/home/ada/.config/key2oauth", Action: "/settings/delete", FormToken: token}},
		{"delete-everything-error", DeleteEverythingPage{Servers: 1, Keys: 1, Apps: 1234, KeyFile: true, DataDir: "/home/" + strings.Repeat("a-long-user-name/", 8) + "key2oauth", Error: TextTypeDelete, Action: "/settings/delete", FormToken: token}},
		{"delete-everything-none", DeleteEverythingPage{DataDir: "C:\\Users\\Ada\\AppData\\Roaming\\key2oauth"}},
		{"delete-everything-hostile", DeleteEverythingPage{-1, -1, -1, true, []string{hostile}, true, hostile, hostile, "javascript:alert(1)", hostile}},
		{"deleted", DonePage{TextDeletedTitle, TextDeleted}},
		{"settings-hostile", Settings{Version: hostile, HasLogin: true, Lifetime: -1, LogLevel: hostile, LogFile: hostile, HasLicenses: true, DataDir: hostile, Keychain: Keychain{hostile, hostile, hostile, true, true}, Notices: []Notice{{hostile, hostile}}}},
		{"settings-zero", Settings{}},
		{"licenses", Licenses{"1.0.0", "example.org/module v1.2.3\n\n" + strings.Repeat("Permission is hereby granted, free of charge, to any person obtaining a copy of this software. ", 9)}},
		{"licenses-hostile", Licenses{hostile, hostile}},
		{"move", Move{Version: "1.0.0", Confirmed: true, Token: base.Token}},
		{"move-sure", Move{Version: "1.0.0", Token: base.Token}}, {"move-asked", Move{Version: "1.0.0", Asked: true, Token: base.Token}},
		{"move-out-error", Move{Confirmed: true, Out: TextMoveDiffer, OutField: "again", Token: base.Token}},
		{"move-in-error", Move{Confirmed: true, In: "This file is incomplete or damaged. Copy it from the other computer again.", InField: "file", Token: base.Token}},
		{"move-locked", Move{Confirmed: true, NoKeychain: "Unlock your keychain.", Token: base.Token}},
		{"move-hostile", Move{hostile, true, true, hostile, "passphrase", hostile, "file", hostile, nil}},
		{"move-in", MovePreview{Version: "1.0.0", ID: "X", Made: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), Keys: 3, Missing: 1, Apps: 5, Internet: public, Token: base.Token,
			Added: []MoveRow{{"Linear", "mcp.linear.app"}, {name40, "finance.internal.example.com"}}, Skipped: []MoveRow{{"Notes", "192.168.1.20:8080"}}}},
		{"move-in-elsewhere", MovePreview{Keys: 1, Apps: 1, Elsewhere: local, Added: []MoveRow{{"Linear", "mcp.linear.app"}}, Token: base.Token}},
		{"move-in-nothing", MovePreview{Skipped: []MoveRow{{"Notes", "192.168.1.20:8080"}}}},
		{"move-in-hostile", MovePreview{hostile, hostile, time.Time{}, []MoveRow{{hostile, hostile}}, []MoveRow{{hostile, hostile}}, -1, 9, -1, hostile, hostile, nil}},
	}
}

func publicStates() []state {
	signIn := SignIn{App: display.App{Name: "Claude", Host: "claude.ai", Known: true}, Continue: local + "/consent/abc", Ask: "/authorize/abc", FormToken: token}
	auto := signIn
	auto.Auto = true
	onPhone := signIn
	onPhone.Phone = true
	return []state{
		{"signin", signIn}, {"signin-auto", auto}, {"signin-phone", onPhone},
		{"signin-unverified", SignIn{App: display.App{Name: name40}, Continue: local + "/consent/abc", Ask: "/authorize/abc", FormToken: token}},
		{"signin-host", SignIn{App: display.App{Name: "Visual Studio Code", Host: "vscode.dev"}, Continue: local + "/consent/abc", Ask: "/authorize/abc", FormToken: token}},
		{"signin-noname", SignIn{Continue: local + "/consent/abc", Ask: "/authorize/abc", FormToken: token}},
		{"signin-hostile", SignIn{display.App{Name: hostile + tower, Host: hostile}, "javascript:alert(1)", "javascript:alert(1)", hostile, true, false}},
		{"waiting", WaitingPage{display.App{Name: "Claude", Host: "claude.ai", Known: true}, 47, "/authorize/abc", 3 * time.Second}},
		{"waiting-line", WaitingPage{display.App{Name: "Claude", Host: "claude.ai", Known: true}, 0, "/authorize/abc", 3 * time.Second}},
		{"waiting-check", WaitingPage{display.App{Name: name40}, 10, "/authorize/abc", 0}},
		{"waiting-hostile", WaitingPage{display.App{Name: hostile}, -1, "javascript:alert(1)", time.Second}},
		{"public-elsewhere", MessageElsewhere}, {"public-wrong-number", MessageWrongNumber}, {"public-over", MessageOver},
		{"public-other-browser", MessageOtherBrowser}, {"public-too-many", MessageTooMany},
		{"public-hostile", PublicMessage{hostile, hostile, hostile, false, 400}},
	}
}

func messageStates() []state {
	return []state{
		{"error", ErrorPage{Title: "This request is no longer open", Words: "It was finished, denied, or waited for more than 15 minutes.", Next: "Go back to the app and press Connect again.", Home: true}},
		{"error-return", ErrorPage{Title: "The app asked in a way that is not safe", Words: "It did not prove that it is the one that will use the answer (PKCE).", Next: "Update the app and try again.",
			Detail: "invalid_request: code_challenge is missing", Return: &Link{"example.com", "https://example.com/cb?error=invalid_request"}}},
		{"error-hostile", ErrorPage{hostile, hostile, hostile, strings.Repeat(hostile, 20), &Link{hostile, "javascript:alert(1)"}, true, Side{}}},
		{"error-zero", ErrorPage{}},
		{"error-owner", ErrorPage{Title: TitleFor(403), Words: TextFormOld, Side: Side{Owner: true}}},
		{"not-found", NotFound{Side{Owner: true}}}, {"not-found-stranger", NotFound{}}, {"not-found-public", NotFound{Side{Public: true}}},
		{"address", Address{Side{Owner: true}}}, {"address-public", Address{Side{Public: true}}},
		{"need-owner", OwnerNeededPage{Command: "key2oauth open"}},
		{"need-owner-consent", OwnerNeededPage{TextOwnerForNew, "key2oauth open", "/consent/abc/open", true}},
		{"need-owner-used", OwnerNeededPage{Words: TextTicketUsed}}, {"need-owner-old", OwnerNeededPage{Words: TextTicketOld}},
		{"need-owner-hostile", OwnerNeededPage{hostile, hostile, "javascript:alert(1)", true}},
		{"return", ReturnPage{"Cursor", "cursor://anysphere.cursor-mcp/oauth/callback?code=k2o_ac_x&state=a%2Bb&iss=http%3A%2F%2F127.0.0.1%3A7450", false, false, false}},
		{"return-denied-link", ReturnPage{"stranger.example", "https://stranger.example/cb?error=access_denied", false, true, false}},
		{"return-denied", ReturnPage{"Cursor", "cursor://anysphere.cursor-mcp/oauth/callback?error=access_denied", true, true, false}},
		{"return-hostile", ReturnPage{hostile, "javascript:alert(1)", true, false, false}},
		{"done", DonePage{MessageElsewhere.Title, MessageElsewhere.Words}},
		{"done-hostile", DonePage{hostile, hostile}},
		{"open", OpenLink{"/open", "ticket1", "/consent/abc"}},
		{"open-hostile", OpenLink{"javascript:alert(1)", hostile, hostile}},
		{"signed-out", SignedOutPage{}},
	}
}
