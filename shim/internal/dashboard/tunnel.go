package dashboard

import (
	"net/http"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/reach"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/tunnel"
)

func (d *Dashboard) showTunnel(w http.ResponseWriter, r *http.Request) error {
	return d.renderTunnel(w, r, http.StatusOK, web.TunnelForm{}, doneNotices(r))
}

func (d *Dashboard) renderTunnel(w http.ResponseWriter, r *http.Request, status int, form web.TunnelForm, notices []web.Notice) error {
	st := d.cfg.Reach.Status()
	page := web.Tunnel{
		Version: d.cfg.Version, Provider: st.Provider, State: st.State, Words: st.Words, Next: st.Next, Link: st.Link,
		Origin: d.cfg.Reach.Origin(), Listener: d.cfg.Reach.Listener(), Plan: st.Plan, Stranded: st.Stranded,
		Form: form, Notices: notices, Token: d.cfg.Owner.FormTokens(r),
	}
	if st.Since != nil {
		page.Since = web.Ago(*st.Since)
	}
	if st.Test != "" {
		page.Notices = append(page.Notices, web.Notice{Kind: "warn", Text: st.Test})
	}
	if st.Senders != "" {
		page.Notices = append(page.Notices, web.Notice{Kind: "warn", Text: st.Senders})
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
	d.render(w, r, status, page)
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
	n := web.Notice{Kind: "ok", Text: words}
	if !ok {
		n.Kind = "warn"
	}
	return d.renderTunnel(w, r, http.StatusOK, web.TunnelForm{}, []web.Notice{n})
}

// tunnelTrouble is what the home page says about a problem with the tunnel, or
// empty.
func tunnelTrouble(st api.TunnelStatus) string {
	switch {
	case st.State == api.TunnelFailed, st.State == api.TunnelRetrying, st.State == api.TunnelLocked:
		return problem.Join(web.TextTunnelTrouble, st.Words)
	case len(st.Stranded) > 0:
		return web.TextStranded
	case st.Usage != nil && st.Usage.Warning != "":
		return st.Usage.Warning
	}
	return st.Test
}
