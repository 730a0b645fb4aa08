package web

import (
	"strings"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/apps"
)

// connectKinds has an app of each kind: a command, links, files of each sort, a
// form to fill in, the internet, either place, and one that is of use otherwise.
var connectKinds = []string{"claude-code", "cursor", "vscode", "codex", "windsurf", "goose", "raycast", "claude", "claude-desktop", "chatgpt", "n8n", "other", "home-assistant"}

// connectStates are the pages on which an app is connected.
func connectStates() []state {
	const slug = "k3v9x2m7q4ab"
	page := func(id string, at apps.Place, change func(*ConnectApp)) ConnectApp {
		a, ok := apps.Find(id)
		if !ok {
			panic("no app " + id)
		}
		p := ConnectApp{Slug: slug, Server: "Linear", App: a, At: at, Query: "at=computer&since=1764417600"}
		p.Guide, p.Ready = a.Guide(apps.Target{Name: "linear", Title: "Linear", Local: mcpURL(local, slug), Public: mcpURL(public, slug)}, at)
		if at != apps.Nowhere {
			p.Waiting = &Waiting{App: a.Called(), At: at, State: WaitingStill}
		}
		if change != nil {
			change(&p)
		}
		return p
	}
	came := func(state string, reached Progress, change func(*Waiting)) func(*ConnectApp) {
		return func(p *ConnectApp) {
			p.Waiting.State, p.Waiting.Progress, p.Waiting.Who = state, reached, "\u201cClaude Code\u201d"
			all := []StepRow{{"found", "", 0, "14:12:38", 3}, {"register", "", 0, "14:12:39", 0}, {"authorize", "", 0, "14:12:40", 0}, {"consent", "", 0, "14:12:41", 0}, {"approve", "", 0, "14:12:52", 0}, {"exchange", "", 0, "14:12:53", 0}, {"call", "", 0, "14:12:54", 2}}
			p.Waiting.Steps = all[:min(len(all), 2*int(reached))]
			if change != nil {
				change(p.Waiting)
			}
		}
	}
	var all []state
	for _, id := range connectKinds {
		a, _ := apps.Find(id)
		at := a.Where
		if at == apps.Either {
			at = apps.Computer
		}
		all = append(all, state{"connect-app-" + id, page(id, at, nil)})
	}
	return append(all, []state{
		{"connect-tiles", ConnectApps{Slug: slug, Server: "Linear", Online: true}},
		{"connect-tiles-offline", ConnectApps{Slug: slug, Server: name40}},
		{"connect-app-n8n-internet", page("n8n", apps.Internet, nil)},
		{"connect-first", page("claude", apps.Internet, func(p *ConnectApp) { p.Ready, p.Guide, p.Waiting = false, apps.Guide{}, nil })},
		{"connect-trouble", page("claude", apps.Internet, func(p *ConnectApp) {
			p.Trouble = "There is no internet connection, or something between here and ngrok blocks it."
		})},
		{"connect-nothing", page("claude-code", apps.Computer, func(p *ConnectApp) { p.Waiting.State = WaitingNothing })},
		{"connect-nothing-internet", page("claude", apps.Internet, func(p *ConnectApp) { p.Waiting.State = WaitingNothing })},
		{"connect-going", page("claude-code", apps.Computer, came(WaitingGoing, ProgressSignIn, func(w *Waiting) { w.Words, w.Review = "It waits for your answer.", "/consent/abc" }))},
		{"connect-going-link", page("cursor", apps.Computer, came(WaitingGoing, ProgressSignIn, func(w *Waiting) { w.Words, w.Review = "It waits for your answer.", "/consent/abc" }))},
		{"connect-stopped", page("claude-code", apps.Computer, came(WaitingStopped, ProgressSignIn, func(w *Waiting) {
			w.Words, w.Next, w.Whose = "\u201cClaude Code\u201d opened a browser, but the approval page was never opened.", "Press Connect in \u201cClaude Code\u201d again. The page opens in this computer's browser.", "yours"
		}))},
		{"connect-problem", page("claude-code", apps.Computer, came(WaitingTrouble, ProgressAccess, func(w *Waiting) {
			w.Words, w.Next, w.Whose = "The server no longer accepts the API key.", "Paste a new one: press Replace on the Servers tab. \u201cClaude Code\u201d continues automatically.", "yours"
		}))},
		{"connect-connected", page("claude-code", apps.Computer, came(WaitingConnected, ProgressAccess, nil))},
		{"connect-works", page("claude-code", apps.Computer, came(WaitingWorks, ProgressCall, nil))},
		{"connect-long", page("other", apps.Computer, func(p *ConnectApp) {
			p.Server = strings.Repeat("Quarterly ", 20)
			p.Guide, _ = p.App.Guide(apps.Target{Name: apps.SafeName(p.Server, nil), Title: p.Server, Local: mcpURL(local, slug)}, apps.Computer)
		})},
		{"connect-hostile", page("claude", apps.Internet, func(p *ConnectApp) {
			p.Slug, p.Server, p.Query, p.Trouble = hostile, hostile, hostile, hostile
			p.Guide, _ = p.App.Guide(apps.Target{Name: hostile, Title: hostile, Public: hostile}, apps.Internet)
			*p.Waiting = Waiting{App: hostile, At: hostile, State: hostile, Who: hostile, Progress: ProgressCall, Review: "javascript:alert(1)", Whose: hostile, Words: hostile, Next: hostile,
				Steps: StepRows([]api.Event{{Step: hostile, Why: hostile}})}
		})},
		{"connect-zero", ConnectApp{}},
		{"connect-tiles-hostile", ConnectApps{Slug: hostile, Server: hostile}},
	}...)
}
