package dashboard

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// createFromForm adds a server. If something is wrong, the form comes back as
// it was, and the key is kept on our side.
func (d *Dashboard) createFromForm(w http.ResponseWriter, r *http.Request) error {
	session, _ := d.cfg.Owner.Session(r)
	f := web.CreateForm{
		UpstreamURL: r.PostFormValue("upstream_url"), Name: r.PostFormValue("display_name"),
		HeaderName: r.PostFormValue("auth_header_name"), HeaderPrefix: r.PostFormValue("auth_header_prefix"),
	}
	key := r.PostFormValue("api_key")
	if key == "" {
		key = d.cfg.Control.FormKeys.Take(r.PostFormValue("key_held"), session)
	}
	back := func(status int) error {
		f.KeyHeld = d.cfg.Control.FormKeys.Put(key, session)
		return d.renderHome(w, r, status, f, nil)
	}
	if snippet := r.PostFormValue("snippet"); strings.TrimSpace(snippet) != "" {
		sn, err := endpoint.ParseSnippet(snippet)
		if err != nil {
			f.Error, f.ErrorField, f.AdvancedOpen = problem.Text(err), "snippet", true
			return back(http.StatusUnprocessableEntity)
		}
		f.UpstreamURL, f.Name = sn.URL, sn.Name
		if sn.Header != (endpoint.Header{}) {
			f.HeaderName, f.HeaderPrefix = sn.Header.Name, sn.Header.Prefix
		}
		if !sn.Key.IsZero() {
			key = sn.Key.Reveal()
		}
		f.Note = web.TextFilledIn
		return back(http.StatusOK)
	}
	in := api.NewEndpoint{UpstreamURL: f.UpstreamURL, DisplayName: f.Name, Key: key, Check: true, Force: r.PostFormValue("force") != ""}
	if f.HeaderName != "" || f.HeaderPrefix != "" {
		in.HeaderName, in.Prefix = headerFields(f)
	}
	_, note, err := d.cfg.Control.Create(r.Context(), in)
	if err != nil {
		e, status, ok := problem.FieldOf(err)
		if !ok {
			return err
		}
		f.Error, f.ErrorField, f.CanForce = e.Err.Msg, e.Name, e.CanForce
		f.AdvancedOpen = f.HeaderName != "" || f.Name != ""
		if e.Name == "api_key" {
			key = "" // keeping it would only try it again
		}
		return back(status)
	}
	if note != "" {
		return d.renderHome(w, r, http.StatusOK, web.CreateForm{}, []web.Notice{web.DoneNotices["added"], {Kind: "info", Text: note}})
	}
	return done(w, r, "added")
}

// headerFields reads the two header fields as the owner means them. They show
// the default; leaving it unchanged is not a choice, so the usual headers may
// still be tried.
func headerFields(f web.CreateForm) (name, prefix *string) {
	d := endpoint.DefaultHeader
	if strings.EqualFold(strings.TrimSpace(f.HeaderName), d.Name) && strings.TrimSpace(f.HeaderPrefix) == strings.TrimSpace(d.Prefix) {
		return nil, nil
	}
	return &f.HeaderName, &f.HeaderPrefix
}

func (d *Dashboard) showEdit(w http.ResponseWriter, r *http.Request) error {
	e, ok := d.cfg.Control.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	d.render(w, r, http.StatusOK, d.editPage(r, e))
	return nil
}

func (d *Dashboard) editPage(r *http.Request, e endpoint.Endpoint) web.EditEndpoint {
	return web.EditEndpoint{
		Slug: e.Slug, Title: e.Name, UpstreamURL: e.ShownBase(), HidesPart: e.HasQuery || e.HidesPath(), Name: e.Name,
		HeaderName: e.Header.Name, HeaderPrefix: e.Header.Prefix, FormToken: d.cfg.Owner.FormTokens(r)("/endpoints/" + e.Slug),
	}
}

func (d *Dashboard) editFromForm(w http.ResponseWriter, r *http.Request) error {
	e, ok := d.cfg.Control.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	c := api.EndpointChange{DisplayName: field(r, "display_name"), HeaderName: field(r, "auth_header_name"), Prefix: field(r, "auth_header_prefix")}
	if u := strings.TrimSpace(r.PostFormValue("upstream_url")); u != e.ShownBase() {
		c.UpstreamURL = &u
	}
	note, err := d.cfg.Control.Edit(e.Slug, c)
	if err != nil {
		fe, status, ok := problem.FieldOf(err)
		if !ok {
			return err
		}
		p := d.editPage(r, e)
		p.UpstreamURL, p.Name = r.PostFormValue("upstream_url"), *c.DisplayName
		p.HeaderName, p.HeaderPrefix = *c.HeaderName, *c.Prefix
		p.Error, p.ErrorField = fe.Err.Msg, fe.Name
		d.render(w, r, status, p)
		return nil
	}
	if note != "" {
		return d.renderHome(w, r, http.StatusOK, web.CreateForm{}, []web.Notice{{Kind: "warn", Text: note}})
	}
	return done(w, r, "saved")
}

