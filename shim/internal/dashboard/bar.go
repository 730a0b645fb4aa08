package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// render shows one of the owner's pages below the header.
func (d *Dashboard) render(w http.ResponseWriter, r *http.Request, status int, p web.Page) {
	d.Bar(r).Render(w, status, p)
}

// Bar is the header of the owner's pages.
func (d *Dashboard) Bar(r *http.Request) web.Bar {
	st := d.cfg.Status()
	b := web.NetBar(st.Tunnel, d.cfg.Reach.Origin())
	b.Paused, b.Token = st.Paused, d.cfg.Owner.FormTokens(r)
	return b
}

// showLiveBar is the header alone, for the script of a page that is open.
func (d *Dashboard) showLiveBar(w http.ResponseWriter, r *http.Request) error {
	if err := d.requireScript(r); err != nil {
		return err
	}
	d.render(w, r, http.StatusOK, web.BarPage{})
	return nil
}

// requireScript rejects callers that are not the script of one of the owner's
// pages, as it does pages of other origins.
func (d *Dashboard) requireScript(r *http.Request) error {
	if err := owner.RequireSameOrigin(r); err != nil {
		return err
	}
	if _, ok := d.cfg.Owner.Session(r); !ok {
		return httpx.New(http.StatusUnauthorized, web.TextNeedOwner)
	}
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
