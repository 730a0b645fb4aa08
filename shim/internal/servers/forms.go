package servers

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/shell"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// showAdd shows the page that adds a server.
func (d *Pages) showAdd(w http.ResponseWriter, r *http.Request) error {
	return d.renderAdd(w, r, http.StatusOK, web.CreateForm{})
}

func (d *Pages) renderAdd(w http.ResponseWriter, r *http.Request, status int, f web.CreateForm) error {
	d.cfg.Shell.Render(w, r, status, web.AddPage{Version: d.cfg.Version, Create: f, Token: d.cfg.Owner.FormTokens(r)})
	return nil
}

// formKey is the key of a form: the one that was just pasted, else the one that
// was kept on our side when the form came back.
func (d *Pages) formKey(r *http.Request, session string) string {
	if key := r.PostFormValue("api_key"); key != "" {
		return key
	}
	return d.cfg.Control.FormKeys.Take(r.PostFormValue("key_held"), session)
}

// createFromForm adds a server. What is no bare address is parsed, and shown as
// it was understood before anything is sent. If something is wrong, the form
// comes back as it was, and the key is kept on our side.
func (d *Pages) createFromForm(w http.ResponseWriter, r *http.Request) error {
	session, _ := d.cfg.Owner.Session(r)
	f := web.CreateForm{
		UpstreamURL: r.PostFormValue("upstream_url"), Name: r.PostFormValue("display_name"),
		HeaderName: r.PostFormValue("auth_header_name"), HeaderPrefix: r.PostFormValue("auth_header_prefix"),
	}
	key := d.formKey(r, session)
	back := func(status int) error {
		f.KeyHeld = d.cfg.Control.FormKeys.Put(key, session)
		return d.renderAdd(w, r, status, f)
	}
	if !endpoint.IsURL(f.UpstreamURL) {
		sn, err := endpoint.ParseSnippet(f.UpstreamURL)
		f.UpstreamURL = "" // a key may be in it, and a page never carries one
		if err != nil {
			f.Error, f.ErrorField = problem.Text(err), "upstream_url"
			return back(http.StatusUnprocessableEntity)
		}
		f.Found, f.UpstreamURL = true, sn.URL
		if f.Name == "" {
			f.Name = sn.Name
		}
		if sn.Header != (endpoint.Header{}) {
			f.HeaderName, f.HeaderPrefix = sn.Header.Name, sn.Header.Prefix
		}
		if !sn.Key.IsZero() {
			key = sn.Key.Reveal()
		}
		for _, l := range sn.Left {
			f.Left = append(f.Left, web.Omission{Kind: l.Kind, Name: l.Name})
		}
		return back(http.StatusOK)
	}
	in := api.NewEndpoint{UpstreamURL: f.UpstreamURL, DisplayName: f.Name, Key: key, Check: true, Force: r.PostFormValue("force") != ""}
	if f.HeaderName != "" || f.HeaderPrefix != "" {
		in.HeaderName, in.Prefix = headerFields(f)
	}
	e, note, err := d.cfg.Control.Create(r.Context(), in)
	if err != nil {
		fe, status, ok := problem.FieldOf(err)
		if !ok {
			return err
		}
		f.Error, f.ErrorField, f.CanForce = fe.Err.Msg, fe.Name, fe.CanForce
		f.AdvancedOpen = f.HeaderName != "" || f.Name != ""
		if fe.Name == "api_key" {
			key = "" // keeping it would only try it again
		}
		return back(status)
	}
	return d.added(w, r, e, note)
}

// added leads to the page of a new server.
func (d *Pages) added(w http.ResponseWriter, r *http.Request, e endpoint.Endpoint, note string) error {
	if note != "" {
		return d.renderServer(w, r, e, []web.Notice{web.DoneNotices["added"], {Kind: web.NoticeInfo, Text: note}})
	}
	return shell.Done(w, r, shell.ServerPath(e.Slug), "added")
}

// showAgain shows the page that adds a server once more, for another key.
func (d *Pages) showAgain(w http.ResponseWriter, r *http.Request) error {
	e, ok := d.cfg.Control.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	return d.renderAgain(w, r, http.StatusOK, e, web.CreateForm{Name: web.SecondName(e.Name)})
}

func (d *Pages) renderAgain(w http.ResponseWriter, r *http.Request, status int, e endpoint.Endpoint, f web.CreateForm) error {
	d.cfg.Shell.Render(w, r, status, web.AddKeyPage{Slug: e.Slug, Name: e.Name, Host: e.UpstreamHost(), Create: f, FormToken: d.cfg.Owner.FormTokens(r)(shell.ServerPath(e.Slug) + "/again")})
	return nil
}

