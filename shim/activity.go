package shim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/activity"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/proxy"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// loadActivity brings back the calls of former runs. That they cannot be read
// is no reason not to start.
func (s *Shim) loadActivity() {
	calls, err := s.vault.Activity()
	if err != nil {
		s.log.Warn("activity cannot be read", "err", err)
	}
	s.activity.Load(calls)
}

// record notes a call that is over. A client waits for it, so it only touches
// memory.
func (s *Shim) record(g *oauth.Grant, out proxy.Outcome) {
	client := g.ClientName
	if client == "" {
		client = oauth.RedirectHost(g.RedirectURI)
	}
	s.vault.AppendActivity(s.activity.Add(activity.Call{
		Slug: g.Slug, Grant: g.ID, Client: client, Method: out.Method, Tool: out.Tool,
		Status: out.Status, MS: out.Duration.Milliseconds(),
	}))
}

// How many calls the API lists, unless it is asked for fewer or more.
const (
	defaultCalls = 100
	maxCalls     = 1000
)

func (s *Shim) apiActivity(w http.ResponseWriter, r *http.Request) error {
	in := r.URL.Query()
	q := activity.Query{Slug: in.Get("slug"), Grant: in.Get("grant"), Limit: defaultCalls}
	if v := in.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxCalls {
			return httpx.New(http.StatusBadRequest, "limit is a number from 1 to "+strconv.Itoa(maxCalls)+"; use before to get more")
		}
		q.Limit = n
	}
	if v := in.Get("before"); v != "" {
		t, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			return httpx.New(http.StatusBadRequest, "before is a time as the activity shows them, such as 2026-01-31T12:00:00Z")
		}
		q.Before = t
	}
	calls, _ := s.activity.Query(q)
	all := make([]api.Call, 0, len(calls))
	for _, c := range calls {
		all = append(all, api.Call(c))
	}
	return httpx.WriteJSON(w, http.StatusOK, api.Activity{Activity: all})
}

// sendCalls sends the calls since end as events, and returns the new end and
// what is closed when there are more.
func (s *Shim) sendCalls(end uint64, send func(event string) bool) (next uint64, more <-chan struct{}, ok bool) {
	calls, next, more := s.activity.Since(end)
	if len(calls) == 0 {
		return next, more, true
	}
	var b strings.Builder
	for _, c := range calls {
		object, err := json.Marshal(api.Call(c))
		if err != nil {
			return next, more, false
		}
		b.WriteString("event: activity\ndata: ")
		b.Write(object)
		b.WriteString("\n\n")
	}
	return next, more, send(b.String())
}

// callsOnPage is how many calls one page shows.
const callsOnPage = 50

// showActivity draws the page of calls. Everything it is asked comes by the
// query, so that it works without JavaScript and a search can be kept as a
// bookmark.
func (s *Shim) showActivity(w http.ResponseWriter, r *http.Request) error {
	in := r.URL.Query()
	p := web.Activity{Version: s.version, Query: bound(strings.TrimSpace(in.Get("q")), 200), Server: in.Get("server"), Now: time.Now()}
	names := make(map[string]string)
	for _, e := range s.vault.Endpoints() {
		names[e.Slug] = e.Name
		p.Servers = append(p.Servers, web.ServerOption{Slug: e.Slug, Name: e.Name})
	}
	if _, ok := names[p.Server]; !ok {
		p.Server = "" // deleted since the link was made
	}
	row := func(c *activity.Call) web.CallRow {
		return web.CallRow{
			Time: c.Time, Client: c.Client, Server: names[c.Slug], Method: c.Method, Tool: c.Tool,
			Status: c.Status, MS: c.MS,
		}
	}
	q := activity.Query{Slug: p.Server, Limit: callsOnPage}
	if before, err := time.Parse(time.RFC3339Nano, in.Get("before")); err == nil {
		q.Before, p.Paged = before, true
	}
	if words := strings.Fields(strings.ToLower(p.Query)); len(words) > 0 {
		q.Match = func(c *activity.Call) bool { return row(c).Has(words) }
	}
	calls, more := s.activity.Query(q)
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
	web.Render(w, http.StatusOK, p)
	return nil
}

// bound cuts s to at most n bytes.
func bound(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}
