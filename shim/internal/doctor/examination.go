package doctor

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
)

// Examinations runs one examination at a time and keeps the last report. Asking
// for another one meanwhile shows the one that is running.
type Examinations struct {
	Version string
	Examine func(ctx context.Context, tell func(api.Finding)) // of a Doctor
	Changed func()                                            // is called after each change of the report

	mu     sync.Mutex
	report *api.Report
	wake   chan struct{} // closed at the next finding
}

// examineTime bounds an examination: each server may take 20 seconds.
const examineTime = 5 * time.Minute

// Begin begins an examination unless one is running.
func (x *Examinations) Begin() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.report != nil && x.report.Ended == nil {
		return
	}
	x.report = &api.Report{Version: x.Version, Began: time.Now().UTC(), OK: true, Findings: []api.Finding{}}
	x.wake = make(chan struct{})
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), examineTime)
		defer cancel()
		x.Examine(ctx, func(f api.Finding) {
			x.tell(f)
			x.Changed()
		})
		x.finish()
		x.Changed()
	}()
}

func (x *Examinations) tell(f api.Finding) {
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

func (x *Examinations) finish() {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now().UTC()
	x.report.Ended = &now
	x.news()
}

// news wakes those who wait. The caller holds mu.
func (x *Examinations) news() {
	close(x.wake)
	x.wake = make(chan struct{})
}

// Report returns a copy of the last report, nil if there is none, and a channel
// that is closed when there is more to see.
func (x *Examinations) Report() (*api.Report, <-chan struct{}) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.report == nil {
		return nil, nil
	}
	r := *x.report
	r.Findings = slices.Clone(r.Findings)
	return &r, x.wake
}
