package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// render shows one of the owner's pages below the header.
func (d *Dashboard) render(w http.ResponseWriter, r *http.Request, status int, p web.Page) {
	d.Bar(r).Render(w, status, p)
}

// Bar is the header of the owner's pages, with the banner of what is most
// urgent.
func (d *Dashboard) Bar(r *http.Request) web.Bar {
	st := d.cfg.Status()
	return d.barOf(r, st, st.Concerns)
}

func (d *Dashboard) barOf(r *http.Request, st api.Status, concerns []api.Concern) web.Bar {
	b := web.NetBar(st.Internet, d.cfg.Reach.Origin())
	b.Paused, b.Token = st.Paused, d.cfg.Owner.FormTokens(r)
	if all := web.Banners(concerns[:min(1, len(concerns))], b.Token); len(all) > 0 {
		b.Banner = &all[0]
	}
	return b
}

// showLiveBar is the header alone, for the script of a page that is open.
func (d *Dashboard) showLiveBar(w http.ResponseWriter, r *http.Request) error {
	d.render(w, r, http.StatusOK, web.BarPage{})
	return nil
}

// tabs are the pages that the header leads to.
var tabs = []string{"/", "/activity", "/tunnel", "/check", "/settings"}

// cameFrom is the page that a form of the header was on, or the home page where
// it is none that can be opened again.
func cameFrom(r *http.Request) string {
	u, err := url.Parse(r.Referer())
	if err != nil || u.Host != r.Host {
		return "/"
	}
	if slug, ok := strings.CutPrefix(u.Path, "/servers/"); slices.Contains(tabs, u.Path) || ok && anchor.MatchString(slug) {
		return u.Path
	}
	return "/"
}
