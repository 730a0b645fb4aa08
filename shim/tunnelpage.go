package shim

import (
	"errors"
	"net/http"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// A TunnelPreset is a program that can be an external tunnel, and how to set it
// up so that it leads to us.
type TunnelPreset struct {
	ID, Name string
	Steps    []TunnelStep
}

// A TunnelStep is something to run in a terminal, or to write into a file.
type TunnelStep struct {
	Words string // what it does
	File  string // where to write it; "" means to run it
	Text  string
}

func (s *Shim) showTunnel(w http.ResponseWriter, r *http.Request) error {
	return s.renderTunnel(w, r, http.StatusOK, web.TunnelForm{}, doneNotices(r))
}

func (s *Shim) renderTunnel(w http.ResponseWriter, r *http.Request, status int, form web.TunnelForm, notices []web.Notice) error {
	st := s.tunnelStatus()
	p := &s.side
	p.mu.Lock()
	kept, env := p.settings, p.env
	p.mu.Unlock()
	page := web.Tunnel{
		Version: s.version, Provider: st.Provider, State: st.State, Words: st.Words, Next: st.Next, Link: st.Link,
		Origin: s.PublicOrigin(), Listener: st.Listener, Plan: st.Plan, Stranded: st.Stranded,
		Form: form, Notices: notices, Token: s.owner.FormTokens(r),
	}
	if st.Since != nil {
		page.Since = web.Ago(*st.Since)
	}
	if st.Test != "" {
		page.Notices = append(page.Notices, web.Notice{Kind: "warn", Text: st.Test})
	}
	if u := st.Usage; u != nil {
		page.Usage = &web.Usage{Requests: u.Requests, MaxRequests: u.MaxRequests, Bytes: u.Bytes, MaxBytes: u.MaxBytes, Warning: u.Warning}
	}
	_, err := s.vault.Secret(secretNgrok)
	page.HasToken = err == nil || errors.Is(err, vault.ErrLocked) || !env.IsZero()
	if page.Provider == api.TunnelOff {
		page.Last = lastProvider(kept, page.HasToken)
	}
	if page.Form.URL == "" {
		page.Form.URL, page.Form.Preset = kept.URL, kept.Preset
	}
	if p.presets != nil {
		for _, q := range p.presets(page.Form.URL) {
			preset := web.Preset{ID: q.ID, Name: q.Name}
			for _, step := range q.Steps {
				preset.Steps = append(preset.Steps, web.Step(step))
			}
			page.Presets = append(page.Presets, preset)
		}
	}
	web.Render(w, status, page)
	return nil
}

// lastProvider is what "Go online" turns on.
func lastProvider(t tunnelSettings, hasToken bool) string {
	switch {
	case t.Last == api.TunnelExternal && t.URL != "":
		return api.TunnelExternal
	case hasToken:
		return api.TunnelNgrok
	}
	return ""
}

// tunnelForm handles one of the forms of the page: it makes the wish come true,
// or shows the form again.
func (s *Shim) tunnelForm(which string, read func(r *http.Request) (TunnelWish, web.TunnelForm)) httpx.HandlerFunc {
	return s.owner.Form(func(w http.ResponseWriter, r *http.Request) error {
		wish, form := read(r)
		_, err := s.setTunnel(r.Context(), wish)
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
		return s.renderTunnel(w, r, status, form, nil)
	})
}

func ngrokFromForm(r *http.Request) (TunnelWish, web.TunnelForm) {
	w := TunnelWish{Provider: api.TunnelNgrok}
	if token := cleanAuthtoken(r.PostFormValue("authtoken")); token != "" {
		w.Authtoken = NewSecret(token)
	}
	return w, web.TunnelForm{}
}

func externalFromForm(r *http.Request) (TunnelWish, web.TunnelForm) {
	w := TunnelWish{Provider: api.TunnelExternal, URL: r.PostFormValue("public_url"), Preset: r.PostFormValue("preset")}
	return w, web.TunnelForm{URL: w.URL, Preset: w.Preset}
}

func offFromForm(*http.Request) (TunnelWish, web.TunnelForm) {
	return TunnelWish{Provider: api.TunnelOff}, web.TunnelForm{}
}

// onFromForm turns on again what was on before.
func (s *Shim) onFromForm(*http.Request) (TunnelWish, web.TunnelForm) {
	s.side.mu.Lock()
	t := s.side.settings
	s.side.mu.Unlock()
	if t.Last == api.TunnelExternal {
		return TunnelWish{Provider: api.TunnelExternal, URL: t.URL, Preset: t.Preset}, web.TunnelForm{}
	}
	return TunnelWish{Provider: api.TunnelNgrok}, web.TunnelForm{}
}

func (s *Shim) testFromForm(w http.ResponseWriter, r *http.Request) error {
	words, ok, err := s.testTunnel(r.Context())
	if err != nil {
		return err
	}
	n := web.Notice{Kind: "ok", Text: words}
	if !ok {
		n.Kind = "warn"
	}
	return s.renderTunnel(w, r, http.StatusOK, web.TunnelForm{}, []web.Notice{n})
}

// tunnelTrouble says on the home page what is wrong with the tunnel.
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
