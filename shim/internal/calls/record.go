package calls

import (
	"fmt"
	"net/http"
	"slices"
	"time"

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
	c.nameApps(calls)
	c.cfg.Activity.Load(calls)
}

// nameApps says who the apps of calls of earlier runs are. Of an app that is
// gone only its name is left, which it may have chosen itself.
func (c *Calls) nameApps(calls []activity.Call) {
	names := make(map[string]string)
	for i := range calls {
		x := &calls[i]
		key := x.Grant + "\x00" + x.Client
		name, ok := names[key]
		if !ok {
			name = c.cfg.AppName(x.Client, "")
			if g, err := c.cfg.Vault.Grant(x.Grant); err == nil {
				name = c.cfg.AppName(g.ClientName, g.DocumentID())
			}
			names[key] = name
		}
		x.App = name
	}
}

// record notes a call that has ended, each message of a batch. A client waits
// for it, so it touches memory only.
func (c *Calls) record(g *oauth.Grant, out proxy.Outcome) {
	app := c.cfg.AppName(g.ClientName, g.DocumentID())
	add := func(method, tool string, struck int) {
		c.cfg.Vault.AppendActivity(c.cfg.Activity.Add(activity.Call{
			Slug: g.Slug, Grant: g.ID, Client: g.ClientName, App: app, Method: method, Tool: tool,
			Status: out.Status, MS: out.Duration.Milliseconds(), Struck: struck, Note: out.Note,
		}))
	}
	add(out.Method, out.Tool, out.Struck)
	for _, m := range out.Rest {
		add(m.Method, m.Tool, 0)
	}
	switch {
	case out.UntoldCalls > 0:
		add(fmt.Sprintf(textUntoldCalls, out.Untold, out.UntoldCalls), "", 0)
	case out.Untold > 0:
		add(fmt.Sprintf(textUntold, out.Untold), "", 0)
	}
}

// hear tells what a call has shown of its server. Clients try GET and DELETE, and
// continue without them.
func (c *Calls) hear(slug string, out proxy.Outcome) {
	switch {
	case out.Good:
		c.cfg.Heard(slug)
	case !out.Asked, out.Method == http.MethodGet, out.Method == http.MethodDelete, out.Method == http.MethodHead:
	case out.Status == http.StatusUnauthorized, out.Status == http.StatusRequestEntityTooLarge, out.Status == http.StatusTooManyRequests, out.Status == 499:
	default:
		c.cfg.Doubted(slug)
	}
}

// LastAnswers says which servers gave a good answer last, and which did not, by
// the calls of earlier runs.
func (c *Calls) LastAnswers() map[string]bool {
	last, times := make(map[string]bool), make(map[string]time.Time)
	c.cfg.Activity.Query(activity.Query{Match: func(x *activity.Call) bool {
		if (x.Status/100 == 2 || x.Status >= 500) && !x.Time.Before(times[x.Slug]) {
			last[x.Slug], times[x.Slug] = x.Status < 500, x.Time
		}
		return false // nothing is copied
	}})
	return last
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
		if out.Method == "tools/call" || slices.ContainsFunc(out.Rest, func(m proxy.MessageName) bool { return m.Method == "tools/call" }) {
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
