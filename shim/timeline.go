package shim

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/proxy"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/trial"
)

// initTimeline goes on with the grants that have not used a tool yet.
func (s *Shim) initTimeline() {
	s.timeline.Save = s.vault.SaveTimeline
	s.timeline.Changed = s.changes.Notify
	records, err := s.vault.OpenTimelines()
	if err != nil {
		s.log.Warn("how clients were connected cannot be read", "err", err)
	}
	for grant, record := range records {
		if !s.timeline.Load(grant, record) {
			s.vault.SaveTimeline(grant, record, true) // a file of an earlier version
		}
	}
}

// via is the way by which clients of an origin come.
func (o *origin) via() string {
	switch {
	case o.loopback:
		return timeline.Local
	case o.s.publicProvider() == api.TunnelNgrok:
		return timeline.Ngrok
	}
	return timeline.External
}

// publicProvider is the way in that is on.
func (s *Shim) publicProvider() string {
	s.side.mu.Lock()
	defer s.side.mu.Unlock()
	return s.side.provider()
}

// observe notes what the authorization server of an origin saw. Examinations
// are no attempts.
func (o *origin) observe(r *http.Request, x oauth.Sight) {
	if o.s.checks.owns(r) || o.s.checks.find(x.Slug) != nil {
		return
	}
	from, agent := o.from(r), timeline.Agent(r.UserAgent())
	step := timeline.Step(x.Step)
	o.s.timeline.Note(timeline.Sight{
		From: from, Agent: agent, Via: o.via(), Step: step, Why: string(x.Why),
		Client: x.Client, Name: x.Name, Request: x.Request, Grant: x.Grant, Slug: x.Slug,
	})
	if x.Step == oauth.StepExchange && x.Why == "" {
		o.s.vault.Flush() // or after a power cut the client would be blamed for not coming
	}
}

// noteRequest notes what happens to an authorization request on this side.
func (s *Shim) noteRequest(req *oauth.Request, step timeline.Step, why string) {
	s.noteGrant(req, step, why, "")
}

func (s *Shim) noteGrant(req *oauth.Request, step timeline.Step, why, grant string) {
	via := timeline.Local
	if l := s.local.Load(); l == nil || req.Issuer != l.as.Issuer {
		via = timeline.External
		if s.publicProvider() == api.TunnelNgrok {
			via = timeline.Ngrok
		}
	}
	s.timeline.Note(timeline.Sight{
		Via: via, From: req.From, Step: step, Why: why, Client: req.Client.ID, Name: req.Client.Name, Request: req.ID,
		Host: oauth.RedirectHost(req.RedirectURI), Slug: req.Slug, Grant: grant,
	})
}

// keyWhy says in one word what trying a key came to, "" if it works.
func keyWhy(v trial.Verdict) string {
	if v.Outcome == trial.OK {
		return ""
	}
	return string(v.Outcome)
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

// circumstances are those of just now.
func (s *Shim) circumstances() timeline.Circumstances {
	s.side.mu.Lock()
	defer s.side.mu.Unlock()
	return timeline.Circumstances{Now: time.Now(), Offline: s.side.provider() == api.TunnelOff || s.side.status.State != api.TunnelOnline}
}

// diagnose says how it stands with an attempt.
func (s *Shim) diagnose(a timeline.Attempt, c timeline.Circumstances) api.Attempt {
	e, _ := s.vault.Endpoint(a.Slug)
	d := timeline.Diagnose(a, c)
	out := api.Attempt{
		ID: a.ID, Client: a.Client, Agent: a.Agent, Via: a.Via, Host: a.Host, Slug: a.Slug, Grant: a.Grant,
		Began: a.Began, Last: a.Last, Over: a.Over, Endpoint: e.Name,
		Diagnosis: api.Diagnosis{
			State: d.State, Stopped: string(d.Stopped), Cause: d.Cause, Whose: string(d.Whose), Words: d.Words, Next: d.Next,
		},
	}
	if a.Events != nil {
		out.Events = make([]api.Event, 0, len(a.Events))
	}
	for _, e := range a.Events {
		out.Events = append(out.Events, api.Event{Step: string(e.Step), Why: e.Why, Status: e.Status, Time: e.Time, Last: e.Last, Count: e.Count})
	}
	return out
}

// unfinished lists the attempts that did not come to a tool yet, the newest
// first. Those of grants that have ended since are left out, unless the client
// itself ended it.
func (s *Shim) unfinished() []api.Attempt {
	all := []api.Attempt{}
	now := s.circumstances()
	for _, a := range s.timeline.Unfinished() {
		d := s.diagnose(a, now)
		if a.Grant != "" && !strings.HasSuffix(d.Diagnosis.Cause, " reused") {
			if _, err := s.vault.Grant(a.Grant); errors.Is(err, oauth.ErrNotFound) {
				s.timeline.Forget(a.Grant)
				continue
			}
		}
		all = append(all, d)
	}
	return all
}

// going reports whether some attempt may still go either way, which only time
// tells.
func (s *Shim) going() bool {
	return slices.ContainsFunc(s.unfinished(), func(a api.Attempt) bool { return a.Diagnosis.State == api.AttemptGoing })
}

// maxStopped is how many attempts the status lists.
const maxStopped = 5

// stopped lists the last attempts that need somebody. Strangers look at every
// address on the internet; a mere look is none of them. Nor is one whose app
// got there later.
func (s *Shim) stopped() []api.Attempt {
	all := []api.Attempt{}
	for _, a := range s.unfinished() {
		if a.Diagnosis.State == api.AttemptStopped && a.Diagnosis.Cause != api.CauseFound && !a.Over && len(all) < maxStopped {
			all = append(all, a)
		}
	}
	return all
}

// grantTimelines is how each grant came to be, by its id.
func (s *Shim) grantTimelines() map[string]api.Attempt {
	records, err := s.vault.Timelines()
	if err != nil {
		s.log.Warn("how clients were connected cannot be read", "err", err)
	}
	now := s.circumstances()
	all := make(map[string]api.Attempt, len(records))
	for grant, record := range records {
		if a, ok := timeline.Parse(record); ok {
			a.Grant = grant
			all[grant] = s.diagnose(a, now)
		}
	}
	return all
}

// apiTimeline lists attempts: those that did not come to a tool yet, or that of
// one grant.
func (s *Shim) apiTimeline(w http.ResponseWriter, r *http.Request) error {
	grant := r.URL.Query().Get("grant")
	if grant == "" {
		return httpx.WriteJSON(w, http.StatusOK, api.Timeline{Timeline: s.unfinished()})
	}
	all := []api.Attempt{}
	record, err := s.vault.Timeline(grant)
	if err != nil {
		return s.explainState(err)
	}
	if a, ok := timeline.Parse(record); ok {
		a.Grant = grant
		all = append(all, s.diagnose(a, s.circumstances()))
	}
	return httpx.WriteJSON(w, http.StatusOK, api.Timeline{Timeline: all})
}
