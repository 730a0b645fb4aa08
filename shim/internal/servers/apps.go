package servers

import (
	"net/http"
	"strconv"

	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// showApps shows the apps of a server, a page at a time. A page past the last
// one, as after some were disconnected, is the last one.
func (d *Pages) showApps(w http.ResponseWriter, r *http.Request) error {
	e, ok := d.cfg.Control.Endpoint(r.PathValue("slug"))
	if !ok {
		return httpx.New(http.StatusNotFound, web.TextNoPage)
	}
	page, err := strconv.Atoi(r.URL.Query().Get("page"))
	if err != nil || page < 1 {
		page = 1
	}
	apps, total, err := d.cfg.Control.AppsPage(e.Slug, page)
	if err != nil {
		return err
	}
	pages := max(1, (total+control.PageSize-1)/control.PageSize)
	if page > pages {
		page = pages
		if apps, total, err = d.cfg.Control.AppsPage(e.Slug, page); err != nil {
			return err
		}
	}
	o := d.cfg.Control.Server(e)
	d.cfg.Shell.Render(w, r, http.StatusOK, web.Apps{
		Version: d.cfg.Version, Slug: e.Slug, Server: e.Name,
		Grants: d.grantRows(apps, o.Credentials), First: (page-1)*control.PageSize + 1, Total: total, Page: page, Pages: pages,
	})
	return nil
}
