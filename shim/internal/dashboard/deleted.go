package dashboard

import (
	"net/http"

	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// showDeleted lists the servers that can be restored.
func (d *Dashboard) showDeleted(w http.ResponseWriter, r *http.Request) error {
	all, err := d.cfg.Control.DeletedServers()
	if err != nil {
		return d.cfg.Control.Explain(err)
	}
	p := web.Deleted{Version: d.cfg.Version, Notices: doneNotices(r), Token: d.cfg.Owner.FormTokens(r)}
	for _, e := range all {
		p.Rows = append(p.Rows, web.DeletedRow{Slug: e.Slug, Name: e.Name, Host: e.UpstreamHost(), Deleted: web.Ago(e.At), Until: web.Day(e.Until)})
	}
	d.render(w, r, http.StatusOK, p)
	return nil
}

// restoreFromForm restores a server, or deletes it for good.
func (d *Dashboard) restoreFromForm(w http.ResponseWriter, r *http.Request) error {
	slug := r.PostFormValue("slug")
	if r.PostFormValue("action") == "forget" {
		if err := d.cfg.Control.Forget(slug); err != nil {
			return err
		}
		return done(w, r, "/servers/deleted", "forgot")
	}
	if err := d.cfg.Control.Restore(slug); err != nil {
		return err
	}
	return done(w, r, serverPath(slug), "restore")
}
