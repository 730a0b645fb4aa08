package adminapi

import (
	"io"
	"net/http"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

func (a *API) export(w http.ResponseWriter, r *http.Request) error {
	file, err := a.cfg.Control.Export()
	if err != nil {
		return err
	}
	return httpx.WriteFile(w, control.ExportName, "application/json", file)
}

// importFile takes the file as the request body.
func (a *API) importFile(w http.ResponseWriter, r *http.Request) error {
	file, err := io.ReadAll(r.Body)
	if err != nil {
		return badJSON(err)
	}
	in, err := a.cfg.Control.Import(file)
	if err != nil {
		return err
	}
	answer := api.ImportResult{Added: []api.Endpoint{}, Skipped: []string{}}
	for _, e := range in.Added {
		o := a.cfg.Control.Server(e)
		if e.HasQuery {
			o.Note = web.TextQueryLeftOut
		}
		answer.Added = append(answer.Added, o)
	}
	for _, e := range in.Skipped {
		answer.Skipped = append(answer.Skipped, e.Slug)
	}
	return httpx.WriteJSON(w, http.StatusOK, answer)
}

// backup needs the admin token, since it writes a file.
func (a *API) backup(w http.ResponseWriter, r *http.Request) error {
	var in api.Backup
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := a.cfg.Control.Backup(in.File, in.Replace); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
