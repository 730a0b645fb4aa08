package dashboard

import (
	"net/http"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

func (d *Dashboard) showDeleteEverything(w http.ResponseWriter, r *http.Request) error {
	return d.renderDeleteEverything(w, r, http.StatusOK, "")
}

func (d *Dashboard) renderDeleteEverything(w http.ResponseWriter, r *http.Request, status int, problem string) error {
	const action = "/settings/delete"
	own := d.cfg.Control.Owned()
	p := web.DeleteEverythingPage{
		Servers: len(d.cfg.Control.Endpoints()), Items: own.Items, KeyFile: own.KeyFile, DataDir: d.cfg.Control.Settings().DataDir,
		Error: problem, Action: action, FormToken: d.cfg.Owner.FormTokens(r)(action),
	}
	for _, e := range d.cfg.Control.Endpoints() {
		p.Keys += len(d.cfg.Control.Credentials(e.Slug))
	}
	p.Apps = d.cfg.Status().Grants
	p.Authtoken = d.cfg.Reach.KeepsAuthtoken()
	d.render(w, r, status, p)
	return nil
}

func (d *Dashboard) deleteEverythingFromForm(w http.ResponseWriter, r *http.Request) error {
	if !strings.EqualFold(strings.Trim(r.PostFormValue("word"), " .\u201c\u201d\"'"), web.DeleteWord()) {
		return d.renderDeleteEverything(w, r, http.StatusUnprocessableEntity, web.TextTypeDelete)
	}
	left, err := d.cfg.Control.DeleteEverything()
	if err != nil {
		d.cfg.Log.Error("not everything could be deleted", "err", err)
		left = append(left, web.TextNotAllDeleted)
	}
	d.cfg.Owner.DropCookie(w)
	web.Render(w, http.StatusOK, web.DonePage{Title: web.TextDeletedTitle, Words: problem.Join(web.TextDeleted, strings.Join(left, " "))})
	return nil
}
