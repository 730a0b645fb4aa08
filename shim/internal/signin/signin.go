// Package signin holds an authorization request from the moment it arrives
// until someone has answered it. The public side shows a choice of two ways
// (authorize.go) and remembers which browser brought the request (visit.go);
// the loopback side shows the consent page, tries the key and hands the code to
// exactly one browser (consent.go). What a request is, is package oauth's.
package signin

import (
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/changes"
	"github.com/key2oauth/key2oauth/shim/internal/cimd"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/limits"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// A Prompter tells the owner that requests wait for an answer; see
// shim.Prompter.
type Prompter interface {
	Prompt(api.Prompt)
}

// Config is what sign-ins need. Prompter may be nil; nothing else may.
type Config struct {
	Requests  *oauth.Requests
	Documents *cimd.Clients
	Owner     *owner.Owner
	Control   *control.Control
	Timeline  *timeline.Recorder
	Changes   *changes.Feed
	Prompter  Prompter
	Log       *slog.Logger

	// Issuer finds the authorization server that got a request. It is nil if we
	// are no longer reached at that origin.
	Issuer func(origin string) *oauth.Server
	// Local is the authorization server of the loopback side.
	Local func() *oauth.Server
}

// SignIns are the authorization requests that wait for an answer.
type SignIns struct {
	cfg    Config
	visits *visits

	prompting sync.Mutex
	prompted  bool // the owner has been told, and a request still waits
	later     *time.Timer
}

// New returns SignIns without a request.
func New(cfg Config) *SignIns {
	s := &SignIns{cfg: cfg}
	s.visits = newVisits(time.Now, s.isOpen)
	return s
}

// isOpen reports whether a request still waits for an answer.
func (s *SignIns) isOpen(id string) bool {
	_, ok := s.cfg.Requests.Get(id)
	return ok
}

// A Front is one origin as sign-ins see it.
type Front struct {
	Server   *oauth.Server
	Loopback bool
	Limits   limits.Public              // unused on the loopback side
	From     func(*http.Request) string // names the sender of a request
	Here     func(*http.Request) bool   // the browser seems to run on this computer
}

// Pages are the handlers of one origin. Wait and Ask are for public origins.
type Pages struct {
	Authorize httpx.HandlerFunc // GET /authorize
	Wait      httpx.HandlerFunc // GET /authorize/{id}
	Ask       httpx.HandlerFunc // POST /authorize/{id}
}

// A front serves the pages of a Front.
type front struct {
	*SignIns
	Front
}

// Pages returns the handlers of an origin.
func (s *SignIns) Pages(f Front) Pages {
	o := &front{s, f}
	return Pages{Authorize: o.serveAuthorize, Wait: o.serveWait, Ask: o.serveAsk}
}

// Pending lists the requests whose consent page was opened, or whose answer
// another device waits for, and of many the newest.
func (s *SignIns) Pending() []api.PendingRequest {
	all := []api.PendingRequest{}
	for _, r := range s.cfg.Requests.Viewed() {
		v, _ := s.visits.get(r.ID)
		answer := s.answer(r.Request, v)
		all = append(all, api.PendingRequest{
			URL: s.cfg.Owner.Origin() + "/consent/" + r.ID, ClientName: r.Client.Name, App: r.Client.App().String(),
			RedirectHost: answer.Host, ReturnsTo: web.ReturnsTo(answer.Kind, answer.Host, answer.Flow), Slug: r.Slug, Created: r.Created.UTC(), Asked: v.asks,
			NeedsOwner: !r.Own && !v.asks, Familiar: answer.Trusted() || r.Client.BuiltIn,
		})
	}
	// There are at most a few of other devices.
	for i := 0; len(all) > maxPending && i < len(all); {
		if all[i].Asked {
			i++
			continue
		}
		all = slices.Delete(all, i, i+1)
	}
	return all
}

// maxPending is how many requests are listed.
const maxPending = 20

// note records what happens to a request in the timeline.
func (s *SignIns) note(req *oauth.Request, step timeline.Step, why string) {
	s.noteGrant(req, step, why, "")
}

func (s *SignIns) noteGrant(req *oauth.Request, step timeline.Step, why, grant string) {
	s.cfg.Timeline.Note(timeline.Entry{
		Via: s.cfg.Timeline.Via(req.Issuer == s.cfg.Local().Issuer), From: req.From, Step: step, Why: why,
		Client: req.Client.ID, Name: req.Client.App().Name, App: req.Client.App().String(), Request: req.ID,
		Host: oauth.RedirectHost(req.RedirectURI), Slug: req.Slug, Grant: grant,
	})
}
