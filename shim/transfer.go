package shim

import (
	"bytes"
	"io"
	"net/http"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// maxImport is how long a request with a file may be: a form may write three
// characters for one.
const maxImport = 4 * endpoint.MaxExport

// bodyLimit is how long the body of a request to the owner's side may be.
func bodyLimit(path string) int64 {
	switch path {
	case "/settings/import", "/api/import":
		return maxImport
	}
	return 64 << 10
}

func (s *Shim) apiExport(w http.ResponseWriter, r *http.Request) error {
	return s.writeExport(w)
}

func (s *Shim) writeExport(w http.ResponseWriter) error {
	b, err := s.control.Export()
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="key2oauth-servers.json"`)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	_, err = w.Write(b)
	return err
}

// apiImport takes the file itself as the request's body.
func (s *Shim) apiImport(w http.ResponseWriter, r *http.Request) error {
	file, err := io.ReadAll(r.Body)
	if err != nil {
		return badJSON(err)
	}
	in, err := s.control.Import(file)
	if err != nil {
		return err
	}
	answer := api.Imported{Added: []api.Endpoint{}, Skipped: []string{}}
	for _, e := range in.Added {
		o := s.control.Server(e)
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

func (s *Shim) downloadExport(w http.ResponseWriter, r *http.Request) error { return s.writeExport(w) }

// importFromForm shows what a file would bring, and on the second form, which
// carries the file on, brings it.
func (s *Shim) importFromForm(w http.ResponseWriter, r *http.Request) error {
	file, err := sentFile(r)
	if err != nil {
		return err
	}
	confirmed := r.PostFormValue("confirm") != ""
	var in control.ImportPlan
	if confirmed {
		in, err = s.control.Import(file)
	} else {
		in, err = s.control.PlanImport(file)
	}
	if err != nil {
		e, status, ok := problem.FieldOf(err)
		if !ok {
			return err
		}
		return s.renderSettings(w, r, status, []web.Notice{{Kind: "error", Text: e.Err.Msg}})
	}
	if confirmed {
		return done(w, r, "import")
	}
	const action = "/settings/import"
	p := web.Import{File: string(bytes.ToValidUTF8(file, nil)), Action: action, FormToken: s.owner.FormTokens(r)(action)}
	for _, e := range in.Added {
		p.Added = append(p.Added, web.ImportRow{Name: e.Name, UpstreamHost: e.UpstreamHost(), QueryLeftOut: e.HasQuery})
	}
	for _, e := range in.Skipped {
		p.Skipped = append(p.Skipped, web.ImportRow{Name: e.Name, UpstreamHost: e.UpstreamHost()})
	}
	web.Render(w, http.StatusOK, p)
	return nil
}

// sentFile is the file that a form sends, as such or as a text.
func sentFile(r *http.Request) ([]byte, error) {
	if text := r.PostFormValue("file"); text != "" {
		return []byte(text), nil
	}
	f, _, err := r.FormFile("file")
	if err != nil {
		return nil, nil // none was chosen: an empty one is refused with words
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, endpoint.MaxExport+1))
	if err != nil {
		return nil, &httpx.Error{Status: http.StatusBadRequest, Msg: web.TextFileTorn, Err: err}
	}
	return b, nil
}
