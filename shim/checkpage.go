package shim

import (
	"net/http"
	"slices"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/doctor"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// attemptRow is an attempt as a page shows it.
func attemptRow(a api.Attempt) web.AttemptRow {
	row := web.AttemptRow{
		Client: a.Who(), Server: a.Endpoint, Via: a.Via, Age: web.Ago(a.Last),
		State: a.Diagnosis.State, Whose: a.Diagnosis.Whose, Words: a.Diagnosis.Words, Next: a.Diagnosis.Next,
	}
	for _, e := range a.Events {
		row.Steps = append(row.Steps, web.StepRow{
			Step: e.Step, Why: e.Why, Status: e.Status, Time: e.Time.Local().Format("15:04:05"), Count: e.Count,
		})
	}
	return row
}

// showCheck draws the page of the last report and of the attempts that did not
// finish.
func (s *Shim) showCheck(w http.ResponseWriter, r *http.Request) error {
	p := web.Check{Version: s.version, As: s.changes.ID(), Token: s.owner.FormTokens(r)}
	if report, _ := s.exams.Report(); report != nil {
		p.Running = report.Ended == nil
		if !p.Running {
			p.Age, p.Text = web.Ago(*report.Ended), doctor.Text(*report)
		}
		for _, f := range report.Findings {
			i := slices.IndexFunc(p.Findings, func(g web.FindingGroup) bool { return g.Name == f.Group })
			if i < 0 {
				i = len(p.Findings)
				p.Findings = append(p.Findings, web.FindingGroup{Name: f.Group})
			}
			g := &p.Findings[i]
			g.Rows = append(g.Rows, web.FindingRow{What: f.What, State: f.State, Whose: f.Whose, Words: f.Words, Next: f.Next, Link: f.Link, MS: f.MS})
		}
	}
	for _, a := range s.timeline.Reports() {
		p.Attempts = append(p.Attempts, attemptRow(a))
	}
	web.Render(w, http.StatusOK, p)
	return nil
}

func (s *Shim) checkFromForm(w http.ResponseWriter, r *http.Request) error {
	s.exams.Begin()
	http.Redirect(w, r, "/check", http.StatusSeeOther)
	return nil
}

// showWays adds to each grant how it came to be.
func (s *Shim) showWays(p *web.Home) {
	ways := s.timeline.OfGrants()
	for i := range p.Endpoints {
		for j := range p.Endpoints[i].Grants {
			g := &p.Endpoints[i].Grants[j]
			if a, ok := ways[g.ID]; ok {
				row := attemptRow(a)
				g.How = &row
			}
		}
	}
	p.Stopped = slices.ContainsFunc(s.timeline.Failed(), func(a api.Attempt) bool {
		return a.Diagnosis.Cause != api.CauseDenied // which is no news to him who denied
	})
}