func (d *Pages) againFromForm(w http.ResponseWriter, r *http.Request) error {
	e, ok := d.cfg.Control.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	session, _ := d.cfg.Owner.Session(r)
	key := d.formKey(r, session)
	f := web.CreateForm{Name: r.PostFormValue("display_name")}
	added, note, err := d.cfg.Control.AddAgain(r.Context(), e, f.Name, key, r.PostFormValue("force") != "")
	if err != nil {
		fe, status, ok := problem.FieldOf(err)
		if !ok {
			return err
		}
		f.Error, f.ErrorField, f.CanForce = fe.Err.Msg, fe.Name, fe.CanForce
		if fe.Name == "upstream_url" {
			f.ErrorField = "" // there is no such field here
		}
		if fe.Name != "api_key" {
			f.KeyHeld = d.cfg.Control.FormKeys.Put(key, session)
		}
		return d.renderAgain(w, r, status, e, f)
	}
	return d.added(w, r, added, note)
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

func (d *Pages) showEdit(w http.ResponseWriter, r *http.Request) error {
	e, ok := d.cfg.Control.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	d.cfg.Shell.Render(w, r, http.StatusOK, d.editPage(r, e))
	return nil
}

func (d *Pages) editPage(r *http.Request, e endpoint.Endpoint) web.EditEndpointPage {
	return web.EditEndpointPage{
		Slug: e.Slug, Title: e.Name, UpstreamURL: e.ShownBase(), HidesPart: e.HasQuery || e.HidesPath(), Name: e.Name,
		HeaderName: e.Header.Name, HeaderPrefix: e.Header.Prefix, FormToken: d.cfg.Owner.FormTokens(r)(shell.ServerPath(e.Slug) + "/edit"),
	}
}

func (d *Pages) editFromForm(w http.ResponseWriter, r *http.Request) error {
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
		d.cfg.Shell.Render(w, r, status, p)
		return nil
	}
	if note != "" {
		e, _ = d.cfg.Control.Endpoint(e.Slug)
		return d.renderServer(w, r, e, []web.Notice{{Kind: web.NoticeWarn, Text: note}})
	}
	return shell.Done(w, r, shell.ServerPath(e.Slug), "saved")
}

func (d *Pages) keyPage(r *http.Request, e endpoint.Endpoint) web.ReplaceKeyPage {
	p := web.ReplaceKeyPage{
		Slug: e.Slug, Name: e.Name, UpstreamHost: e.UpstreamHost(), Selected: r.FormValue("credential"),
		FormToken: d.cfg.Owner.FormTokens(r)("/servers/" + e.Slug + "/key"),
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

func (d *Pages) showKey(w http.ResponseWriter, r *http.Request) error {
	e, ok := d.cfg.Control.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	d.cfg.Shell.Render(w, r, http.StatusOK, d.keyPage(r, e))
	return nil
}

func (d *Pages) keyFromForm(w http.ResponseWriter, r *http.Request) error {
	e, ok := d.cfg.Control.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	session, _ := d.cfg.Owner.Session(r)
	key := d.formKey(r, session)
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
		d.cfg.Shell.Render(w, r, http.StatusUnprocessableEntity, p)
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
		d.cfg.Shell.Render(w, r, status, p)
		return nil
	}
	if note != "" {
		return d.renderServer(w, r, e, []web.Notice{{Kind: web.NoticeWarn, Text: fmt.Sprintf(web.TextKeySaved, note)}})
	}
	return shell.Done(w, r, shell.ServerPath(e.Slug), "key")
}

func (d *Pages) showDelete(w http.ResponseWriter, r *http.Request) error {
	e, ok := d.cfg.Control.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	action := "/servers/" + e.Slug + "/delete"
	n, err := d.cfg.Control.NumApps(e.Slug)
	if err != nil {
		return err
	}
	d.cfg.Shell.Render(w, r, http.StatusOK, web.ConfirmPage{
		Title: fmt.Sprintf(web.TitleDelete, e.Name), Words: web.TextDeleteWords,
		Consequences: []string{
			web.KeysKept(len(d.cfg.Control.Credentials(e.Slug))),
			web.AppsSignedOut(n),
			web.TextAddressGone,
		},
		Action: action, FormToken: d.cfg.Owner.FormTokens(r)(action), Button: web.ButtonDelete, Danger: true, Cancel: shell.ServerPath(e.Slug),
	})
	return nil
}

func (d *Pages) deleteFromForm(w http.ResponseWriter, r *http.Request) error {
	if err := d.cfg.Control.Remove(r.PathValue("slug")); err != nil {
		return err
	}
	return shell.Done(w, r, "/", "deleted")
}

func (d *Pages) showRevoke(w http.ResponseWriter, r *http.Request) error {
	g, err := d.cfg.Control.Grant(r.PathValue("id"))
	if err != nil {
		return httpx.New(http.StatusNotFound, web.TextGrantGone)
	}
	client := d.cfg.Control.App(&g).String()
	e, _ := d.cfg.Control.Endpoint(g.Slug)
	action := "/grants/" + g.ID + "/revoke"
	d.cfg.Shell.Render(w, r, http.StatusOK, web.ConfirmPage{
		Title: fmt.Sprintf(web.TitleRevoke, client), Words: fmt.Sprintf(web.TextRevoke, e.Name),
		Consequences: []string{web.TextCallsStop, web.TextConnectAnew},
		Action:       action, FormToken: d.cfg.Owner.FormTokens(r)(action), Button: web.ButtonRevoke, Danger: true, Cancel: shell.ServerPath(g.Slug),
	})
	return nil
}

func (d *Pages) revokeFromForm(w http.ResponseWriter, r *http.Request) error {
	g, err := d.cfg.Control.Grant(r.PathValue("id"))
	if err != nil {
		return httpx.New(http.StatusNotFound, web.TextGrantGone)
	}
	if err := d.cfg.Control.Disconnect(g.ID); err != nil {
		return err
	}
	return shell.Done(w, r, shell.ServerPath(g.Slug), "revoked")
}
