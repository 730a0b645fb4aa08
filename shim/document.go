package shim

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// showAuthorizeError shows what is wrong with an authorization request and may
// not be sent to the client.
func showAuthorizeError(w http.ResponseWriter, e *oauth.AuthorizeError) {
	p := web.ErrorPage{Status: http.StatusBadRequest, Title: "This sign-in request cannot be used", Words: e.Words, Detail: e.Code}
	if e.ShowReturn != "" {
		p.Return = &web.Link{To: redirectHost(e.ShowReturn), URL: e.ShowReturn}
	}
	web.Render(w, http.StatusBadRequest, p)
}

// resolveClient finds out who the client of a consent page is. If that needs a
// document that is not at hand, it is fetched here and nowhere else: here a
// browser of the owner's user shows the page, whereas authorization requests
// come from anybody. It returns false, with the answer written, if the client
// cannot be known.
func (s *Shim) resolveClient(w http.ResponseWriter, r *http.Request) bool {
	req, ok := s.requests.Get(r.PathValue("id"))
	if !ok {
		return true // viewConsent says what there is to say
	}
	req, err := s.local.Load().as.Resolve(r.Context(), req)
	if e, ok := errors.AsType[*oauth.AuthorizeError](err); ok {
		showAuthorizeError(w, e)
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

// approved is what grants were made for.
type approved struct {
	redirects, clients map[string]bool
}

// grantedFor returns what grants were made for. Strangers can ask for it at
// will, so the grants are not read each time.
func (s *Shim) grantedFor() approved {
	if known := s.known.Load(); known != nil {
		return *known
	}
	grants, err := s.vault.Grants()
	if err != nil {
		return approved{}
	}
	a := approved{make(map[string]bool), make(map[string]bool)}
	for _, g := range grants {
		a.redirects[g.RedirectURI] = true
		a.clients[g.ClientID] = true
	}
	s.known.Store(&a)
	return a
}

// knownRedirect reports whether somebody approved an answer to exactly this
// URI before.
func (s *Shim) knownRedirect(uri string) bool { return s.grantedFor().redirects[uri] }

// knownClient reports whether somebody approved this client before.
func (s *Shim) knownClient(id string) bool { return s.grantedFor().clients[id] }
