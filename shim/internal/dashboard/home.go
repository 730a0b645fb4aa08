package dashboard

import (
	"net/http"
	"strconv"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/shell"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// showHome shows the list of servers, or the page that adds the first one.
func (d *Dashboard) showHome(w http.ResponseWriter, r *http.Request) error {
	return d.renderHome(w, r, http.StatusOK, web.CreateForm{}, shell.DoneNotices(r))
}

// showLive is the home page for its own script, which replaces what has changed.
func (d *Dashboard) showLive(w http.ResponseWriter, r *http.Request) error {
	return d.renderHome(w, r, http.StatusOK, web.CreateForm{}, nil)
}

func (d *Dashboard) renderHome(w http.ResponseWriter, r *http.Request, status int, form web.CreateForm, notices []web.Notice) error {
	st, token := d.cfg.Status(), d.cfg.Owner.FormTokens(r)
	p := web.Home{
		Version: d.cfg.Version, Keychain: web.ShownKeychain(st.Keychain),
		Notices: notices, Create: form, Token: token, All: st.Endpoints, Search: bound(r.URL.Query().Get("q"), 100),
	}
	for _, n := range st.Notes {
		p.Happened = append(p.Happened, n.Words)
	}
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	l, total, at, pages, err := d.cfg.Control.ServersPage(p.Search, page)
	if err != nil {
		return err
	}
	p.Total, p.Page, p.Pages = total, at, pages
	for _, o := range l.Servers {
		p.Rows = append(p.Rows, d.serverRow(o, l, st.Paused))
	}
	p.Sample = d.cfg.Sample.Offered()
	if deleted, err := d.cfg.Control.DeletedServers(); err == nil {
		p.Deleted = len(deleted)
	}
	p.Pending = d.cfg.Shell.Pending(st, "")
	first, err := d.cfg.Control.First()
	if err != nil {
		return err
	}
	p.Steps = d.firstSteps(st, first)
	bar := d.cfg.Shell.Bar(r, st, shell.NoRequests(st.Concerns))
	if all := web.Banners(shell.NoRequests(st.Concerns), token); len(all) > 1 {
		p.More = all[1:min(len(all), 1+control.PageSize)]
	}
	bar.Render(w, status, p)
	return nil
}

func (d *Dashboard) serverRow(o api.Endpoint, l control.Listing, paused bool) web.ServerRow {
	e, _ := d.cfg.Control.Endpoint(o.Slug)
	row := web.ServerRow{
		Slug: o.Slug, Name: o.DisplayName, Host: e.UpstreamHost(), State: o.State, StateWords: o.StateWords, Paused: paused, NumApps: l.Apps[o.Slug],
	}
	if o.LastUsed != nil {
		row.Used = web.Ago(*o.LastUsed)
	}
	for _, g := range l.Newest[o.Slug] {
		row.Apps = append(row.Apps, g.Who.String())
	}
	return row
}

func (d *Dashboard) pauseFromForm(paused bool) httpx.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := d.cfg.Control.SetPaused(paused); err != nil {
			return err
		}
		if paused {
			return shell.Done(w, r, shell.CameFrom(r), "paused")
		}
		return shell.Done(w, r, shell.CameFrom(r), "resumed")
	}
}

func (d *Dashboard) removeDamagedFromForm(w http.ResponseWriter, r *http.Request) error {
	if err := d.cfg.Control.RemoveDamaged(r.PostFormValue("kind"), r.PostFormValue("id")); err != nil {
		return err
	}
	return shell.Done(w, r, shell.CameFrom(r), "healed")
}

func (d *Dashboard) unlockFromForm(w http.ResponseWriter, r *http.Request) error {
	d.cfg.Control.Unlock()
	return shell.Done(w, r, shell.CameFrom(r), "unlock")
}

func (d *Dashboard) keepInFileFromForm(w http.ResponseWriter, r *http.Request) error {
	if err := d.cfg.Control.KeepInFile(); err != nil {
		return err
	}
	return shell.Done(w, r, shell.CameFrom(r), "file")
}

func (d *Dashboard) keepFromForm(w http.ResponseWriter, r *http.Request) error {
	if err := d.cfg.Control.Keep(); err != nil {
		return err
	}
	return shell.Done(w, r, shell.CameFrom(r), "kept")
}
