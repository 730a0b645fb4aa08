package timeline

import (
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
)

// A Store keeps the attempts that led to a grant. Saving must not wait.
type Store interface {
	SaveTimeline(grant string, record []byte, done bool)
	OpenTimelines() (map[string][]byte, error) // of grants that have not used a tool
	Timeline(grant string) (record []byte, err error)
}

// A World is what a Recorder needs to know about everything else.
type World struct {
	Server    func(slug string) (name string)
	GrantGone func(grant string) bool
	Offline   func() bool   // the public address cannot be reached
	PublicVia func() string // Ngrok or External
	Changed   func()        // is told of each change; must not wait
}

// A Recorder notes attempts and reports on them with a diagnosis. It is safe
// for concurrent use.
type Recorder struct {
	Log
	store Store
	world World
	log   *slog.Logger
}

// NewRecorder returns a recorder that continues the attempts in the store. If
// the store cannot be read, only those attempts are lost.
func NewRecorder(store Store, world World, log *slog.Logger) *Recorder {
	r := &Recorder{store: store, world: world, log: log}
	r.Save, r.Changed = store.SaveTimeline, world.Changed
	records, err := store.OpenTimelines()
	if err != nil {
		log.Warn("cannot read how clients were connected", "err", err)
	}
	for grant, record := range records {
		if !r.Load(grant, record) {
			store.SaveTimeline(grant, record, true) // written by an earlier version
		}
	}
	return r
}

// Via is the way that clients of an origin come.
func (r *Recorder) Via(loopback bool) string {
	if loopback {
		return Local
	}
	return r.world.PublicVia()
}

func (r *Recorder) circumstances() Circumstances {
	return Circumstances{Now: time.Now(), Offline: r.world.Offline()}
}

// report adds a diagnosis to an attempt.
func (r *Recorder) report(a Attempt, c Circumstances) api.Attempt {
	d := Diagnose(a, c)
	out := api.Attempt{
		ID: a.ID, Client: a.Client, App: a.App, Agent: a.Agent, Via: a.Via, Host: a.Host, Slug: a.Slug, Grant: a.Grant,
		Began: a.Began, Last: a.Last, Over: a.Over, Endpoint: r.world.Server(a.Slug),
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

// Reports lists the attempts that have not come to a tool yet, newest first.
// Attempts of grants that have ended since are left out, unless the client
// itself ended the grant.
func (r *Recorder) Reports() []api.Attempt {
	all := []api.Attempt{}
	now := r.circumstances()
	for _, a := range r.Unfinished() {
		d := r.report(a, now)
		if a.Grant != "" && !strings.HasSuffix(d.Diagnosis.Cause, " reused") && r.world.GrantGone(a.Grant) {
			r.Forget(a.Grant)
			continue
		}
		all = append(all, d)
	}
	return all
}

// maxFailed is how many failed attempts the status lists.
const maxFailed = 5

// Failed lists the latest attempts that someone has to do something about. A
// mere look is left out, because strangers look at every address on the
// internet, and so is an attempt whose app succeeded later.
func (r *Recorder) Failed() []api.Attempt {
	all := []api.Attempt{}
	for _, a := range r.Reports() {
		if a.Diagnosis.State == Stopped && a.Diagnosis.Cause != api.CauseFound && !a.Over && len(all) < maxFailed {
			all = append(all, a)
		}
	}
	return all
}

// OfGrant returns how one grant came to be; ok is false if that is unknown.
func (r *Recorder) OfGrant(grant string) (report api.Attempt, ok bool, err error) {
	record, err := r.store.Timeline(grant)
	if err != nil {
		return report, false, err
	}
	a, ok := Parse(record)
	if !ok {
		return report, false, nil
	}
	a.Grant = grant
	return r.report(a, r.circumstances()), true, nil
}

// Going reports whether an attempt is still in progress, so that its state
// changes with time alone.
func (r *Recorder) Going() bool {
	return slices.ContainsFunc(r.Reports(), func(a api.Attempt) bool { return a.Diagnosis.State == Going })
}
