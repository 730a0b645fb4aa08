package shim

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// showHome draws the owner's home page. Notices of the last action come by the
// query as words out of a fixed set, so that no link can make the page say
// anything else.
func (s *Shim) showHome(w http.ResponseWriter, r *http.Request) error {
	return s.renderHome(w, r, http.StatusOK, web.CreateForm{}, doneNotices(r))
}

// doneNotices says what was done, on the page that a form leads to.
func doneNotices(r *http.Request) []web.Notice {
	if n, ok := web.DoneNotices[r.URL.Query().Get("done")]; ok {
		return []web.Notice{n}
	}
	return nil
}

func done(w http.ResponseWriter, r *http.Request, what string) error {
	http.Redirect(w, r, "/?done="+what, http.StatusSeeOther)
	return nil
}

func (s *Shim) renderHome(w http.ResponseWriter, r *http.Request, status int, form web.CreateForm, notices []web.Notice) error {
	st := s.Status()
	p := web.Home{
		Version: s.version, LocalOrigin: st.LocalOrigin, PublicOrigin: s.PublicOrigin(),
		Keychain:      web.ShownKeychain(st.Keychain),
		TunnelTrouble: tunnelTrouble(st.Tunnel), DiskTrouble: problem.Join(st.Disk.Words, st.Disk.Next),
		Paused: st.Paused, Notices: notices, Create: form, Token: s.owner.FormTokens(r),
	}
	slugs, grants, err := s.control.Listed()
	if err != nil {
		return err
	}
	for _, o := range slugs {
		p.Endpoints = append(p.Endpoints, s.endpointRow(o, grants))
	}
	for _, q := range st.Pending {
		e, _ := s.vault.Endpoint(q.Slug)
		p.Pending = append(p.Pending, web.PendingRow{URL: q.URL, Client: q.ClientName, RedirectHost: q.RedirectHost, Endpoint: e.Name, Age: web.Ago(q.Created), Asked: q.Asked})
	}
	s.showWays(&p)
	p.Steps = s.firstSteps(st, slugs, grants)
	web.Render(w, status, p)
	return nil
}

func (s *Shim) endpointRow(o api.Endpoint, grants []control.Grant) web.EndpointRow {
	e, _ := s.vault.Endpoint(o.Slug)
	row := web.EndpointRow{
		Slug: o.Slug, Name: o.DisplayName, UpstreamHost: e.UpstreamHost(), UpstreamURL: o.UpstreamURL,
		MCPURL: o.MCPEndpoint, LocalMCPURL: o.LocalMCPEndpoint, State: o.State,
		Header: web.DescribeHeader(e.Header), Created: web.Ago(o.Created),
	}
	if o.LastUsed != nil {
		row.LastUsed = web.Ago(*o.LastUsed)
	}
	labels := make(map[string]string)
	for _, c := range o.Credentials {
		labels[c.ID] = c.Label
		row.Credentials = append(row.Credentials, web.CredentialRow{ID: c.ID, Label: c.Label, State: c.State, For: c.For})
	}
	for _, g := range grants {
		if g.Slug != o.Slug {
			continue
		}
		gr := web.GrantRow{ID: g.ID, Client: web.ClientName(g.ClientName, g.ClientID, g.Verified), Verified: g.Verified, RedirectHost: g.RedirectHost, Created: web.Ago(g.Created), Credential: labels[g.Credential]}
		if g.LastUsed != nil {
			gr.LastUsed = web.Ago(*g.LastUsed)
		}
		row.Grants = append(row.Grants, gr)
	}
	return row
}

// field returns a form's field for functions in which nil means "not typed".
func field(r *http.Request, name string) *string {
	v := r.PostFormValue(name)
	return &v
}

