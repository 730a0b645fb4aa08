// Package origin is one issuer as the world sees it: which hosts it answers to,
// which pages may use it, the routes of its authorization server and of its
// endpoints, who sent a request, and what strangers may cost. Nothing that is
// for the owner is part of an origin, so no header can reach it there. Calls
// and sign-ins are handlers that the program hands in.
package origin

import (
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/limits"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

// Config is what an origin is made of. All of it must be set.
type Config struct {
	// NewServer makes the authorization server of an issuer.
	NewServer func(issuer string) *oauth.Server
	// Endpoint serves a request to an endpoint.
	Endpoint func(w http.ResponseWriter, r *http.Request, as *oauth.Server, slug, rest string)
	// Exists reports whether there is an endpoint at a slug, and rest is a path
	// of it.
	Exists func(slug, rest string) bool
	// SignIn returns the handlers of GET /authorize, GET /authorize/{id} and
	// POST /authorize/{id}.
	SignIn func(*Origin) (authorize, wait, ask httpx.HandlerFunc)
	// ShowError shows an error of a page to a person.
	ShowError func(w http.ResponseWriter, r *http.Request, public bool, e *httpx.Error)
	// ShowAddress tells a person that this is an address for apps.
	ShowAddress func(w http.ResponseWriter, r *http.Request, public bool, status int)
	// ShowNowhere tells a person that there is no page here.
	ShowNowhere func(w http.ResponseWriter, r *http.Request, public bool, status int)
	// Observe is told what the authorization server saw.
	Observe   func(o *Origin, r *http.Request, x oauth.Observation)
	SelfTests *SelfTests
	Log       *slog.Logger
}

// An Origin serves one issuer.
type Origin struct {
	Server   *oauth.Server
	Loopback bool
	Limits   limits.Public // unused on the loopback side

	cfg       Config
	hosts     []string             // that Host may name
	preset    string               // header in which the tunnel should say who sent a request, or ""
	sign      atomic.Pointer[sign] // how it does say so
	asked     atomic.Bool          // by a request from the internet
	mux       http.Handler         // all but endpoints
	endpoints http.Handler
}

// NewLocal returns the issuer for clients on this computer.
func NewLocal(cfg Config, addr netip.AddrPort) *Origin {
	o := &Origin{cfg: cfg, Loopback: true}
	port := addr.String()[strings.LastIndexByte(addr.String(), ':'):]
	o.hosts = []string{addr.String()}
	for _, h := range []string{"127.0.0.1", "localhost", "[::1]"} {
		if !slices.Contains(o.hosts, h+port) {
			o.hosts = append(o.hosts, h+port)
		}
	}
	o.Server = cfg.NewServer("http://" + addr.String())
	// Users type localhost as well, and clients compare the resource with what
	// was typed. The names come out of a fixed set, never out of the request.
	for _, h := range o.hosts {
		o.Server.ResourceOrigins = append(o.Server.ResourceOrigins, "http://"+h)
	}
	o.init()
	return o
}

// NewPublic returns the issuer that the world reaches by a tunnel at u. The
// tunnel says in addrHeader who sent a request; empty means that this is to be
// learned. The next self-test judges both.
func NewPublic(cfg Config, u *url.URL, addrHeader string) *Origin {
	host := strings.ToLower(u.Host)
	o := &Origin{cfg: cfg, hosts: []string{host}, preset: addrHeader, Limits: limits.NewPublic()}
	o.sign.Store(&sign{header: addrHeader, apart: addrHeader != ""})
	o.Server = cfg.NewServer(u.Scheme + "://" + host)
	o.Server.SoleEndpoint = nil // the number of endpoints is private
	o.Server.OwnUser = nil      // a tunnel of the owner's is a process of the owner's too
	o.Server.From = o.From
	o.Server.Trusted = Trust
	o.init()
	return o
}

func (o *Origin) init() {
	o.Server.Observe = o.observe
	o.mux = o.routes()
	o.endpoints = httpx.CORS(http.HandlerFunc(o.serveEndpoint))
}

func (o *Origin) observe(r *http.Request, x oauth.Observation) { o.cfg.Observe(o, r, x) }

// formTime is how long the body of a request may take to arrive whole that has
// shown no valid token.
const formTime = 20 * time.Second

// limitBody bounds the time in which the body must arrive: a sender that drips
// it in byte by byte would hold memory for as long as it likes.
func limitBody(w http.ResponseWriter) {
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(formTime))
}

