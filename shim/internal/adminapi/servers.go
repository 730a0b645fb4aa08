package adminapi

import (
	"net/http"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

func (a *API) create(w http.ResponseWriter, r *http.Request) error {
	var in api.NewEndpoint
	if err := readJSON(r, &in); err != nil {
		return err
	}
	e, note, err := a.cfg.Control.Create(r.Context(), in)
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

func (a *API) grants(w http.ResponseWriter, r *http.Request) error {
	grants, err := a.cfg.Control.Grants()
	if err != nil {
		return err
	}
	all := []api.Grant{}
	for _, g := range grants {
		all = append(all, g.Grant)
	}
	return httpx.WriteJSON(w, http.StatusOK, api.Grants{Grants: all})
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
	return httpx.WriteJSON(w, http.StatusCreated, api.OwnerLink{Link: a.cfg.Owner.Link("/")})
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