// createFromForm adds an endpoint. Whatever is wrong, the form comes back as it
// was, and the key waits on our side.
func (s *Shim) createFromForm(w http.ResponseWriter, r *http.Request) error {
	session, _ := s.owner.Session(r)
	f := web.CreateForm{
		UpstreamURL: r.PostFormValue("upstream_url"), Name: r.PostFormValue("display_name"),
		HeaderName: r.PostFormValue("auth_header_name"), HeaderPrefix: r.PostFormValue("auth_header_prefix"),
	}
	key := r.PostFormValue("api_key")
	if key == "" {
		key = s.control.FormKeys.Take(r.PostFormValue("key_held"), session)
	}
	back := func(status int) error {
		f.KeyHeld = s.control.FormKeys.Put(key, session)
		return s.renderHome(w, r, status, f, nil)
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
	in := api.NewEndpoint{UpstreamURL: f.UpstreamURL, DisplayName: f.Name, Key: key, Force: r.PostFormValue("force") != ""}
	if f.HeaderName != "" || f.HeaderPrefix != "" {
		in.HeaderName, in.Prefix = headerFields(f)
	}
	_, note, err := s.control.Create(r.Context(), in)
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
		return s.renderHome(w, r, http.StatusOK, web.CreateForm{}, []web.Notice{web.DoneNotices["added"], {Kind: "info", Text: note}})
	}
	return done(w, r, "added")
}

// headerFields reads the two header fields as the owner means them. They are
// shown filled in with the default; leaving that alone is no choice, so the
// usual headers may still be tried.
func headerFields(f web.CreateForm) (name, prefix *string) {
	d := endpoint.DefaultHeader
	if strings.EqualFold(strings.TrimSpace(f.HeaderName), d.Name) && strings.TrimSpace(f.HeaderPrefix) == strings.TrimSpace(d.Prefix) {
		return nil, nil
	}
	return &f.HeaderName, &f.HeaderPrefix
}

func (s *Shim) showEdit(w http.ResponseWriter, r *http.Request) error {
	e, ok := s.vault.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	web.Render(w, http.StatusOK, s.editPage(r, e))
	return nil
}

func (s *Shim) editPage(r *http.Request, e endpoint.Endpoint) web.EditEndpoint {
	return web.EditEndpoint{
		Slug: e.Slug, Title: e.Name, UpstreamURL: e.BaseURL, HasQuery: e.HasQuery, Name: e.Name,
		HeaderName: e.Header.Name, HeaderPrefix: e.Header.Prefix, FormToken: s.owner.FormTokens(r)("/endpoints/" + e.Slug),
	}
}

func (s *Shim) editFromForm(w http.ResponseWriter, r *http.Request) error {
	e, ok := s.vault.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	c := api.EndpointChange{DisplayName: field(r, "display_name"), HeaderName: field(r, "auth_header_name"), Prefix: field(r, "auth_header_prefix")}
	if u := strings.TrimSpace(r.PostFormValue("upstream_url")); u != e.BaseURL {
		c.UpstreamURL = &u
	}
	note, err := s.control.Edit(e.Slug, c)
	if err != nil {
		fe, status, ok := problem.FieldOf(err)
		if !ok {
			return err
		}
		p := s.editPage(r, e)
		p.UpstreamURL, p.Name = r.PostFormValue("upstream_url"), *c.DisplayName
		p.HeaderName, p.HeaderPrefix = *c.HeaderName, *c.Prefix
		p.Error, p.ErrorField = fe.Err.Msg, fe.Name
		web.Render(w, status, p)
		return nil
	}
	if note != "" {
		return s.renderHome(w, r, http.StatusOK, web.CreateForm{}, []web.Notice{{Kind: "warn", Text: note}})
	}
	return done(w, r, "saved")
}

func (s *Shim) keyPage(r *http.Request, e endpoint.Endpoint) web.ReplaceKey {
	p := web.ReplaceKey{
		Slug: e.Slug, Name: e.Name, UpstreamHost: e.UpstreamHost(), Selected: r.FormValue("credential"),
		FormToken: s.owner.FormTokens(r)("/endpoints/" + e.Slug + "/key"),
	}
	for _, c := range s.vault.Credentials(e.Slug) {
		label := c.Label
		if c.Grant != "" {
			label += " (one connection only)"
		}
		p.Credentials = append(p.Credentials, web.SavedKey{ID: c.ID, Label: label, State: string(c.State)})
	}
	return p
}

func (s *Shim) showKey(w http.ResponseWriter, r *http.Request) error {
	e, ok := s.vault.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	web.Render(w, http.StatusOK, s.keyPage(r, e))
	return nil
}

