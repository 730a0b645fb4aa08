package signin

import (
	"errors"
	"net/http"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// showAuthorizeError shows what is wrong with an authorization request that
// must not be redirected to the client.
func showAuthorizeError(w http.ResponseWriter, e *oauth.AuthorizeError, public bool) {
	p := web.ErrorPage{Side: web.Side{Public: public}, Title: web.TitleBadRequest, Words: e.Words, Detail: e.Code}
	if e.ShowReturn != "" {
		p.Return = &web.Link{To: returnTo(e.ShowReturn), URL: e.ShowReturn}
	}
	web.Render(w, http.StatusBadRequest, p)
}

// returnTo names where a link leads. Only a website has a name.
func returnTo(redirect string) string {
	if oauth.RedirectKind(redirect) == oauth.RedirectWebsite {
		return oauth.RedirectHost(redirect)
	}
	return web.Text("return.app")
}

// resolveClient finds out who the client of a consent page is. An unknown
// client document is fetched here and nowhere else: here a browser of the
// owner's OS user opens the page, while anyone can send authorization requests.
// It returns false, with the answer written, if the client cannot be known.
func (s *SignIns) resolveClient(w http.ResponseWriter, r *http.Request) bool {
	asked, ok := s.cfg.Requests.Get(r.PathValue("id"))
	if !ok {
		return true // viewConsent says what there is to say
	}
	req, err := s.cfg.Local().Resolve(r.Context(), asked)
	if e, ok := errors.AsType[*oauth.AuthorizeError](err); ok {
		s.note(asked, timeline.Asked, string(e.Reason()))
		showAuthorizeError(w, e, false)
		return false
	}
	if req.Client.Host != "" {
		s.cfg.Documents.Refresh(req.Client.ID)
	}
	return true
}
