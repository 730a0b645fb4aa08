package shim

import (
	"net/http"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

func (s *Shim) apiPatchKey(w http.ResponseWriter, r *http.Request) error {
	var in api.CredentialChange
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := s.control.LabelKey(r.PathValue("slug"), r.PathValue("id"), in.Label); err != nil {
		return err
	}
	return s.writeSlug(w, r.PathValue("slug"), "")
}

func (s *Shim) apiDeleteKey(w http.ResponseWriter, r *http.Request) error {
	if err := s.control.DeleteKey(r.PathValue("slug"), r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Shim) showLabel(w http.ResponseWriter, r *http.Request) error {
	c, err := s.control.CredentialOf(r.PathValue("slug"), r.PathValue("id"))
	if err != nil {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	web.Render(w, http.StatusOK, s.labelPage(r, c))
	return nil
}

func (s *Shim) labelPage(r *http.Request, c endpoint.Credential) web.EditKey {
	e, _ := s.vault.Endpoint(c.Slug)
	p := web.EditKey{Slug: c.Slug, ID: c.ID, Endpoint: e.Name, Title: c.Label, Label: c.Label}
	p.FormToken = s.owner.FormTokens(r)(p.Action())
	return p
}

func (s *Shim) labelFromForm(w http.ResponseWriter, r *http.Request) error {
	c, err := s.control.CredentialOf(r.PathValue("slug"), r.PathValue("id"))
	if err != nil {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	if err := s.control.LabelKey(c.Slug, c.ID, r.PostFormValue("label")); err != nil {
		e, status, ok := problem.FieldOf(err)
		if !ok {
			return err
		}
		p := s.labelPage(r, c)
		p.Label, p.Error = r.PostFormValue("label"), e.Err.Msg
		if e.Err.Msg == web.TextLabelIsKey {
			p.Label = "" // a page never carries a key
		}
		web.Render(w, status, p)
		return nil
	}
	return done(w, r, "saved")
}

func (s *Shim) showDeleteKey(w http.ResponseWriter, r *http.Request) error {
	c, err := s.control.CredentialOf(r.PathValue("slug"), r.PathValue("id"))
	if err != nil {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	users, err := s.control.UsersOf(c.ID)
	if err != nil {
		return s.control.Explain(err)
	}
	e, _ := s.vault.Endpoint(c.Slug)
	p := web.DeleteKey(web.EditKey{Slug: c.Slug, ID: c.ID, Endpoint: e.Name, Title: c.Label}, clientNames(users))
	p.FormToken = s.owner.FormTokens(r)(p.Action)
	web.Render(w, http.StatusOK, p)
	return nil
}

// clientNames names grants for people.
func clientNames(grants []oauth.Grant) []string {
	var names []string
	for _, g := range grants {
		name := web.ClientName(g.ClientName, g.ClientID, g.Verified)
		if name == "" {
			name = oauth.RedirectHost(g.RedirectURI)
		}
		names = append(names, name)
	}
	return names
}

func (s *Shim) deleteKeyFromForm(w http.ResponseWriter, r *http.Request) error {
	if err := s.control.DeleteKey(r.PathValue("slug"), r.PathValue("id")); err != nil {
		return err
	}
	return done(w, r, "keygone")
}