func (o *Origin) routes() http.Handler {
	oauthErrors := func(h httpx.HandlerFunc) http.Handler {
		return httpx.Handle(o.cfg.Log, o.writeError, func(w http.ResponseWriter, r *http.Request) error {
			if o.Loopback {
				limitBody(w)
			}
			return h(w, r)
		})
	}
	m := http.NewServeMux()
	m.Handle("/.well-known/", oauthErrors(o.Server.ServeWellKnown))
	for _, slash := range []string{"", "/{$}"} {
		m.Handle("/token"+slash, oauthErrors(o.Server.ServeToken))
		m.Handle("/register"+slash, oauthErrors(o.limitRegister(o.Server.ServeRegister)))
		m.Handle("/revoke"+slash, oauthErrors(o.Server.ServeRevoke))
	}
	m.HandleFunc("/", o.notFound)
	mux := http.NewServeMux()
	mux.Handle("/", httpx.CORS(m))
	// Pages get no CORS headers: no other page has a reason to read them.
	page := func(pattern string, h httpx.HandlerFunc) {
		mux.Handle(pattern, httpx.Handle(o.cfg.Log, o.showError, h))
	}
	authorize, wait, ask := o.cfg.SignIn(o)
	page("GET /authorize", authorize)
	if !o.Loopback {
		page("GET /authorize/{id}", wait)
		page("POST /authorize/{id}", ask)
		mux.Handle("GET "+selfTestPath+"{nonce}", oauthErrors(o.serveSelfTest))
	}
	return mux
}

// ServeHTTP checks which host is asked, and dispatches. Endpoints come first:
// every call passes here.
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !o.Loopback {
		distrust(w, r) // until Trust
		o.asked.Store(true)
	}
	if !slices.Contains(o.hosts, strings.ToLower(r.Host)) {
		o.writeError(w, r, errWrongHost)
		return
	}
	if !o.allowsOrigin(r.Header.Get("Origin")) {
		o.writeError(w, r, errForeignOrigin)
		return
	}
	if !httpx.CleanPath(r.URL) {
		o.notFound(w, r)
		return
	}
	if slug, _ := SplitSlug(r.URL.Path); slug != "" {
		o.endpoints.ServeHTTP(w, r)
		return
	}
	o.mux.ServeHTTP(w, r)
}

func (o *Origin) serveEndpoint(w http.ResponseWriter, r *http.Request) {
	slug, rest := SplitSlug(r.URL.Path)
	switch person := httpx.ForPerson(r) && r.Header["Authorization"] == nil; {
	case person && !o.cfg.Exists(slug, rest):
		o.cfg.ShowNowhere(w, r, !o.Loopback, http.StatusNotFound)
	case person && r.Header.Get("Sec-Fetch-Mode") != "":
		o.cfg.ShowAddress(w, r, !o.Loopback, http.StatusOK)
	case person:
		// It may be an app after all, which then finds out how to sign in.
		o.Server.Demand(w, r, r.URL.EscapedPath(), false)
		o.cfg.ShowAddress(w, r, !o.Loopback, http.StatusUnauthorized)
	default:
		o.cfg.Endpoint(w, r, o.Server, slug, rest)
	}
}

// allowsOrigin is MCP's defense against DNS rebinding: a page may use the
// loopback side only if it comes from this computer as well.
func (o *Origin) allowsOrigin(v string) bool {
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
	return !o.Loopback && u.Scheme == "https"
}

// SplitSlug finds a slug at the start of a path. Everything else that is served
// has a first segment of another shape, so the two never meet.
func SplitSlug(p string) (slug, rest string) {
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

func (o *Origin) notFound(w http.ResponseWriter, r *http.Request) { o.writeError(w, r, errNothingHere) }

// writeError answers an app, or a person who has come to an app's path.
func (o *Origin) writeError(w http.ResponseWriter, r *http.Request, e *httpx.Error) {
	switch {
	case !httpx.ForPerson(r):
		oauth.WriteError(w, r, e)
	case e.Status == http.StatusMethodNotAllowed:
		o.cfg.ShowAddress(w, r, !o.Loopback, e.Status)
	default:
		o.cfg.ShowNowhere(w, r, !o.Loopback, e.Status)
	}
}

func (o *Origin) showError(w http.ResponseWriter, r *http.Request, e *httpx.Error) {
	o.cfg.ShowError(w, r, !o.Loopback, e)
}

// limitRegister refuses a sender that registers clients without end.
func (o *Origin) limitRegister(next httpx.HandlerFunc) httpx.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !o.Loopback && !o.Limits.Register.Allow(o.From(r)) {
			o.observe(r, oauth.Observation{Step: oauth.StepRegister, Reason: oauth.ReasonTooMany})
			return &httpx.Error{
				Status: http.StatusTooManyRequests, Code: "temporarily_unavailable",
				Msg:    "too many registrations came from this address; try again in a minute",
				Header: http.Header{"Retry-After": {"60"}},
			}
		}
		return next(w, r)
	}
}
