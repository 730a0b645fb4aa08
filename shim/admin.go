package shim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

func showAPIError(w http.ResponseWriter, _ *http.Request, e *httpx.Error) {
	httpx.WriteJSON(w, e.Status, api.Error{Error: e.Msg})
}

// A grantObject is one grant in the answers of the API.
type grantObject struct {
	api.Grant
	verified bool
}

func (s *Shim) slugObject(e endpoint.Endpoint) api.Endpoint {
	local := endpoint.MCPURL(s.local.Load().as.Issuer, e.Slug)
	o := api.Endpoint{
		Slug: e.Slug, UpstreamURL: e.ShownURL(), DisplayName: e.Name,
		AuthHeaderName: e.Header.Name, AuthHeaderPrefix: e.Header.Prefix,
		MCPEndpoint: local, LocalMCPEndpoint: local,
		State: api.EndpointNoKey, Credentials: []api.Credential{}, Created: e.Created.UTC(), LastUsed: whenSet(e.LastUsed),
	}
	if p := s.PublicOrigin(); p != "" {
		o.MCPEndpoint = endpoint.MCPURL(p, e.Slug)
	}
	locked := waiting(s.vault.Keychain())
	for _, c := range s.vault.Credentials(e.Slug) {
		who := api.ForOwner
		if c.Grant != "" {
			who = api.ForGrant
		}
		o.Credentials = append(o.Credentials, api.Credential{ID: c.ID, Label: c.Label, State: string(c.State), For: who})
		// The worst of the credentials names the endpoint's state.
		switch {
		case locked:
			o.State = api.EndpointLocked
		case c.State == endpoint.Rejected || o.State == api.EndpointRejected:
			o.State = api.EndpointRejected
		case c.State == endpoint.KeyNeeded || o.State == api.EndpointKeyNeeded:
			o.State = api.EndpointKeyNeeded
		default:
			o.State = api.EndpointOK
		}
	}
	return o
}

func whenSet(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (s *Shim) slugObjects() ([]api.Endpoint, error) {
	all := []api.Endpoint{}
	for _, e := range s.vault.Endpoints() {
		all = append(all, s.slugObject(e))
	}
	return all, nil
}

func (s *Shim) grantObjects() ([]grantObject, error) {
	grants, err := s.vault.Grants()
	if err != nil {
		return nil, err
	}
	all := []grantObject{}
	for _, g := range grants {
		all = append(all, grantObject{api.Grant{
			ID: g.ID, Slug: g.Slug, ClientID: g.ClientID, ClientName: g.ClientName, RedirectHost: oauth.RedirectHost(g.RedirectURI),
			Origin: g.Origin, Credential: g.Credential, Created: g.Created.UTC(), LastUsed: whenSet(s.tokens.LastUsed(g)),
		}, g.Verified})
	}
	return all, nil
}

// listed returns what both of these do. The last use of an endpoint is saved a
// second after the call; here it is that of its grants, which are known at
// once.
func (s *Shim) listed() ([]api.Endpoint, []grantObject, error) {
	slugs, err := s.slugObjects()
	if err != nil {
		return nil, nil, err
	}
	grants, err := s.grantObjects()
	if err != nil {
		return nil, nil, err
	}
	used := make(map[string]*time.Time)
	for _, g := range grants {
		if at := g.LastUsed; at != nil && (used[g.Slug] == nil || at.After(*used[g.Slug])) {
			used[g.Slug] = at
		}
	}
	for i := range slugs {
		o := &slugs[i]
		if at := used[o.Slug]; at != nil && (o.LastUsed == nil || at.After(*o.LastUsed)) {
			o.LastUsed = at
		}
	}
	return slugs, grants, nil
}

// readJSON decodes a request body. Fields that we do not know are refused: a
// misspelt one would otherwise be lost in silence.
func readJSON(r *http.Request, v any) error {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return httpx.New(http.StatusUnsupportedMediaType, "send JSON, with Content-Type: application/json")
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return badJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return httpx.New(http.StatusBadRequest, "there is something after the JSON object")
	}
	return nil
}

// badJSON says what is wrong without repeating what was sent: the body may
// hold a key.
func badJSON(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return httpx.New(http.StatusRequestEntityTooLarge, "the request is too long")
	}
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return httpx.New(http.StatusBadRequest, fmt.Sprintf("%q has the wrong type: want a %s", t.Field, t.Type))
	}
	if f, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return httpx.New(http.StatusBadRequest, "there is no field "+f)
	}
	return httpx.New(http.StatusBadRequest, "the request is not a JSON object")
}

func (s *Shim) apiCreate(w http.ResponseWriter, r *http.Request) error {
	var in api.NewEndpoint
	if err := readJSON(r, &in); err != nil {
		return err
	}
	m, err := s.create(r.Context(), newEndpoint{URL: in.UpstreamURL, Name: in.DisplayName, Header: in.HeaderName, Prefix: in.Prefix, Key: in.Key, Force: in.Force})
	if err != nil {
		return err
	}
	o := s.slugObject(m.Endpoint)
	return httpx.WriteJSON(w, http.StatusCreated, api.CreatedEndpoint{
		Slug: o.Slug, MCPEndpoint: o.MCPEndpoint, LocalMCPEndpoint: o.LocalMCPEndpoint, DisplayName: o.DisplayName, Note: m.Note,
	})
}

