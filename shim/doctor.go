package shim

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/trial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// A Doctor examines everything. The program makes one, since it knows the
// tunnel.
type Doctor interface {
	// Examine tells of each thing that it looks at, as FindingRunning when it
	// begins and again when it is done.
	Examine(ctx context.Context, tell func(api.Finding))
}

// examinations runs one examination at a time; who asks for another one
// meanwhile is shown the one that runs.
type examinations struct {
	mu     sync.Mutex
	report *api.Report
	wake   chan struct{} // closed at the next finding
}

// examineTime bounds an examination: each server may take 20 seconds.
const examineTime = 5 * time.Minute

// Examine begins an examination unless one goes on. It is false if there is
// nobody to do it.
func (s *Shim) Examine() bool {
	if s.doctor == nil {
		return false
	}
	x := &s.exams
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.report != nil && x.report.Ended == nil {
		return true
	}
	x.report, x.wake = &api.Report{Version: s.version, Began: time.Now().UTC(), OK: true, Findings: []api.Finding{}}, make(chan struct{})
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), examineTime)
		defer cancel()
		s.doctor.Examine(ctx, func(f api.Finding) {
			x.tell(f)
			s.changes.Notify()
		})
		x.finish()
		s.changes.Notify()
	}()
	return true
}

func (x *examinations) tell(f api.Finding) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.report
	if i := slices.IndexFunc(r.Findings, func(g api.Finding) bool { return g.ID == f.ID }); i >= 0 {
		r.Findings[i] = f
	} else {
		r.Findings = append(r.Findings, f)
	}
	if f.State == api.FindingFailed {
		r.OK = false
	}
	x.news()
}

func (x *examinations) finish() {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now().UTC()
	x.report.Ended = &now
	x.news()
}

// news wakes who waits. The caller holds mu.
func (x *examinations) news() {
	close(x.wake)
	x.wake = make(chan struct{})
}

// look returns a copy of the last report, nil if there is none, and what is
// closed when there is more to see.
func (x *examinations) look() (*api.Report, <-chan struct{}) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.report == nil {
		return nil, nil
	}
	r := *x.report
	r.Findings = slices.Clone(r.Findings)
	return &r, x.wake
}

// apiExamine examines everything, and streams the report as it grows: one JSON
// object in each line, the last of which has an end.
func (s *Shim) apiExamine(w http.ResponseWriter, r *http.Request) error {
	if !s.Examine() {
		return httpx.New(http.StatusNotImplemented, "there is no doctor in this program")
	}
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Cache-Control", "no-store")
	c := http.NewResponseController(w)
	for {
		report, more := s.exams.look()
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
	report, _ := s.exams.look()
	if report == nil {
		return httpx.New(http.StatusNotFound, "nothing has been examined yet; POST here does it")
	}
	return httpx.WriteJSON(w, http.StatusOK, report)
}

// A KeyTrial says what a server answered to one of its keys.
type KeyTrial struct {
	Slug, Endpoint, Host string
	Credential, Label    string // "" if there is no key
	Outcome              string // see trial.Outcome; "locked", "no key", "header"
	Fault                string // see upstream.Fault
	Words                string
	// Clock is how far our clock runs ahead of the server's, if it said.
	Clock      time.Duration
	ClockKnown bool
}

// A Server is what TryKeys tries.
type Server struct {
	Slug, Name, Host  string
	Credential, Label string
}

// Servers lists each server with each of its keys.
func (s *Shim) Servers() (all []Server) {
	for _, e := range s.vault.Endpoints() {
		creds := s.vault.Credentials(e.Slug)
		for _, c := range creds {
			all = append(all, Server{e.Slug, e.Name, e.UpstreamHost(), c.ID, c.Label})
		}
		if len(creds) == 0 {
			all = append(all, Server{e.Slug, e.Name, e.UpstreamHost(), "", ""})
		}
	}
	return all
}

// TryKey tries one key of a server at it.
func (s *Shim) TryKey(ctx context.Context, v Server) (t KeyTrial) {
	t = KeyTrial{Slug: v.Slug, Endpoint: v.Name, Host: v.Host, Credential: v.Credential, Label: v.Label}
	if v.Credential == "" {
		t.Outcome = "no key"
		return t
	}
	if kc := s.control.Keychain(); !kc.Usable() {
		t.Outcome, t.Words = "locked", kc.Words
		return t
	}
	e, ok := s.vault.Endpoint(v.Slug)
	key, err := s.vault.Key(v.Credential)
	if !ok || err != nil {
		t.Outcome = "no key"
		return t
	}
	u, err := s.vault.UpstreamURL(v.Slug)
	if err != nil {
		t.Outcome, t.Words = "no key", problem.Text(s.control.Explain(err))
		return t
	}
	target := upstream.Target{URL: u, Header: e.Header, Key: key}
	verdict := s.trials.TryHeaders(ctx, target, endpoint.UsualHeaders[1:])
	t.Outcome, t.Fault, t.Words = string(verdict.Outcome), string(verdict.Fault), verdict.Words
	if verdict.Outcome == trial.OK && verdict.Header != e.Header {
		t.Outcome, t.Words = "header", fmt.Sprintf(web.TextHeaderWanted, web.DescribeHeader(verdict.Header), web.DescribeHeader(e.Header))
	}
	t.Clock, t.ClockKnown = s.clockAgainst(ctx, upstream.Target{URL: u, Header: e.Header})
	return t
}

// clockAgainst compares our clock with that of a server, which is asked without
// a key.
func (s *Shim) clockAgainst(ctx context.Context, t upstream.Target) (ahead time.Duration, ok bool) {
	ctx, cancel := context.WithTimeout(upstream.WithTarget(ctx, &t), 5*time.Second)
	defer cancel()
	bare := *t.URL
	bare.RawQuery = ""
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, bare.String(), nil)
	if err != nil {
		return 0, false
	}
	res, err := s.upstream.Send(req)
	if err != nil {
		return 0, false
	}
	res.Body.Close()
	theirs, err := http.ParseTime(res.Header.Get("Date"))
	return time.Since(theirs), err == nil
}

// TryState reports whether the state can be written, by writing to it.
func (s *Shim) TryState() error { return s.control.Explain(s.vault.TryDisk()) }
