package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/activity"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// callsOnPage is how many calls one page shows.
const callsOnPage = 50

// maxAppOptions bounds the list of apps to choose from.
const maxAppOptions = 50

// showActivity shows the page of calls. The query holds all of its options, so
// it works without JavaScript and a search can be bookmarked.
func (d *Dashboard) showActivity(w http.ResponseWriter, r *http.Request) error {
	in := r.URL.Query()
	p := web.Activity{
		Version: d.cfg.Version, Query: bound(strings.TrimSpace(in.Get("q")), 200), Server: in.Get("server"),
		App: bound(in.Get("app"), 200), Show: in.Get("show"), Days: make(map[string]web.DayCount), Now: time.Now(),
	}
	if !slices.Contains(web.Shows, p.Show) {
		p.Show = ""
	}
	names := make(map[string]string)
	for _, e := range d.cfg.Control.Endpoints() {
		names[e.Slug] = e.Name
		p.Servers = append(p.Servers, web.ServerOption{Slug: e.Slug, Name: e.Name})
	}
	if _, ok := names[p.Server]; !ok {
		p.Server = "" // deleted since the link was made
	}
	calls, _ := d.cfg.Activity.Query(activity.Query{})
	p.Apps = appsOf(calls, p.App)
	before, err := time.Parse(time.RFC3339Nano, in.Get("before"))
	p.Paged = err == nil
	words, more := strings.Fields(strings.ToLower(p.Query)), false
	for i := range calls {
		c := &calls[i]
		if p.Server != "" && c.Slug != p.Server || p.App != "" && c.App != p.App {
			continue
		}
		row := web.CallRow{
			Time: c.Time, Client: c.App, Server: names[c.Slug], Method: c.Method, Tool: c.Tool,
			Status: c.Status, MS: c.MS, Struck: c.Struck, Note: c.Note,
		}
		if len(words) > 0 && !row.Has(words) {
			continue
		}
		switch refused := row.Refused(); {
		case p.Show == web.ShowRefused && !refused, p.Show == web.ShowStruck && row.Struck == 0:
			continue
		case p.Show == "" && row.Protocol():
			p.Hidden++
			continue
		default:
			day := p.Days[web.DayKey(row.Time)]
			day.Calls++
			if refused {
				day.Refused++
			}
			p.Days[web.DayKey(row.Time)] = day
		}
		switch {
		case p.Paged && !row.Time.Before(before):
		case len(p.Rows) == callsOnPage:
			more = true
		default:
			p.Rows = append(p.Rows, row)
		}
	}
	p.Newest, p.Older = activityPages(p, more)
	d.render(w, r, http.StatusOK, p)
	return nil
}

// activityPages returns the addresses of the newest page, and of the next one if
// there is more.
func activityPages(p web.Activity, more bool) (newest, older string) {
	link := url.Values{}
	for name, value := range map[string]string{"q": p.Query, "server": p.Server, "app": p.App, "show": p.Show} {
		if value != "" {
			link.Set(name, value)
		}
	}
	newest = "/activity?" + link.Encode()
	if more {
		link.Set("before", p.Rows[len(p.Rows)-1].Time.Format(time.RFC3339Nano))
		older = "/activity?" + link.Encode()
	}
	return newest, older
}

// appsOf lists the apps that made calls, by name, with the one that was chosen.
func appsOf(calls []activity.Call, chosen string) []string {
	seen := map[string]bool{"": true, chosen: true}
	var all []string
	if chosen != "" {
		all = append(all, chosen)
	}
	for i := range calls {
		if app := calls[i].App; !seen[app] && len(all) < maxAppOptions {
			seen[app] = true
			all = append(all, app)
		}
	}
	slices.Sort(all)
	return all
}

// bound cuts s to at most n bytes.
func bound(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}
