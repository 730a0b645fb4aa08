// Package servers is the pages of one server: what it is and how it stands, its
// apps and keys, the forms that add and change it, and those that were deleted.
// The forms call control, and nothing is decided here.
package servers

import (
	"net/http"

	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/samples"
	"github.com/key2oauth/key2oauth/shim/internal/shell"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
)

// Config is what the pages show and act on. All of it must be set.
type Config struct {
	Shell    *shell.Shell
	Owner    *owner.Owner
	Control  *control.Control
	Sample   *samples.Sample
	Timeline *timeline.Recorder
	Version  string
}

// Pages serves the pages.
type Pages struct{ cfg Config }

// New returns the pages.
func New(cfg Config) *Pages { return &Pages{cfg: cfg} }

// Routes registers the pages.
func (d *Pages) Routes(page func(pattern string, h httpx.HandlerFunc)) {
	show, form := d.cfg.Owner.Page, d.cfg.Owner.Form
	page("POST /servers", form(d.createFromForm))
	page("GET /servers/add", show(d.showAdd))
	page("GET /servers/deleted", show(d.showDeleted))
	page("POST /servers/deleted", form(d.restoreFromForm))
	page("GET /servers/{slug}", show(d.showServer))
	page("GET /live/servers/{slug}", d.cfg.Owner.Script(d.showServer))
	page("GET /servers/{slug}/edit", show(d.showEdit))
	page("POST /servers/{slug}/edit", form(d.editFromForm))
	page("GET /servers/{slug}/again", show(d.showAgain))
	page("POST /servers/{slug}/again", form(d.againFromForm))
	page("GET /servers/{slug}/apps", show(d.showApps))
	page("GET /servers/{slug}/key", show(d.showKey))
	page("POST /servers/{slug}/key", form(d.keyFromForm))
	page("GET /servers/{slug}/delete", show(d.showDelete))
	page("POST /servers/{slug}/delete", form(d.deleteFromForm))
	page("GET /servers/{slug}/keys/{id}", show(d.showLabel))
	page("POST /servers/{slug}/keys/{id}", form(d.labelFromForm))
	page("GET /servers/{slug}/keys/{id}/delete", show(d.showDeleteKey))
	page("POST /servers/{slug}/keys/{id}/delete", form(d.deleteKeyFromForm))
	page("GET /grants/{id}/revoke", show(d.showRevoke))
	page("POST /grants/{id}/revoke", form(d.revokeFromForm))
}

// field returns a form's field for functions in which nil means "not typed".
func field(r *http.Request, name string) *string {
	v := r.PostFormValue(name)
	return &v
}
