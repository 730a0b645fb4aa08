package dashboard

import (
	"bytes"
	"io"
	"net/http"

	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/shell"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

func (d *Dashboard) downloadExport(w http.ResponseWriter, r *http.Request) error {
	file, err := d.cfg.Control.Export()
	if err != nil {
		return err
	}
	return httpx.WriteFile(w, control.ExportName, "application/json", file)
}

// importFromForm shows what a file would add. The second form carries the file
// again and adds it.
func (d *Dashboard) importFromForm(w http.ResponseWriter, r *http.Request) error {
	file, err := sentFile(r)
	if err != nil {
		return err
	}
	confirmed := r.PostFormValue("confirm") != ""
	var in control.ImportPlan
	if confirmed {
		in, err = d.cfg.Control.Import(file)
	} else {
		in, err = d.cfg.Control.PlanImport(file)
	}
	if err != nil {
		e, status, ok := problem.FieldOf(err)
		if !ok {
			return err
		}
		return d.renderSettings(w, r, status, []web.Notice{{Kind: web.NoticeError, Text: e.Err.Msg}})
	}
	if confirmed {
		return shell.Done(w, r, "/", "import")
	}
	const action = "/settings/import"
	p := web.Import{File: string(bytes.ToValidUTF8(file, nil)), Action: action, FormToken: d.cfg.Owner.FormTokens(r)(action)}
	for _, e := range in.Added {
		p.Added = append(p.Added, web.ImportRow{Name: e.Name, UpstreamHost: e.UpstreamHost(), QueryLeftOut: e.HasQuery})
	}
	for _, e := range in.Skipped {
		p.Skipped = append(p.Skipped, web.ImportRow{Name: e.Name, UpstreamHost: e.UpstreamHost()})
	}
	d.render(w, r, http.StatusOK, p)
	return nil
}

// sentFile returns the file that a form sends, as an upload or as text.
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
