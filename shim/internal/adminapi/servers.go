package adminapi

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

func (a *API) create(w http.ResponseWriter, r *http.Request) error {
	var in api.NewEndpoint
	if err := readJSON(r, &in); err != nil {
		return err
	}
	e, note, err := a.cfg.Control.Create(r.Context(), in)
	if f, ok := errors.AsType[*problem.Field](err); ok && f.CanForce {
		return httpx.WriteJSON(w, f.Err.Status, api.Error{Error: f.Err.Msg, CanForce: true})
	}
	if err != nil {
		return err
	}
	o := a.cfg.Control.Server(e)
	return httpx.WriteJSON(w, http.StatusCreated, api.CreatedEndpoint{
		Slug: o.Slug, MCPEndpoint: o.MCPEndpoint, LocalMCPEndpoint: o.LocalMCPEndpoint, DisplayName: o.DisplayName, Note: note,
	})
}

func (a *API) list(w http.ResponseWriter, r *http.Request) error {
	return httpx.WriteJSON(w, http.StatusOK, api.Endpoints{Slugs: a.cfg.Control.Servers()})
}

func (a *API) writeSlug(w http.ResponseWriter, slug, note string) error {
	e, ok := a.cfg.Control.Endpoint(slug)
	if !ok {
		return control.ErrNoServer
	}
	o := a.cfg.Control.Server(e)
	o.Note = note
	return httpx.WriteJSON(w, http.StatusOK, o)
}

func (a *API) get(w http.ResponseWriter, r *http.Request) error {
	return a.writeSlug(w, r.PathValue("slug"), "")
}

func (a *API) patch(w http.ResponseWriter, r *http.Request) error {
	var in api.EndpointChange
	if err := readJSON(r, &in); err != nil {
		return err
	}
	note, err := a.cfg.Control.Edit(r.PathValue("slug"), in)
	if err != nil {
		return err
	}
	return a.writeSlug(w, r.PathValue("slug"), note)
}

func (a *API) remove(w http.ResponseWriter, r *http.Request) error {
	if err := a.cfg.Control.Remove(r.PathValue("slug")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) putKey(w http.ResponseWriter, r *http.Request) error {
	var in api.KeyChange
	if err := readJSON(r, &in); err != nil {
		return err
	}
	slug := r.PathValue("slug")
	if in.Credential == "" {
		keys := a.cfg.Control.OwnerKeys(slug)
		if len(keys) > 1 {
			several := api.SeveralKeys{Error: web.TextSeveralKeys}
			for _, c := range keys {
				several.Credentials = append(several.Credentials, api.Credential{ID: c.ID, Label: c.Label, State: string(c.State)})
			}
			return httpx.WriteJSON(w, http.StatusConflict, several)
		}
		if len(keys) == 1 {
			in.Credential = keys[0].ID
		}
	}
	if _, err := a.cfg.Control.ReplaceKey(r.Context(), slug, in.Credential, in.Key, in.Force); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// grants lists the connected apps, oldest first. There may be very many, so they
// are written one after the other. slug, offset and limit narrow the list.
func (a *API) grants(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	var offset, limit int
	for name, n := range map[string]*int{"offset": &offset, "limit": &limit} {
		if v := q.Get(name); v != "" {
			var err error
			if *n, err = strconv.Atoi(v); err != nil || *n < 0 {
				return httpx.New(http.StatusBadRequest, name+" must be a number, not below 0")
			}
		}
	}
	out := &listWriter{w: w, name: "grants"}
	return out.end(a.cfg.Control.EachApp(q.Get("slug"), offset, limit, func(g control.Grant) error { return out.add(g.Grant) }))
}

func (a *API) revoke(w http.ResponseWriter, r *http.Request) error {
	if err := a.cfg.Control.Disconnect(r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) status(w http.ResponseWriter, r *http.Request) error {
	return httpx.WriteJSON(w, http.StatusOK, a.cfg.Status())
}

func (a *API) pause(paused bool) httpx.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := a.cfg.Control.SetPaused(paused); err != nil {
			return err
		}
		return httpx.WriteJSON(w, http.StatusOK, a.cfg.Status())
	}
}

// quit ends the program once calls have finished, as Ctrl-C does.
func (a *API) quit(w http.ResponseWriter, _ *http.Request) error {
	a.cfg.Control.Quit()
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// open returns an owner's link. Pages have no use for one, so only the admin
// token is accepted.
func (a *API) open(w http.ResponseWriter, r *http.Request) error {
	var in api.OpenPage
	if r.ContentLength != 0 {
		if err := readJSON(r, &in); err != nil {
			return err
		}
	}
	path, ok := pages[in.Page]
	if !ok {
		return httpx.New(http.StatusBadRequest, "there is no such page; name one of activity, internet, health, settings, move")
	}
	return httpx.WriteJSON(w, http.StatusCreated, api.OwnerLink{Link: a.cfg.Owner.Link(path)})
}

// pages are those that a link may be asked for.
var pages = map[string]string{
	"": "/", "servers": "/", "activity": "/activity", "internet": "/tunnel", "health": "/check", "settings": "/settings", "move": "/settings/move",
}

func (a *API) patchKey(w http.ResponseWriter, r *http.Request) error {
	var in api.CredentialChange
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := a.cfg.Control.LabelKey(r.PathValue("slug"), r.PathValue("id"), in.Label); err != nil {
		return err
	}
	return a.writeSlug(w, r.PathValue("slug"), "")
}

func (a *API) deleteKey(w http.ResponseWriter, r *http.Request) error {
	if err := a.cfg.Control.DeleteKey(r.PathValue("slug"), r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) removeDamaged(w http.ResponseWriter, r *http.Request) error {
	if err := a.cfg.Control.RemoveDamaged(r.PathValue("kind"), r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
