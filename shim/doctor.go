package shim

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/doctor"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/selfcheck"
)

// initDoctor gives the doctor what it examines.
func (s *Shim) initDoctor(cfg Config) {
	d := &doctor.Doctor{
		Dir: cfg.Dir, Status: s.Status, Save: func() error { return s.control.Explain(s.vault.TryDisk()) },
		Selfcheck: s.selfcheck, Nonce: s.BeginSelfTest, Outside: cfg.Outside,
		Servers: s.vault, Keys: s.trials, Upstream: s.upstream,
	}
	s.exams.Version, s.exams.Examine, s.exams.Changed = cfg.Version, d.Examine, s.changes.Notify
}

// selfcheck opens a built-in server for an examination.
func (s *Shim) selfcheck(public bool) (*selfcheck.Server, error) {
	o := s.local.Load()
	if public {
		o = s.public.Load()
	}
	if o == nil {
		return nil, errors.New("nothing is served there")
	}
	return s.selfchecks.Begin(o.as, s.log), nil
}

// FindingText is a finding over some lines: what it is, who has to fix it, and
// what to do.
func FindingText(f api.Finding) string { return doctor.FindingText(f) }

// GroupTitle is the heading of a group of findings.
func GroupTitle(group string) string { return doctor.GroupTitle(group) }

// apiExamine examines everything, and streams the report as it grows: one JSON
// object in each line, the last of which has an end.
func (s *Shim) apiExamine(w http.ResponseWriter, r *http.Request) error {
	s.exams.Begin()
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Cache-Control", "no-store")
	c := http.NewResponseController(w)
	for {
		report, more := s.exams.Report()
		b, err := json.Marshal(report)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, string(b)+"\n"); err != nil || c.Flush() != nil {
			return nil
		}
		if report.Ended != nil {
			return nil
		}
		select {
		case <-more:
		case <-r.Context().Done():
			return nil
		}
	}
}

// apiReport returns the last report.
func (s *Shim) apiReport(w http.ResponseWriter, _ *http.Request) error {
	report, _ := s.exams.Report()
	if report == nil {
		return httpx.New(http.StatusNotFound, "nothing has been examined yet; POST here does it")
	}
	return httpx.WriteJSON(w, http.StatusOK, report)
}
