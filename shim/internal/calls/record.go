package calls

import (
	"net/http"

	"github.com/key2oauth/key2oauth/shim/internal/activity"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/proxy"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
)

// LoadActivity brings back the calls of earlier runs. The program starts
// without them if they cannot be read.
func (c *Calls) LoadActivity() {
	calls, err := c.cfg.Vault.Activity()
	if err != nil {
		c.cfg.Log.Warn("cannot read the activity of earlier runs", "err", err)
	}
	c.cfg.Activity.Load(calls)
}

// record notes a call that has ended. A client waits for it, so it touches
// memory only.
func (c *Calls) record(g *oauth.Grant, out proxy.Outcome) {
	client := g.ClientName
	if client == "" {
		client = oauth.RedirectHost(g.RedirectURI)
	}
	c.cfg.Vault.AppendActivity(c.cfg.Activity.Add(activity.Call{
		Slug: g.Slug, Grant: g.ID, Client: client, Method: out.Method, Tool: out.Tool,
		Status: out.Status, MS: out.Duration.Milliseconds(),
	}))
}

// noteCall notes a call of a grant that has not used a tool yet. A client waits
// for it.
func (c *Calls) noteCall(grant string, out proxy.Outcome) {
	if !c.cfg.Timeline.Watches(grant) {
		return
	}
	x := timeline.Entry{Step: timeline.Called, Grant: grant}
	switch {
	case out.Status < 400:
		if out.Method == "tools/call" {
			x.Step = timeline.Tool
		}
	case out.Method == http.MethodGet || out.Method == http.MethodDelete || out.Method == "server/discover" && out.Status/100 == 4 && out.Status != 401 && out.Status != 403:
		return // clients try these, and continue without them
	default:
		x.Why, x.Status = "upstream", out.Status
	}
	c.cfg.Timeline.Note(x)
}

// noteBlocked notes that we do not let a call through.
func (c *Calls) noteBlocked(grant, why string) {
	if c.cfg.Timeline.Watches(grant) {
		c.cfg.Timeline.Note(timeline.Entry{Step: timeline.Called, Why: why, Grant: grant})
	}
}
