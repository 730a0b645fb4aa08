// Package shell is what surrounds the owner's pages: the header with the state of
// the internet and Pause, the banner of what is most urgent, the requests that
// wait, and what a form has done.
package shell

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// A Shell surrounds pages. All of it must be set.
type Shell struct {
	Owner  *owner.Owner
	Status func() api.Status
	Origin func() string            // the public one, or ""
	Name   func(slug string) string // of a server
}

// Render shows one of the owner's pages below the header.
func (s *Shell) Render(w http.ResponseWriter, r *http.Request, status int, p web.Page) {
	st := s.Status()
	s.Bar(r, st, st.Concerns).Render(w, status, p)
}

// Bar is the header of a page, with the first of the concerns as its banner.
func (s *Shell) Bar(r *http.Request, st api.Status, concerns []api.Concern) web.Bar {
	b := web.NetBar(st.Internet, s.Origin())
	b.Paused, b.Token = st.Paused, s.Owner.FormTokens(r)
	if all := web.Banners(concerns[:min(1, len(concerns))], b.Token); len(all) > 0 {
		b.Banner = &all[0]
	}
	return b
}

// LiveBar is the header alone, for the script of a page that is open.
func (s *Shell) LiveBar(w http.ResponseWriter, r *http.Request) error {
	s.Render(w, r, http.StatusOK, web.BarPage{})
	return nil
}

// Pending lists the requests that wait: for a server, or for "" all.
func (s *Shell) Pending(st api.Status, slug string) []web.PendingRow {
	var rows []web.PendingRow
	for _, q := range st.Pending {
		if slug != "" && q.Slug != slug {
			continue
		}
		rows = append(rows, web.PendingRow{URL: q.URL, Client: q.App, ReturnsTo: q.ReturnsTo, Endpoint: s.Name(q.Slug), Age: web.Ago(q.Created), Asked: q.Asked})
	}
	return rows
}

// NoRequests leaves out that requests wait, on pages that list these.
func NoRequests(all []api.Concern) []api.Concern {
	var out []api.Concern
	for _, c := range all {
		if c.Kind != api.ConcernRequest {
			out = append(out, c)
		}
	}
	return out
}

// ServerPath is the page of a server.
func ServerPath(slug string) string { return "/servers/" + slug }

// Anchor matches slugs and the names of places on pages.
var Anchor = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// serverPage matches the pages of a server that can be opened again: its own,
// and those that connect an app.
var serverPage = regexp.MustCompile(`^/servers/[a-z0-9-]{1,64}(/connect(/[a-z0-9-]{1,64})?)?$`)

// tabs are the pages that the header leads to.
var tabs = []string{"/", "/activity", "/tunnel", "/check", "/settings"}

// CameFrom is the page that a form of the header was on, or the home page where
// it is none that can be opened again.
func CameFrom(r *http.Request) string {
	u, err := url.Parse(r.Referer())
	if err != nil || u.Host != r.Host {
		return "/"
	}
	if slices.Contains(tabs, u.Path) || serverPage.MatchString(u.Path) {
		return u.Path
	}
	return "/"
}

// Done leads to a page that says what was done.
func Done(w http.ResponseWriter, r *http.Request, page, what string) error {
	http.Redirect(w, r, page+"?done="+what, http.StatusSeeOther)
	return nil
}

// DoneNotices says what was done, on the page that a form leads to. The words
// come out of a fixed set, so that no link can make a page say anything else.
func DoneNotices(r *http.Request) []web.Notice {
	if n, ok := web.DoneNotices[r.URL.Query().Get("done")]; ok {
		return []web.Notice{n}
	}
	return nil
}

// AttemptRow is an attempt of an app to connect as a page shows it.
func AttemptRow(a api.Attempt) web.AttemptRow {
	row := web.AttemptRow{
		Client: a.Who(), Server: a.Endpoint, Via: a.Via, Age: web.Ago(a.Last),
		State: a.Diagnosis.State, Whose: a.Diagnosis.Whose, Words: a.Diagnosis.Words, Next: a.Diagnosis.Next,
	}
	for _, e := range a.Events {
		row.Steps = append(row.Steps, web.StepRow{
			Step: e.Step, Why: e.Why, Status: e.Status, Time: e.Time.Local().Format("15:04:05"), Count: e.Count,
		})
	}
	return row
}
