package shim

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/cimd"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// showAuthorizeError shows what is wrong with an authorization request and may
// not be sent to the client.
func showAuthorizeError(w http.ResponseWriter, e *oauth.AuthorizeError, public bool) {
	p := web.ErrorPage{Public: public, Status: http.StatusBadRequest, Title: web.TitleBadRequest, Words: e.Words, Detail: e.Code}
	if e.ShowReturn != "" {
		p.Return = &web.Link{To: oauth.RedirectHost(e.ShowReturn), URL: e.ShowReturn}
	}
	web.Render(w, http.StatusBadRequest, p)
}

// resolveClient finds out who the client of a consent page is. If that needs a
// document that is not at hand, it is fetched here and nowhere else: here a
// browser of the owner's user shows the page, whereas authorization requests
// come from anybody. It returns false, with the answer written, if the client
// cannot be known.
func (s *Shim) resolveClient(w http.ResponseWriter, r *http.Request) bool {
	asked, ok := s.requests.Get(r.PathValue("id"))
	if !ok {
		return true // viewConsent says what there is to say
	}
	req, err := s.local.Load().as.Resolve(r.Context(), asked)
	if e, ok := errors.AsType[*oauth.AuthorizeError](err); ok {
		s.noteRequest(asked, timeline.Asked, string(e.Why()))
		showAuthorizeError(w, e, false)
		return false
	}
	if req.Client.Host != "" {
		s.documents.Refresh(req.Client.ID)
	}
	return true
}

// isPublicHost reports whether the world reaches us at this host: to fetch a
// document from there would be to ask ourselves.
func (s *Shim) isPublicHost(host string) bool {
	u, err := url.Parse(s.PublicOrigin())
	return err == nil && u.Host != "" && strings.EqualFold(u.Hostname(), host)
}

// knownRedirect reports whether somebody approved an answer to exactly this
// URI before.
func (s *Shim) knownRedirect(uri string) bool { return s.vault.HasRedirect(uri) }

// isNewWebsite reports whether an answer to this URI goes to a website that
// neither the owner approved before nor comes with the program as that of a
// well-known client. Whoever runs it could use the owner's server.
func (s *Shim) isNewWebsite(uri string) bool {
	return oauth.RedirectKind(uri) == oauth.RedirectWebsite && !s.knownRedirect(uri) && !cimd.IsBuiltInRedirect(uri)
}

// knownClient reports whether somebody approved this client before.
func (s *Shim) knownClient(id string) bool { return s.vault.HasClient(id) }
