package servers

import (
	"net/http"

	"github.com/key2oauth/key2oauth/shim/internal/shell"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// showDeleted lists the servers that can be restored.
func (d *Pages) showDeleted(w http.ResponseWriter, r *http.Request) error {
	all, err := d.cfg.Control.DeletedServers()
	if err != nil {
		return d.cfg.Control.Explain(err)
	}
	p := web.DeletedServers{Version: d.cfg.Version, Notices: shell.DoneNotices(r), Token: d.cfg.Owner.FormTokens(r)}
	for _, e := range all {
		p.Rows = append(p.Rows, web.DeletedRow{Slug: e.Slug, Name: e.Name, Host: e.UpstreamHost(), Deleted: web.Ago(e.At), Until: web.Day(e.Until)})
	}
	d.cfg.Shell.Render(w, r, http.StatusOK, p)
	return nil
}

// restoreFromForm restores a server, or deletes it for good.
func (d *Pages) restoreFromForm(w http.ResponseWriter, r *http.Request) error {
	slug := r.PostFormValue("slug")
	if r.PostFormValue("action") == "forget" {
		if err := d.cfg.Control.Forget(slug); err != nil {
			return err
		}
		return shell.Done(w, r, "/servers/deleted", "forgot")
	}
	if err := d.cfg.Control.Restore(slug); err != nil {
		return err
	}
	return shell.Done(w, r, shell.ServerPath(slug), "restore")
}
