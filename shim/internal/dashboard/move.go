package dashboard

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/mover"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/parcel"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/shell"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// PathMove is the page of moving to another computer. A session alone must
// neither take keys out nor let apps in: it takes an owner's link to this page.
const PathMove = "/settings/move"

func (d *Dashboard) showMove(w http.ResponseWriter, r *http.Request) error {
	return d.renderMove(w, r, http.StatusOK, web.Move{Asked: r.URL.Query().Get("asked") != ""})
}

// askMoveFromForm has the desktop offer the link that confirms it.
func (d *Dashboard) askMoveFromForm(w http.ResponseWriter, r *http.Request) error {
	d.cfg.Owner.Ask(PathMove)
	d.cfg.Changes.Notify()
	time.AfterFunc(owner.AskedFor, d.cfg.Changes.Notify)
	http.Redirect(w, r, PathMove+"?asked=1", http.StatusSeeOther)
	return nil
}

func (d *Dashboard) renderMove(w http.ResponseWriter, r *http.Request, status int, p web.Move) error {
	p.Version, p.Confirmed, p.Token = d.cfg.Version, d.cfg.Owner.Confirmed(r, PathMove), d.cfg.Owner.FormTokens(r)
	if k := d.cfg.Control.Keychain(); !k.Usable() {
		p.NoKeychain = k.Words
	}
	web.Render(w, status, p)
	return nil
}

// confirmedForm accepts a form from an owner who has just confirmed it.
func (d *Dashboard) confirmedForm(h httpx.HandlerFunc) httpx.HandlerFunc {
	return d.cfg.Owner.Form(func(w http.ResponseWriter, r *http.Request) error {
		if !d.cfg.Owner.Confirmed(r, PathMove) {
			return d.renderMove(w, r, http.StatusForbidden, web.Move{})
		}
		return h(w, r)
	})
}

// moveOutFromForm answers with the file of everything.
func (d *Dashboard) moveOutFromForm(w http.ResponseWriter, r *http.Request) error {
	passphrase := endpoint.NewSecret(r.PostFormValue("passphrase"))
	if r.PostFormValue("again") != passphrase.Reveal() {
		return d.renderMove(w, r, http.StatusUnprocessableEntity, web.Move{Out: web.TextMoveDiffer, OutField: "again"})
	}
	file, err := d.cfg.Mover.Pack(passphrase)
	if err != nil {
		f, status, ok := problem.FieldOf(err)
		if !ok {
			return err
		}
		p := web.Move{Out: f.Err.Msg, OutField: f.Name}
		if f.Name == "" {
			p.OutField = "passphrase"
		}
		return d.renderMove(w, r, status, p)
	}
	d.cfg.Owner.Spend(r, PathMove)
	return httpx.WriteFile(w, mover.FileName(time.Now()), "application/octet-stream", file)
}

// moveInFromForm shows what a file brings.
func (d *Dashboard) moveInFromForm(w http.ResponseWriter, r *http.Request) error {
	file, err := uploaded(r, parcel.MaxSize)
	if err != nil {
		return err
	}
	var plan mover.Plan
	if len(file) == 0 {
		err = problem.Invalid("file", problem.Sentence(web.TextNoFile))
	} else {
		plan, err = d.cfg.Mover.Open(file, endpoint.NewSecret(r.PostFormValue("file_passphrase")))
	}
	if err != nil {
		f, status, ok := problem.FieldOf(err)
		if !ok {
			return err
		}
		p := web.Move{In: f.Err.Msg, InField: f.Name}
		if f.Name == "passphrase" {
			p.InField = "file_passphrase"
		}
		return d.renderMove(w, r, status, p)
	}
	p := web.MoveIn{
		Version: d.cfg.Version, ID: plan.ID, Made: plan.Made, Keys: plan.Keys, Missing: plan.Missing, Apps: plan.Apps,
		Elsewhere: plan.Elsewhere, Internet: plan.Internet, Token: d.cfg.Owner.FormTokens(r),
	}
	for _, s := range plan.Added {
		p.Added = append(p.Added, web.MoveRow{Name: s.Name, UpstreamHost: s.UpstreamHost()})
	}
	for _, s := range plan.Skipped {
		p.Skipped = append(p.Skipped, web.MoveRow{Name: s.Name, UpstreamHost: s.UpstreamHost()})
	}
	web.Render(w, http.StatusOK, p)
	return nil
}

// takeFromForm takes in what moveInFromForm showed.
func (d *Dashboard) takeFromForm(w http.ResponseWriter, r *http.Request) error {
	if err := d.cfg.Mover.Unpack(r.PostFormValue("id")); err != nil {
		return err
	}
	d.cfg.Owner.Spend(r, PathMove)
	return shell.Done(w, r, "/", "moved")
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