func (s *Shim) apiList(w http.ResponseWriter, r *http.Request) error {
	all, err := s.slugObjects()
	if err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, api.Endpoints{Slugs: all})
}

func (s *Shim) writeSlug(w http.ResponseWriter, slug, note string) error {
	e, ok := s.vault.Endpoint(slug)
	if !ok {
		return errNoEndpoint
	}
	o := s.slugObject(e)
	o.Note = note
	return httpx.WriteJSON(w, http.StatusOK, o)
}

func (s *Shim) apiGet(w http.ResponseWriter, r *http.Request) error {
	return s.writeSlug(w, r.PathValue("slug"), "")
}

func (s *Shim) apiPatch(w http.ResponseWriter, r *http.Request) error {
	var in api.EndpointChange
	if err := readJSON(r, &in); err != nil {
		return err
	}
	note, err := s.edit(r.PathValue("slug"), change{URL: in.UpstreamURL, Name: in.DisplayName, Header: in.HeaderName, Prefix: in.Prefix})
	if err != nil {
		return err
	}
	return s.writeSlug(w, r.PathValue("slug"), note)
}

func (s *Shim) apiDelete(w http.ResponseWriter, r *http.Request) error {
	if err := s.remove(r.PathValue("slug")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Shim) apiPutKey(w http.ResponseWriter, r *http.Request) error {
	var in api.KeyChange
	if err := readJSON(r, &in); err != nil {
		return err
	}
	slug := r.PathValue("slug")
	if in.Credential == "" {
		keys := s.ownerKeys(slug)
		if len(keys) > 1 {
			several := api.SeveralKeys{Error: "this endpoint has several keys; say which one to replace with \"credential\""}
			for _, c := range keys {
				several.Credentials = append(several.Credentials, api.Credential{ID: c.ID, Label: c.Label, State: string(c.State)})
			}
			return httpx.WriteJSON(w, http.StatusConflict, several)
		}
		if len(keys) == 1 {
			in.Credential = keys[0].ID
		}
	}
	if _, err := s.replaceKey(r.Context(), slug, in.Credential, in.Key, in.Force); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Shim) apiGrants(w http.ResponseWriter, r *http.Request) error {
	grants, err := s.grantObjects()
	if err != nil {
		return err
	}
	all := []api.Grant{}
	for _, g := range grants {
		all = append(all, g.Grant)
	}
	return httpx.WriteJSON(w, http.StatusOK, api.Grants{Grants: all})
}

func (s *Shim) apiRevoke(w http.ResponseWriter, r *http.Request) error {
	if err := s.revoke(r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Shim) apiStatus(w http.ResponseWriter, r *http.Request) error {
	return httpx.WriteJSON(w, http.StatusOK, s.Status())
}

// apiEvents streams the status, now and whenever it changes, and calls as they
// end.
func (s *Shim) apiEvents(w http.ResponseWriter, r *http.Request) error {
	const atMostEvery = 200 * time.Millisecond
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	c := http.NewResponseController(w)
	send := func(event string) bool {
		_, err := io.WriteString(w, event)
		return err == nil && c.Flush() == nil
	}
	alive := time.NewTicker(20 * time.Second)
	defer alive.Stop()
	changed, more := s.changes.Wait()
	calls := s.activity.End()
	for fresh := true; ; {
		if fresh {
			id := s.changes.ID()
			b, err := json.Marshal(s.Status())
			if err != nil {
				return err
			}
			if !send("event: status\nid: "+id+"\ndata: "+string(b)+"\n\n") || !more {
				return nil
			}
		}
		var called <-chan struct{}
		var ok bool
		if calls, called, ok = s.sendCalls(calls, send); !ok {
			return nil
		}
		select {
		case <-called:
			time.Sleep(atMostEvery)
			fresh = false
		case <-changed:
			// Several changes at once are one. What changes from here on is
			// waited for next.
			time.Sleep(atMostEvery)
			changed, more = s.changes.Wait()
			fresh = true
		case <-alive.C:
			fresh = false
			if !send(":\n\n") {
				return nil
			}
		case <-r.Context().Done():
			return nil
		}
	}
}

func (s *Shim) apiPause(paused bool) httpx.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := s.SetPaused(paused); err != nil {
			return s.explainState(err)
		}
		return httpx.WriteJSON(w, http.StatusOK, s.Status())
	}
}

// apiQuit ends the program once calls have finished, as Ctrl-C does.
func (s *Shim) apiQuit(w http.ResponseWriter, _ *http.Request) error {
	s.log.Info("the owner ends the program")
	s.quitting.Do(func() { close(s.quit) })
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// apiOpen hands out an owner's link. A page has no use for one: only the admin
// token is good here.
func (s *Shim) apiOpen(w http.ResponseWriter, r *http.Request) error {
	return httpx.WriteJSON(w, http.StatusCreated, api.OwnerLink{Link: s.OwnerLink("/")})
}
