// Package movepages is the pages on which everything moves to another computer.
// What moves is package mover's, and how it looks package web's.
package movepages

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/changes"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/mover"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/parcel"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// Config is what the pages show and act on. All of it must be set.
type Config struct {
	Owner   *owner.Owner
	Control *control.Control
	Mover   *mover.Mover
	Changes *changes.Feed
	Version string
	// Render draws a page below the header of the owner's pages.
	Render func(w http.ResponseWriter, r *http.Request, status int, p web.Page)
}

// Pages serves the pages.
type Pages struct{ cfg Config }

// New returns the pages.
func New(cfg Config) *Pages { return &Pages{cfg: cfg} }

// Routes registers the pages.
func (p *Pages) Routes(page func(pattern string, h httpx.HandlerFunc)) {
	page("GET /settings/move", p.cfg.Owner.Page(p.showMove))
	page("POST /settings/move/ask", p.cfg.Owner.Form(p.askMoveFromForm))
	page("POST /settings/move/out", p.confirmedForm(p.moveOutFromForm))
	page("POST /settings/move/in", p.confirmedForm(p.moveInFromForm))
	page("POST /settings/move/take", p.confirmedForm(p.takeFromForm))
}

// Path is the page of moving to another computer. A session alone must
// neither take keys out nor let apps in: it takes an owner's link to this page.
const Path = "/settings/move"

func (p *Pages) showMove(w http.ResponseWriter, r *http.Request) error {
	return p.renderMove(w, r, http.StatusOK, web.Move{Asked: r.URL.Query().Get("asked") != ""})
}

// askMoveFromForm has the desktop offer the link that confirms it.
func (p *Pages) askMoveFromForm(w http.ResponseWriter, r *http.Request) error {
	p.cfg.Owner.Ask(Path)
	p.cfg.Changes.Notify()
	time.AfterFunc(owner.AskedFor, p.cfg.Changes.Notify)
	http.Redirect(w, r, Path+"?asked=1", http.StatusSeeOther)
	return nil
}

func (p *Pages) renderMove(w http.ResponseWriter, r *http.Request, status int, page web.Move) error {
	page.Version, page.Confirmed, page.Token = p.cfg.Version, p.cfg.Owner.Confirmed(r, Path), p.cfg.Owner.FormTokens(r)
	if k := p.cfg.Control.Keychain(); !k.Usable() {
		page.NoKeychain = k.Words
	}
	p.cfg.Render(w, r, status, page)
	return nil
}

// confirmedForm accepts a form from an owner who has just confirmed it.
func (p *Pages) confirmedForm(h httpx.HandlerFunc) httpx.HandlerFunc {
	return p.cfg.Owner.Form(func(w http.ResponseWriter, r *http.Request) error {
		if !p.cfg.Owner.Confirmed(r, Path) {
			return p.renderMove(w, r, http.StatusForbidden, web.Move{})
		}
		return h(w, r)
	})
}

// moveOutFromForm answers with the file of everything.
func (p *Pages) moveOutFromForm(w http.ResponseWriter, r *http.Request) error {
	passphrase := endpoint.NewSecret(r.PostFormValue("passphrase"))
	if r.PostFormValue("again") != passphrase.Reveal() {
		return p.renderMove(w, r, http.StatusUnprocessableEntity, web.Move{Out: web.TextMoveDiffer, OutField: "again"})
	}
	file, err := p.cfg.Mover.Pack(passphrase)
	if err != nil {
		f, status, ok := problem.FieldOf(err)
		if !ok {
			return err
		}
		page := web.Move{Out: f.Err.Msg, OutField: f.Name}
		if f.Name == "" {
			page.OutField = "passphrase"
		}
		return p.renderMove(w, r, status, page)
	}
	p.cfg.Owner.Spend(r, Path)
	return httpx.WriteFile(w, mover.FileName(time.Now()), "application/octet-stream", file)
}

// moveInFromForm shows what a file brings.
func (p *Pages) moveInFromForm(w http.ResponseWriter, r *http.Request) error {
	file, err := uploaded(r, parcel.MaxSize)
	if err != nil {
		return err
	}
	var plan mover.Plan
	if len(file) == 0 {
		err = problem.Invalid("file", problem.Sentence(web.TextNoFile))
	} else {
		plan, err = p.cfg.Mover.Open(file, endpoint.NewSecret(r.PostFormValue("file_passphrase")))
	}
	if err != nil {
		f, status, ok := problem.FieldOf(err)
		if !ok {
			return err
		}
		page := web.Move{In: f.Err.Msg, InField: f.Name}
		if f.Name == "passphrase" {
			page.InField = "file_passphrase"
		}
		return p.renderMove(w, r, status, page)
	}
	page := web.MovePreview{
		Version: p.cfg.Version, ID: plan.ID, Made: plan.Made, Keys: plan.Keys, Missing: plan.Missing, Apps: plan.Apps,
		Elsewhere: plan.Elsewhere, Internet: plan.Internet, Token: p.cfg.Owner.FormTokens(r),
	}
	for _, s := range plan.Added {
		page.Added = append(page.Added, web.MoveRow{Name: s.Name, UpstreamHost: s.UpstreamHost()})
	}
	for _, s := range plan.Skipped {
		page.Skipped = append(page.Skipped, web.MoveRow{Name: s.Name, UpstreamHost: s.UpstreamHost()})
	}
	p.cfg.Render(w, r, http.StatusOK, page)
	return nil
}

// takeFromForm takes in what moveInFromForm showed.
func (p *Pages) takeFromForm(w http.ResponseWriter, r *http.Request) error {
	if err := p.cfg.Mover.Unpack(r.PostFormValue("id")); err != nil {
		return err
	}
	p.cfg.Owner.Spend(r, Path)
	http.Redirect(w, r, "/?done=moved", http.StatusSeeOther)
	return nil
}

// uploaded returns the file that a form sends.
func uploaded(r *http.Request, limit int64) ([]byte, error) {
	f, _, err := r.FormFile("file")
	if errors.Is(err, http.ErrMissingFile) || errors.Is(err, http.ErrNotMultipart) {
		return nil, nil
	}
	var b []byte
	if err == nil {
		defer f.Close()
		b, err = io.ReadAll(io.LimitReader(f, limit+1))
	}
	if err != nil {
		return nil, &httpx.Error{Status: http.StatusBadRequest, Msg: web.TextFileTorn, Err: err}
	}
	return b, nil
}
