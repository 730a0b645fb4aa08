package dashboard

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/activity"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// callsOnPage is how many calls one page shows.
const callsOnPage = 50

// showActivity shows the page of calls. The query holds all of its options, so
// it works without JavaScript and a search can be bookmarked.
func (d *Dashboard) showActivity(w http.ResponseWriter, r *http.Request) error {
	in := r.URL.Query()
	p := web.Activity{Version: d.cfg.Version, Query: bound(strings.TrimSpace(in.Get("q")), 200), Server: in.Get("server"), Now: time.Now()}
	names := make(map[string]string)
	for _, e := range d.cfg.Control.Endpoints() {
		names[e.Slug] = e.Name
		p.Servers = append(p.Servers, web.ServerOption{Slug: e.Slug, Name: e.Name})
	}
	if _, ok := names[p.Server]; !ok {
		p.Server = "" // deleted since the link was made
	}
	row := func(c *activity.Call) web.CallRow {
		return web.CallRow{
			Time: c.Time, Client: c.App, Server: names[c.Slug], Method: c.Method, Tool: c.Tool,
			Status: c.Status, MS: c.MS, Struck: c.Struck, Note: c.Note,
		}
	}
	q := activity.Query{Slug: p.Server, Limit: callsOnPage}
	if before, err := time.Parse(time.RFC3339Nano, in.Get("before")); err == nil {
		q.Before, p.Paged = before, true
	}
	if words := strings.Fields(strings.ToLower(p.Query)); len(words) > 0 {
		q.Match = func(c *activity.Call) bool { return row(c).Has(words) }
	}
	calls, more := d.cfg.Activity.Query(q)
	for i := range calls {
		p.Rows = append(p.Rows, row(&calls[i]))
	}
	link := url.Values{}
	if p.Query != "" {
		link.Set("q", p.Query)
	}
	if p.Server != "" {
		link.Set("server", p.Server)
	}
	p.Newest = "/activity?" + link.Encode()
	if more {
		link.Set("before", calls[len(calls)-1].Time.Format(time.RFC3339Nano))
		p.Older = "/activity?" + link.Encode()
	}
	d.render(w, r, http.StatusOK, p)
	return nil
}

// bound cuts s to at most n bytes.
func bound(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}
