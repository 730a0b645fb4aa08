package shim

import (
	"net/http"
	"slices"
	"strings"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

var errNoCredential = httpx.New(http.StatusNotFound, "this endpoint has no such credential")

// credentialOf returns a credential of an endpoint.
func (s *Shim) credentialOf(slug, id string) (endpoint.Credential, error) {
	if _, ok := s.vault.Endpoint(slug); !ok {
		return endpoint.Credential{}, errNoEndpoint
	}
	c, ok := s.vault.Credential(id)
	if !ok || c.Slug != slug {
		return endpoint.Credential{}, errNoCredential
	}
	return c, nil
}

// labelKey renames a key. Labels are shown to whoever looks at the screen, so
// none may have a part of a key in it.
func (s *Shim) labelKey(slug, id, typed string) error {
	c, err := s.credentialOf(slug, id)
	if err != nil {
		return err
	}
	label, err := endpoint.ParseLabel(typed)
	if err != nil {
		return problem.Invalid("label", err)
	}
	if slices.ContainsFunc(strings.Fields(label), looksLikeKey) {
		return problem.Invalid("label", problem.Sentence(web.TextLabelIsKey))
	}
	for _, other := range s.vault.Credentials(slug) {
		if other.ID != c.ID && strings.EqualFold(other.Label, label) {
			return problem.Invalid("label", problem.Sentence(web.TextLabelTaken))
		}
		if key, err := s.vault.Key(other.ID); err == nil && sharePart(label, key.Reveal()) {
			return problem.Invalid("label", problem.Sentence(web.TextLabelIsKey))
		}
	}
	if err := s.vault.LabelCredential(c.ID, label); err != nil {
		return s.explainState(err)
	}
	s.changed()
	return nil
}

// sharePart reports whether a label has so much of a key in it that it helps to
// guess the rest. A key shorter than that is no secret.
func sharePart(label, key string) bool {
	const part = 8
	for i := 0; i+part <= len(label); i++ {
		if strings.Contains(key, label[i:i+part]) {
			return true
		}
	}
	return false
}

// looksLikeKey reports whether a word is more likely a key, perhaps one that we
// do not have any more or not yet, than something that a person would type.
func looksLikeKey(word string) bool {
	const short = 20
	return len(word) >= short && strings.ContainsAny(word, "0123456789") && !strings.Contains(word, "@")
}

// usersOf lists the grants that use a credential.
func (s *Shim) usersOf(id string) ([]oauth.Grant, error) {
	grants, err := s.vault.Grants()
	if err != nil {
		return nil, err
	}
	var users []oauth.Grant
	for _, g := range grants {
		if g.Credential == id {
			users = append(users, g)
		}
	}
	return users, nil
}

// deleteKey deletes a key, and ends the grants that use it: nobody could ever
// repair them, since it is a key that is replaced.
func (s *Shim) deleteKey(slug, id string) error {
	c, err := s.credentialOf(slug, id)
	if err != nil {
		return err
	}
	users, err := s.usersOf(c.ID)
	if err != nil {
		return s.explainState(err)
	}
	for _, g := range users {
		if err := s.revoke(g.ID); err != nil {
			return err
		}
	}
	// With a grant that had a key of its own, the key has gone already.
	if _, ok := s.vault.Credential(c.ID); ok {
		if err := s.vault.DeleteCredential(c.ID); err != nil {
			return s.explainState(err)
		}
	}
	s.changed()
	return nil
}

func (s *Shim) apiPatchKey(w http.ResponseWriter, r *http.Request) error {
	var in api.CredentialChange
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := s.labelKey(r.PathValue("slug"), r.PathValue("id"), in.Label); err != nil {
		return err
	}
	return s.writeSlug(w, r.PathValue("slug"), "")
}

func (s *Shim) apiDeleteKey(w http.ResponseWriter, r *http.Request) error {
	if err := s.deleteKey(r.PathValue("slug"), r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Shim) showLabel(w http.ResponseWriter, r *http.Request) error {
	c, err := s.credentialOf(r.PathValue("slug"), r.PathValue("id"))
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
	c, err := s.credentialOf(r.PathValue("slug"), r.PathValue("id"))
	if err != nil {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	if err := s.labelKey(c.Slug, c.ID, r.PostFormValue("label")); err != nil {
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
	c, err := s.credentialOf(r.PathValue("slug"), r.PathValue("id"))
	if err != nil {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	users, err := s.usersOf(c.ID)
	if err != nil {
		return s.explainState(err)
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
	if err := s.deleteKey(r.PathValue("slug"), r.PathValue("id")); err != nil {
		return err
	}
	return done(w, r, "keygone")
}
