package dashboard

import (
	"net/http"
	"slices"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/doctor"
	"github.com/key2oauth/key2oauth/shim/internal/shell"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// showCheck shows the last report, and the attempts that did not finish.
func (d *Dashboard) showCheck(w http.ResponseWriter, r *http.Request) error {
	p := web.Check{Version: d.cfg.Version, As: d.cfg.Changes.ID(), Token: d.cfg.Owner.FormTokens(r)}
	if report, _ := d.cfg.Examinations.Report(); report != nil {
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
	for _, a := range d.cfg.Timeline.Reports() {
		if a.Diagnosis.Cause == api.CauseFound {
			continue // strangers look at every address, and apps that are connected look again
		}
		p.Attempts = append(p.Attempts, shell.AttemptRow(a))
	}
	d.render(w, r, http.StatusOK, p)
	return nil
}

func (d *Dashboard) checkFromForm(w http.ResponseWriter, r *http.Request) error {
	d.cfg.Examinations.Begin()
	http.Redirect(w, r, "/check", http.StatusSeeOther)
	return nil
}
