package servers

import (
	"net/http"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/shell"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

func (d *Pages) showLabel(w http.ResponseWriter, r *http.Request) error {
	c, err := d.cfg.Control.CredentialOf(r.PathValue("slug"), r.PathValue("id"))
	if err != nil {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	d.cfg.Shell.Render(w, r, http.StatusOK, d.labelPage(r, c))
	return nil
}

func (d *Pages) labelPage(r *http.Request, c endpoint.Credential) web.EditKeyPage {
	e, _ := d.cfg.Control.Endpoint(c.Slug)
	p := web.EditKeyPage{Slug: c.Slug, ID: c.ID, Endpoint: e.Name, Title: c.Label, Label: c.Label}
	p.FormToken = d.cfg.Owner.FormTokens(r)(p.Action())
	return p
}

func (d *Pages) labelFromForm(w http.ResponseWriter, r *http.Request) error {
	c, err := d.cfg.Control.CredentialOf(r.PathValue("slug"), r.PathValue("id"))
	if err != nil {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	if err := d.cfg.Control.LabelKey(c.Slug, c.ID, r.PostFormValue("label")); err != nil {
		e, status, ok := problem.FieldOf(err)
		if !ok {
			return err
		}
		p := d.labelPage(r, c)
		p.Label, p.Error = r.PostFormValue("label"), e.Err.Msg
		if e.Err.Msg == web.TextLabelIsKey {
			p.Label = "" // a page never carries a key
		}
		d.cfg.Shell.Render(w, r, status, p)
		return nil
	}
	return shell.Done(w, r, shell.ServerPath(c.Slug), "saved")
}

func (d *Pages) showDeleteKey(w http.ResponseWriter, r *http.Request) error {
	c, err := d.cfg.Control.CredentialOf(r.PathValue("slug"), r.PathValue("id"))
	if err != nil {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	users, err := d.cfg.Control.UsersOf(c.ID)
	if err != nil {
		return d.cfg.Control.Explain(err)
	}
	e, _ := d.cfg.Control.Endpoint(c.Slug)
	p := web.DeleteKey(web.EditKeyPage{Slug: c.Slug, ID: c.ID, Endpoint: e.Name, Title: c.Label}, d.clientNames(users))
	p.FormToken = d.cfg.Owner.FormTokens(r)(p.Action)
	d.cfg.Shell.Render(w, r, http.StatusOK, p)
	return nil
}

// clientNames names the apps of grants for people.
func (d *Pages) clientNames(grants []oauth.Grant) []string {
	var names []string
	for _, g := range grants {
		names = append(names, d.cfg.Control.App(&g).String())
	}
	return names
}

func (d *Pages) deleteKeyFromForm(w http.ResponseWriter, r *http.Request) error {
	if err := d.cfg.Control.DeleteKey(r.PathValue("slug"), r.PathValue("id")); err != nil {
		return err
	}
	return shell.Done(w, r, shell.ServerPath(r.PathValue("slug")), "keygone")
}