func (d *Dashboard) keyPage(r *http.Request, e endpoint.Endpoint) web.ReplaceKey {
	p := web.ReplaceKey{
		Slug: e.Slug, Name: e.Name, UpstreamHost: e.UpstreamHost(), Selected: r.FormValue("credential"),
		FormToken: d.cfg.Owner.FormTokens(r)("/endpoints/" + e.Slug + "/key"),
	}
	for _, c := range d.cfg.Control.Credentials(e.Slug) {
		label := c.Label
		if c.Grant != "" {
			label += " (one connection only)"
		}
		p.Credentials = append(p.Credentials, web.SavedKey{ID: c.ID, Label: label, State: string(c.State)})
	}
	return p
}

func (d *Dashboard) showKey(w http.ResponseWriter, r *http.Request) error {
	e, ok := d.cfg.Control.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	d.render(w, r, http.StatusOK, d.keyPage(r, e))
	return nil
}

func (d *Dashboard) keyFromForm(w http.ResponseWriter, r *http.Request) error {
	e, ok := d.cfg.Control.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	session, _ := d.cfg.Owner.Session(r)
	key := r.PostFormValue("api_key")
	if key == "" {
		key = d.cfg.Control.FormKeys.Take(r.PostFormValue("key_held"), session)
	}
	credential := r.PostFormValue("credential")
	all := d.cfg.Control.Credentials(e.Slug)
	switch {
	case credential == "new":
		credential = ""
	case credential == "" && len(all) == 1:
		credential = all[0].ID
	case credential == "" && len(all) > 1:
		p := d.keyPage(r, e)
		p.Error, p.KeyHeld = web.TextChooseReplaced, d.cfg.Control.FormKeys.Put(key, session)
		d.render(w, r, http.StatusUnprocessableEntity, p)
		return nil
	}
	note, err := d.cfg.Control.ReplaceKey(r.Context(), e.Slug, credential, key, r.PostFormValue("force") != "")
	if err != nil {
		fe, status, ok := problem.FieldOf(err)
		if !ok {
			return err
		}
		if fe.Name == "api_key" {
			key = ""
		}
		p := d.keyPage(r, e)
		p.Error, p.CanForce, p.KeyHeld = fe.Err.Msg, fe.CanForce, d.cfg.Control.FormKeys.Put(key, session)
		d.render(w, r, status, p)
		return nil
	}
	if note != "" {
		return d.renderHome(w, r, http.StatusOK, web.CreateForm{}, []web.Notice{{Kind: "warn", Text: fmt.Sprintf(web.TextKeySaved, note)}})
	}
	return done(w, r, "key")
}

func (d *Dashboard) showDelete(w http.ResponseWriter, r *http.Request) error {
	e, ok := d.cfg.Control.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	action := "/endpoints/" + e.Slug + "/delete"
	n, err := d.cfg.Control.NumApps(e.Slug)
	if err != nil {
		return err
	}
	d.render(w, r, http.StatusOK, web.Confirm{
		Title: fmt.Sprintf(web.TitleDelete, e.Name), Words: web.TextNoWayBack,
		Consequences: []string{
			web.KeysDeleted(len(d.cfg.Control.Credentials(e.Slug))),
			web.AppsSignedOut(n),
			web.TextAddressGone,
		},
		Action: action, FormToken: d.cfg.Owner.FormTokens(r)(action), Button: web.ButtonDelete, Danger: true, Cancel: "/",
	})
	return nil
}

func (d *Dashboard) deleteFromForm(w http.ResponseWriter, r *http.Request) error {
	if err := d.cfg.Control.Remove(r.PathValue("slug")); err != nil {
		return err
	}
	return done(w, r, "deleted")
}

func (d *Dashboard) showRevoke(w http.ResponseWriter, r *http.Request) error {
	g, err := d.cfg.Control.Grant(r.PathValue("id"))
	if err != nil {
		return httpx.New(http.StatusNotFound, web.TextGrantGone)
	}
	client := d.cfg.Control.App(&g).String()
	e, _ := d.cfg.Control.Endpoint(g.Slug)
	action := "/grants/" + g.ID + "/revoke"
	d.render(w, r, http.StatusOK, web.Confirm{
		Title: fmt.Sprintf(web.TitleRevoke, client), Words: fmt.Sprintf(web.TextRevoke, e.Name),
		Consequences: []string{web.TextCallsStop, web.TextConnectAnew},
		Action:       action, FormToken: d.cfg.Owner.FormTokens(r)(action), Button: web.ButtonRevoke, Danger: true, Cancel: "/",
	})
	return nil
}

func (d *Dashboard) revokeFromForm(w http.ResponseWriter, r *http.Request) error {
	if err := d.cfg.Control.Disconnect(r.PathValue("id")); err != nil {
		return err
	}
	return done(w, r, "revoked")
}
