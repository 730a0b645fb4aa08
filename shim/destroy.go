package shim

import (
	"errors"
	"net/http"
	"strings"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/atomicfile"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// ErrDeleted is what ServeLocal returns after the owner has had everything
// deleted.
var ErrDeleted = errors.New("everything was deleted, as its owner wished")

// DeleteEverything deletes what a Shim that does not run has kept in a data
// folder: state, keys, the admin token, and the master key in the keychain if
// it was there. helper is as in Config. left says in sentences what is still
// there and what to do about it.
func DeleteEverything(dir string, helper []string) (left []string, err error) {
	left, err = vault.Destroy(vault.Config{Dir: dir, Helper: helper})
	return left, errors.Join(err, removeToken(dir))
}

func removeToken(dir string) error { return atomicfile.Remove(TokenFile(dir)) }

// apiDeleteEverything is for commands: on a page the owner types a word first.
func (s *Shim) apiDeleteEverything(w http.ResponseWriter, r *http.Request) error {
	left, err := s.control.DeleteEverything()
	if err != nil {
		return &httpx.Error{Status: http.StatusInternalServerError, Msg: web.TextNotAllDeleted, Err: err}
	}
	if left == nil {
		left = []string{}
	}
	return httpx.WriteJSON(w, http.StatusOK, api.Deleted{Left: left})
}

func (s *Shim) showDeleteEverything(w http.ResponseWriter, r *http.Request) error {
	return s.renderDeleteEverything(w, r, http.StatusOK, "")
}

func (s *Shim) renderDeleteEverything(w http.ResponseWriter, r *http.Request, status int, problem string) error {
	const action = "/settings/delete"
	p := web.DeleteEverything{
		Servers: len(s.vault.Endpoints()), Kept: keptWhere(s.vault.Keychain()), DataDir: s.dir,
		Error: problem, Action: action, FormToken: s.owner.FormTokens(r)(action),
	}
	for _, e := range s.vault.Endpoints() {
		p.Keys += len(s.vault.Credentials(e.Slug))
	}
	grants, err := s.vault.Grants()
	if err != nil {
		return s.control.Explain(err)
	}
	p.Apps = len(grants)
	p.Authtoken = s.reach.KeepsAuthtoken()
	web.Render(w, status, p)
	return nil
}

// keptWhere names the place of the master key. A run that keeps nothing has none
// in the keychain, whatever it would like.
func keptWhere(k keychain.Status) string {
	if k.State == keychain.StateMemory {
		return string(keychain.ModeMemory)
	}
	return string(k.Mode)
}

func (s *Shim) deleteEverythingFromForm(w http.ResponseWriter, r *http.Request) error {
	if !strings.EqualFold(strings.Trim(r.PostFormValue("word"), " .\u201c\u201d\"'"), web.DeleteWord()) {
		return s.renderDeleteEverything(w, r, http.StatusUnprocessableEntity, web.TextTypeDelete)
	}
	left, err := s.control.DeleteEverything()
	if err != nil {
		s.log.Error("not everything could be deleted", "err", err)
		left = append(left, web.TextNotAllDeleted)
	}
	s.owner.DropCookie(w)
	web.Render(w, http.StatusOK, web.Done{Title: web.TextDeletedTitle, Words: problem.Join(web.TextDeleted, strings.Join(left, " "))})
	return nil
}
