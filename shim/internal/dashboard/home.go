package dashboard

import (
	"net/http"
	"slices"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// showHome shows the owner's home page.
func (d *Dashboard) showHome(w http.ResponseWriter, r *http.Request) error {
	return d.renderHome(w, r, http.StatusOK, web.CreateForm{}, doneNotices(r))
}

func (d *Dashboard) renderHome(w http.ResponseWriter, r *http.Request, status int, form web.CreateForm, notices []web.Notice) error {
	st := d.cfg.Status()
	p := web.Home{
		Version: d.cfg.Version, LocalOrigin: st.LocalOrigin, PublicOrigin: d.cfg.Reach.Origin(),
		Keychain:      web.ShownKeychain(st.Keychain),
		TunnelTrouble: tunnelTrouble(st.Tunnel), DiskTrouble: problem.Join(st.Disk.Words, st.Disk.Next),
		Paused: st.Paused, Banner: web.BannerOf(st.Concerns), Notices: notices, Create: form, Token: d.cfg.Owner.FormTokens(r),
	}
	for _, n := range st.Notes {
		p.Happened = append(p.Happened, n.Words)
	}
	for _, x := range st.Damaged {
		if x.Kind == api.DamagedSealedKey {
			continue // the server says so, and has the button that repairs it
		}
		p.Damaged = append(p.Damaged, web.DamageRow{Kind: x.Kind, ID: x.ID, Words: problem.Join(x.Words, x.Next)})
	}
	l, err := d.cfg.Control.Listing()
	if err != nil {
		return err
	}
	for _, o := range l.Servers {
		row := d.endpointRow(o)
		row.Grants, row.Apps = d.grantRows(l.Newest[o.Slug], o.Credentials), l.Apps[o.Slug]
		p.Endpoints = append(p.Endpoints, row)
	}
	for _, q := range st.Pending {
		e, _ := d.cfg.Control.Endpoint(q.Slug)
		p.Pending = append(p.Pending, web.PendingRow{URL: q.URL, Client: q.App, ReturnsTo: q.ReturnsTo, Endpoint: e.Name, Age: web.Ago(q.Created), Asked: q.Asked})
	}
	p.Stopped = slices.ContainsFunc(d.cfg.Timeline.Failed(), func(a api.Attempt) bool {
		return a.Diagnosis.Cause != api.CauseDenied // the owner denied it and knows
	})
	p.Steps = d.firstSteps(st, l.Servers, l.First)
	d.render(w, r, status, p)
	return nil
}

func (d *Dashboard) endpointRow(o api.Endpoint) web.EndpointRow {
	e, _ := d.cfg.Control.Endpoint(o.Slug)
	row := web.EndpointRow{
		Slug: o.Slug, Name: o.DisplayName, UpstreamHost: e.UpstreamHost(), UpstreamURL: o.UpstreamURL,
		MCPURL: o.MCPEndpoint, LocalMCPURL: o.LocalMCPEndpoint,
		State: o.State, StateWords: o.StateWords, Why: o.Why, Paused: o.StateWords == web.ServerState(web.StatePaused),
		Header: web.DescribeHeader(e.Header), Created: web.Ago(o.Created), Struck: o.Struck,
	}
	if o.LastUsed != nil {
		row.LastUsed = web.Ago(*o.LastUsed)
	}
	for _, c := range o.Credentials {
		row.Credentials = append(row.Credentials, web.CredentialRow{ID: c.ID, Label: c.Label, State: c.State, For: c.For, Unwatched: c.Unwatched, Why: c.Words})
	}
	return row
}

// grantRows shows connected apps, each with how it came to be connected.
func (d *Dashboard) grantRows(grants []control.Grant, keys []api.Credential) []web.GrantRow {
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
			how := attemptRow(a)
			row.How = &how
		}
		rows = append(rows, row)
	}
	return rows
}

func (d *Dashboard) pauseFromForm(paused bool) httpx.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := d.cfg.Control.SetPaused(paused); err != nil {
			return err
		}
		what := "resumed"
		if paused {
			what = "paused"
		}
		http.Redirect(w, r, cameFrom(r)+"?done="+what, http.StatusSeeOther)
		return nil
	}
}

func (d *Dashboard) removeDamagedFromForm(w http.ResponseWriter, r *http.Request) error {
	if err := d.cfg.Control.RemoveDamaged(r.PostFormValue("kind"), r.PostFormValue("id")); err != nil {
		return err
	}
	return done(w, r, "healed")
}

func (d *Dashboard) unlockFromForm(w http.ResponseWriter, r *http.Request) error {
	d.cfg.Control.Unlock()
	return done(w, r, "unlock")
}

func (d *Dashboard) keepFromForm(w http.ResponseWriter, r *http.Request) error {
	if err := d.cfg.Control.Keep(); err != nil {
		return err
	}
	return done(w, r, "kept")
}

// showLive is the home page for its own script, which replaces what has
// changed.
func (d *Dashboard) showLive(w http.ResponseWriter, r *http.Request) error {
	if err := d.requireScript(r); err != nil {
		return err
	}
	return d.renderHome(w, r, http.StatusOK, web.CreateForm{}, nil)
}
