package dashboard

import (
	"net/http"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/reach"
	"github.com/key2oauth/key2oauth/shim/internal/shell"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/tunnel"
)

func (d *Dashboard) showTunnel(w http.ResponseWriter, r *http.Request) error {
	return d.renderTunnel(w, r, http.StatusOK, web.TunnelForm{}, shell.DoneNotices(r))
}

func (d *Dashboard) renderTunnel(w http.ResponseWriter, r *http.Request, status int, form web.TunnelForm, notices []web.Notice) error {
	all := d.cfg.Status()
	st, net := all.Tunnel, all.Internet
	page := web.Tunnel{
		Version: d.cfg.Version, Provider: st.Provider, State: net.State, Why: net.Why, Then: net.Next, Link: net.Link,
		Origin: d.cfg.Reach.Origin(), Listener: d.cfg.Reach.Listener(), Point: d.cfg.Reach.Point(), Plan: st.Plan, Stranded: st.Stranded,
		Change: r.URL.Query().Get("change") != "", Next: d.nextApp(), Form: form, Notices: notices, Token: d.cfg.Owner.FormTokens(r),
	}
	if st.Since != nil {
		page.Since = web.Ago(*st.Since)
	}
	if st.Senders != "" {
		page.Notices = append(page.Notices, web.Notice{Kind: web.NoticeWarn, Text: st.Senders})
	}
	if u := st.Usage; u != nil {
		page.Usage = &web.Usage{Requests: u.Requests, MaxRequests: u.MaxRequests, Bytes: u.Bytes, MaxBytes: u.MaxBytes, Warning: u.Warning}
	}
	page.HasToken = d.cfg.Reach.HasAuthtoken()
	if page.Provider == api.TunnelOff {
		page.Last = d.cfg.Reach.LastProvider()
	}
	if page.Form.URL == "" {
		page.Form.URL, page.Form.Preset = d.cfg.Reach.External()
	}
	for _, p := range d.cfg.Reach.Presets(page.Form.URL) {
		preset := web.Preset{ID: p.ID, Name: p.Name}
		for _, step := range p.Steps {
			preset.Steps = append(preset.Steps, web.Step(step))
		}
		page.Presets = append(page.Presets, preset)
	}
	switch with := r.URL.Query().Get("with"); {
	case form.Which == api.TunnelExternal:
		page.With = form.Preset
	case with != "":
		page.With = with
	case page.Form.URL != "":
		page.With = page.Form.Preset // as it was last turned on
	case len(page.Presets) > 0:
		page.With = page.Presets[0].ID
	}
	d.render(w, r, status, page)
	return nil
}

// nextApp is what the owner does once the internet is on: the app that waits for
// that, or any app for the newest server that has none.
func (d *Dashboard) nextApp() *web.ConnectNext {
	if next, ok := d.cfg.Next(); ok {
		return &next
	}
	all := d.cfg.Control.Endpoints()
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].LastUsed.IsZero() {
			return &web.ConnectNext{Path: web.ConnectPath(all[i].Slug, ""), Server: all[i].Name}
		}
	}
	return nil
}

// tunnelForm handles one of the forms of the page: it carries out the wish, or
// shows the form again with what is wrong.
func (d *Dashboard) tunnelForm(which string, read func(r *http.Request) (tunnel.Wish, web.TunnelForm)) httpx.HandlerFunc {
	return d.cfg.Owner.Form(func(w http.ResponseWriter, r *http.Request) error {
		wish, form := read(r)
		_, err := d.cfg.Reach.Set(r.Context(), wish)
		if err == nil {
			http.Redirect(w, r, "/tunnel", http.StatusSeeOther)
			return nil
		}
		e, status, ok := problem.FieldOf(err)
		if !ok {
			return err
		}
		form.Which, form.Error, form.Field = which, e.Err.Msg, e.Name
		if form.Field == "url" {
			form.Field = "public_url"
		}
		return d.renderTunnel(w, r, status, form, nil)
	})
}

func ngrokFromForm(r *http.Request) (tunnel.Wish, web.TunnelForm) {
	w := tunnel.Wish{Provider: tunnel.ProviderNgrok}
	w.Authtoken = reach.ReadAuthtoken(r.PostFormValue("authtoken"))
	return w, web.TunnelForm{}
}

func externalFromForm(r *http.Request) (tunnel.Wish, web.TunnelForm) {
	w := tunnel.Wish{Provider: tunnel.ProviderExternal, URL: r.PostFormValue("public_url"), Preset: r.PostFormValue("preset")}
	return w, web.TunnelForm{URL: w.URL, Preset: w.Preset}
}

func offFromForm(*http.Request) (tunnel.Wish, web.TunnelForm) {
	return tunnel.Wish{Provider: tunnel.ProviderOff}, web.TunnelForm{}
}

// onFromForm turns on what was on last.
func (d *Dashboard) onFromForm(*http.Request) (tunnel.Wish, web.TunnelForm) {
	return d.cfg.Reach.Last(), web.TunnelForm{}
}

func (d *Dashboard) testFromForm(w http.ResponseWriter, r *http.Request) error {
	words, ok, err := d.cfg.Reach.Test(r.Context())
	if err != nil {
		return err
	}
	n := web.Notice{Kind: web.NoticeOK, Text: words}
	if !ok {
		n.Kind = web.NoticeWarn
	}
	return d.renderTunnel(w, r, http.StatusOK, web.TunnelForm{}, []web.Notice{n})
}
