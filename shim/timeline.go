package shim

import (
	"errors"
	"net/http"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/proxy"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/tunnel"
)

// observe notes what the authorization server of an origin saw. Examinations
// are no attempts.
func (o *origin) observe(r *http.Request, x oauth.Sight) {
	if o.s.selfchecks.Owns(r) || o.s.selfchecks.Find(x.Slug) != nil {
		return
	}
	from, agent := o.from(r), timeline.Agent(r.UserAgent())
	step := timeline.Step(x.Step)
	o.s.timeline.Note(timeline.Sight{
		From: from, Agent: agent, Via: o.s.timeline.Via(o.loopback), Step: step, Why: string(x.Why),
		Client: x.Client, Name: x.Name, Request: x.Request, Grant: x.Grant, Slug: x.Slug,
	})
	if x.Step == oauth.StepExchange && x.Why == "" {
		o.s.vault.Flush() // or after a power cut the client would be blamed for not coming
	}
}

// noteCall notes a call of a grant that has not used a tool yet. A client waits
// for it.
func (s *Shim) noteCall(grant string, out proxy.Outcome) {
	if !s.timeline.Watches(grant) {
		return
	}
	x := timeline.Sight{Step: timeline.Called, Grant: grant}
	switch {
	case out.Status < 400:
		if out.Method == "tools/call" {
			x.Step = timeline.Tool
		}
	case out.Method == http.MethodGet || out.Method == http.MethodDelete || out.Method == "server/discover" && out.Status/100 == 4 && out.Status != 401 && out.Status != 403:
		return // clients try these, and go on without them
	default:
		x.Why, x.Status = "upstream", out.Status
	}
	s.timeline.Note(x)
}

// noteBlocked notes that we ourselves do not let a call through.
func (s *Shim) noteBlocked(grant, why string) {
	if s.timeline.Watches(grant) {
		s.timeline.Note(timeline.Sight{Step: timeline.Called, Why: why, Grant: grant})
	}
}

// publicVia is how clients on the internet come.
func (s *Shim) publicVia() string {
	if s.reach.Provider() == tunnel.ProviderNgrok {
		return timeline.Ngrok
	}
	return timeline.External
}

// newTimeline continues with the attempts that are kept.
func (s *Shim) newTimeline() *timeline.Recorder {
	return timeline.NewRecorder(s.vault, timeline.World{
		Server: func(slug string) string {
			e, _ := s.vault.Endpoint(slug)
			return e.Name
		},
		GrantGone: func(grant string) bool {
			_, err := s.vault.Grant(grant)
			return errors.Is(err, oauth.ErrNotFound)
		},
		Offline: func() bool { return !s.reach.Online() }, PublicVia: s.publicVia, Changed: s.changes.Notify,
	}, s.log)
}

// apiTimeline lists attempts: those that did not come to a tool yet, or that of
// one grant.
func (s *Shim) apiTimeline(w http.ResponseWriter, r *http.Request) error {
	grant := r.URL.Query().Get("grant")
	if grant == "" {
		return httpx.WriteJSON(w, http.StatusOK, api.Timeline{Timeline: s.timeline.Reports()})
	}
	all := []api.Attempt{}
	a, ok, err := s.timeline.OfGrant(grant)
	if err != nil {
		return s.control.Explain(err)
	}
	if ok {
		all = append(all, a)
	}
	return httpx.WriteJSON(w, http.StatusOK, api.Timeline{Timeline: all})
}
