package servers

import (
	"net/http"
	"strings"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/shell"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// showServer shows the page of a server.
func (d *Pages) showServer(w http.ResponseWriter, r *http.Request) error {
	e, ok := d.cfg.Control.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	if !strings.HasPrefix(r.URL.Path, "/live/") { // a page that stays open is no reason to ask again
		d.cfg.Control.Look(e.Slug)
	}
	return d.renderServer(w, r, e, shell.DoneNotices(r))
}

func (d *Pages) renderServer(w http.ResponseWriter, r *http.Request, e endpoint.Endpoint, notices []web.Notice) error {
	st, token := d.cfg.Shell.Status(), d.cfg.Owner.FormTokens(r)
	l, err := d.cfg.Control.ServerListing(e)
	if err != nil {
		return err
	}
	o := l.Servers[0]
	p := web.Server{
		Version: d.cfg.Version, Slug: e.Slug, Name: o.DisplayName, Host: e.UpstreamHost(), State: o.State, StateWords: o.StateWords, Why: o.Why, Paused: st.Paused,
		UpstreamURL: o.UpstreamURL, Header: web.DescribeHeader(e.Header), MCPURL: o.MCPEndpoint, LocalMCPURL: o.LocalMCPEndpoint,
		Notices: notices, Pending: d.cfg.Shell.Pending(st, e.Slug), Grants: d.grantRows(l.Newest[e.Slug], o.Credentials), Apps: l.Apps[e.Slug],
		Created: web.Ago(o.Created), Struck: o.Struck, Sample: d.cfg.Sample.Slug() == e.Slug, Token: token,
	}
	if o.LastUsed != nil {
		p.LastUsed = web.Ago(*o.LastUsed)
	}
	for _, c := range o.Credentials {
		p.Credentials = append(p.Credentials, web.CredentialRow{ID: c.ID, Label: c.Label, State: c.State, For: c.For, Unwatched: c.Unwatched, Why: c.Words})
	}
	all := shell.NoRequests(st.Concerns)
	for i, c := range all {
		if c.Slug == e.Slug && i > 0 { // the first stands above
			p.Banner = &web.Banners([]api.Concern{c}, token)[0]
			break
		}
	}
	if len(all) > 0 && all[0].Slug == e.Slug || o.State == api.EndpointNotTried {
		p.Why = "" // the banner above says it, or the state does
	}
	d.cfg.Shell.Bar(r, st, all).Render(w, http.StatusOK, p)
	return nil
}

// grantRows shows connected apps, each with how it came to be connected.
func (d *Pages) grantRows(grants []control.Grant, keys []api.Credential) []web.GrantRow {
	labels := make(map[string]string)
	if len(keys) > 1 { // else there is nothing to tell apart
		for _, c := range keys {
			labels[c.ID] = c.Label
		}
	}
	var rows []web.GrantRow
	for _, g := range grants {
		row := web.GrantRow{ID: g.ID, Client: g.Who.String(), Claim: g.Who.Claim(), ReturnsTo: g.ReturnsTo, Created: web.Ago(g.Created), Credential: labels[g.Credential]}
		if g.InTwoPlaces != nil {
			row.TwoPlaces = web.Day(*g.InTwoPlaces)
		}
		if g.LastUsed != nil {
			row.LastUsed = web.Ago(*g.LastUsed)
		}
		if a, ok, err := d.cfg.Timeline.OfGrant(g.ID); err == nil && ok {
			how := shell.AttemptRow(a)
			row.How = &how
		}
		rows = append(rows, row)
	}
	return rows
}