func (s *Shim) keyFromForm(w http.ResponseWriter, r *http.Request) error {
	e, ok := s.vault.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	session, _ := s.owner.Session(r)
	key := r.PostFormValue("api_key")
	if key == "" {
		key = s.control.FormKeys.Take(r.PostFormValue("key_held"), session)
	}
	credential := r.PostFormValue("credential")
	all := s.vault.Credentials(e.Slug)
	switch {
	case credential == "new":
		credential = ""
	case credential == "" && len(all) == 1:
		credential = all[0].ID
	case credential == "" && len(all) > 1:
		p := s.keyPage(r, e)
		p.Error, p.KeyHeld = web.TextChooseReplaced, s.control.FormKeys.Put(key, session)
		web.Render(w, http.StatusUnprocessableEntity, p)
		return nil
	}
	note, err := s.control.ReplaceKey(r.Context(), e.Slug, credential, key, r.PostFormValue("force") != "")
	if err != nil {
		fe, status, ok := problem.FieldOf(err)
		if !ok {
			return err
		}
		if fe.Name == "api_key" {
			key = ""
		}
		p := s.keyPage(r, e)
		p.Error, p.CanForce, p.KeyHeld = fe.Err.Msg, fe.CanForce, s.control.FormKeys.Put(key, session)
		web.Render(w, status, p)
		return nil
	}
	if note != "" {
		return s.renderHome(w, r, http.StatusOK, web.CreateForm{}, []web.Notice{{Kind: "warn", Text: fmt.Sprintf(web.TextKeySaved, note)}})
	}
	return done(w, r, "key")
}

func (s *Shim) showDelete(w http.ResponseWriter, r *http.Request) error {
	e, ok := s.vault.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	action := "/endpoints/" + e.Slug + "/delete"
	grants, err := s.control.Grants()
	if err != nil {
		return err
	}
	n := 0
	for _, g := range grants {
		if g.Slug == e.Slug {
			n++
		}
	}
	web.Render(w, http.StatusOK, web.Confirm{
		Title: fmt.Sprintf(web.TitleDelete, e.Name), Words: web.TextNoWayBack,
		Consequences: []string{
			web.KeysDeleted(len(s.vault.Credentials(e.Slug))),
			web.AppsSignedOut(n),
			web.TextAddressGone,
		},
		Action: action, FormToken: s.owner.FormTokens(r)(action), Button: web.ButtonDelete, Danger: true, Cancel: "/",
	})
	return nil
}

func (s *Shim) deleteFromForm(w http.ResponseWriter, r *http.Request) error {
	if err := s.control.Remove(r.PathValue("slug")); err != nil {
		return err
	}
	return done(w, r, "deleted")
}

func (s *Shim) showRevoke(w http.ResponseWriter, r *http.Request) error {
	g, err := s.vault.Grant(r.PathValue("id"))
	if err != nil {
		return httpx.New(http.StatusNotFound, web.TextGrantGone)
	}
	client := web.ClientName(g.ClientName, g.ClientID, g.Verified)
	if client == "" {
		client = oauth.RedirectHost(g.RedirectURI)
	}
	e, _ := s.vault.Endpoint(g.Slug)
	action := "/grants/" + g.ID + "/revoke"
	web.Render(w, http.StatusOK, web.Confirm{
		Title: fmt.Sprintf(web.TitleRevoke, client), Words: fmt.Sprintf(web.TextRevoke, e.Name),
		Consequences: []string{web.TextCallsStop, web.TextConnectAnew},
		Action:       action, FormToken: s.owner.FormTokens(r)(action), Button: web.ButtonRevoke, Danger: true, Cancel: "/",
	})
	return nil
}

func (s *Shim) revokeFromForm(w http.ResponseWriter, r *http.Request) error {
	if err := s.control.Disconnect(r.PathValue("id")); err != nil {
		return err
	}
	return done(w, r, "revoked")
}

func (s *Shim) pauseFromForm(paused bool) httpx.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := s.control.SetPaused(paused); err != nil {
			return s.control.Explain(err)
		}
		if paused {
			return done(w, r, "paused")
		}
		return done(w, r, "resumed")
	}
}

func (s *Shim) unlockFromForm(w http.ResponseWriter, r *http.Request) error {
	s.vault.Unlock()
	return done(w, r, "unlock")
}

func (s *Shim) keepFromForm(w http.ResponseWriter, r *http.Request) error {
	if err := s.vault.Keep(); err != nil {
		return s.control.Explain(err)
	}
	return done(w, r, "kept")
}
