package shim

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/limits"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/selfcheck"
	"github.com/key2oauth/key2oauth/shim/internal/signin"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// An origin is one issuer with what the world may reach on it: metadata, the
// authorization server, the endpoints. Nothing that is for the owner is in
// here; see Local.
type origin struct {
	s        *Shim
	as       *oauth.Server
	hosts    []string // what Host may be
	loopback bool
	// addrHeader is the header in which the tunnel says who sent a request; ""
	// if it does not.
	addrHeader string
	limits     limits.Public
	mux        *http.ServeMux
	cors       http.Handler
}

// newLocalOrigin makes the issuer for clients on this machine.
func (s *Shim) newLocalOrigin(ap netip.AddrPort) *origin {
	o := &origin{s: s, loopback: true}
	port := ap.String()[strings.LastIndexByte(ap.String(), ':'):]
	o.hosts = []string{ap.String()}
	for _, h := range []string{"127.0.0.1", "localhost", "[::1]"} {
		if !slices.Contains(o.hosts, h+port) {
			o.hosts = append(o.hosts, h+port)
		}
	}
	o.as = s.newServer("http://" + ap.String())
	o.as.Observe = o.observe
	// Users type localhost as well, and clients compare the resource with what
	// was typed. The names come out of a fixed set, never out of the request.
	for _, h := range o.hosts {
		o.as.ResourceOrigins = append(o.as.ResourceOrigins, "http://"+h)
	}
	o.routes()
	return o
}

// newPublicOrigin makes the issuer that the world reaches by a tunnel.
func (s *Shim) newPublicOrigin(u *url.URL, addrHeader string) *origin {
	o := &origin{s: s, hosts: []string{strings.ToLower(u.Host)}, addrHeader: addrHeader, limits: limits.NewPublic()}
	o.as = s.newServer(u.Scheme + "://" + strings.ToLower(u.Host))
	o.as.SoleEndpoint = nil // how many endpoints there are is nobody's business
	o.as.From, o.as.Observe = o.from, o.observe
	o.routes()
	return o
}

func (s *Shim) newServer(issuer string) *oauth.Server {
	return &oauth.Server{
		Issuer: issuer, Tokens: s.tokens, Clients: s.clients, Requests: s.requests, Log: s.log,
		Endpoint: func(slug string) (string, bool) {
			e, ok := s.vault.Endpoint(slug)
			if c := s.selfchecks.Find(slug); c != nil && c.Origin == issuer {
				return selfcheck.Answer, true
			}
			return e.Name, ok
		},
		SoleEndpoint: func() (string, bool) {
			all := s.vault.Endpoints()
			if len(all) != 1 {
				return "", false
			}
			return all[0].Slug, true
		},
		Known: s.control.KnownRedirect, CIMD: s.documents, KnownClient: s.control.KnownClient,
		AccessTTL: s.control.AccessTTL,
	}
}

// formTime is how long a form may take to arrive whole.
const formTime = 20 * time.Second

func (o *origin) routes() {
	m := http.NewServeMux()
	oauthErrors := func(h httpx.HandlerFunc) http.Handler {
		return httpx.Handle(o.s.log, oauth.WriteError, func(w http.ResponseWriter, r *http.Request) error {
			// Who drips a form in byte by byte holds memory for as long as he
			// likes. Not every connection can do this, and those that cannot are
			// bounded in number.
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(formTime))
			return h(w, r)
		})
	}
	m.Handle("/.well-known/", oauthErrors(o.as.ServeWellKnown))
	for _, slash := range []string{"", "/{$}"} {
		m.Handle("/token"+slash, oauthErrors(o.as.ServeToken))
		m.Handle("/register"+slash, oauthErrors(o.limitRegister(o.as.ServeRegister)))
		m.Handle("/revoke"+slash, oauthErrors(o.as.ServeRevoke))
	}
	m.HandleFunc("/", o.notFound)
	o.mux = http.NewServeMux()
	o.mux.Handle("/", httpx.CORS(m))
	// No CORS here: no page has a reason to read it.
	page := func(pattern string, h httpx.HandlerFunc) {
		o.mux.Handle(pattern, httpx.Handle(o.s.log, o.showPageError, h))
	}
	pages := o.s.signIns.Pages(signin.Front{Server: o.as, Loopback: o.loopback, Limits: o.limits, From: o.from, Here: o.seemsHere})
	page("GET /authorize", pages.Authorize)
	if !o.loopback {
		page("GET /authorize/{id}", pages.Wait)
		page("POST /authorize/{id}", pages.Ask)
		o.mux.Handle("GET "+selfTestPath+"{nonce}", oauthErrors(o.serveSelfTest))
	}
	o.cors = httpx.CORS(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slug, rest := splitSlug(r.URL.Path)
		o.serveEndpoint(w, r, slug, rest)
	}))
}

// ServeHTTP checks who is asked, and dispatches. Endpoints go first: every
// call passes here.
func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !slices.Contains(o.hosts, strings.ToLower(r.Host)) {
		httpx.WriteJSON(w, http.StatusMisdirectedRequest, map[string]string{"error": "wrong Host", "error_description": web.TextWrongHost})
		return
	}
	if !o.allowsOrigin(r.Header.Get("Origin")) {
		httpx.WriteJSON(w, http.StatusForbidden, map[string]string{"error": "foreign Origin", "error_description": web.TextForeignOrigin})
		return
	}
	if !httpx.CleanPath(r.URL) {
		o.notFound(w, r)
		return
	}
	if slug, _ := splitSlug(r.URL.Path); slug != "" {
		o.cors.ServeHTTP(w, r)
		return
	}
	o.mux.ServeHTTP(w, r)
}

// allowsOrigin answers MCP's rule against DNS rebinding: a page may use the
// loopback side only if it comes from this machine as well.
func (o *origin) allowsOrigin(v string) bool {
	if v == "" {
		return true
	}
	u, err := url.Parse(v)
	if err != nil || u.Host == "" {
		return false
	}
	switch u.Hostname() {
	case "localhost", "127.0.0.1", "::1":
		return true
	}
	return !o.loopback && u.Scheme == "https"
}

// splitSlug finds a slug at the start of a path. Everything else that we serve
// has a first segment of another shape, so the two never meet.
func splitSlug(p string) (slug, rest string) {
	const n = 12
	if len(p) < 1+n || p[0] != '/' || (len(p) > 1+n && p[1+n] != '/') {
		return "", ""
	}
	for _, c := range []byte(p[1 : 1+n]) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return "", ""
		}
	}
	return p[1 : 1+n], p[1+n:]
}

var notFoundError = &httpx.Error{Status: http.StatusNotFound, Code: "not_found", Msg: web.TextNothingHere}

func (o *origin) notFound(w http.ResponseWriter, r *http.Request) {
	oauth.WriteError(w, r, notFoundError)
}

// showPageError answers people who look at a page of this origin. A page that
// the internet sees does not say that it runs on the reader's computer.
func (o *origin) showPageError(w http.ResponseWriter, _ *http.Request, e *httpx.Error) {
	web.Render(w, e.Status, web.ErrorPage{Public: !o.loopback, Status: e.Status, Title: web.TitleFor(e.Status), Words: e.Msg})
}

// showPageError answers people.
func showPageError(w http.ResponseWriter, _ *http.Request, e *httpx.Error) {
	web.Render(w, e.Status, web.ErrorPage{Status: e.Status, Title: web.TitleFor(e.Status), Words: e.Msg})
}
