package connect

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/apps"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

const slug = "k3v9x2m7q4ab"

// opened is when the page was opened.
var opened = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// attempt makes an attempt from its steps, with the diagnosis that the timeline
// would give it an hour later, or at once with "going" as the last word. A step
// may have a colon and the reason for which it was refused.
func attempt(client, via, steps string) api.Attempt {
	a := timeline.Attempt{Client: client, Via: via, Slug: slug, Last: opened.Add(time.Minute)}
	now := a.Last.Add(time.Hour)
	for s := range strings.FieldsSeq(steps) {
		if s == "going" {
			now = a.Last
			continue
		}
		step, why, _ := strings.Cut(s, ":")
		a.Events = append(a.Events, timeline.Event{Step: timeline.Step(step), Why: why, Time: a.Last})
	}
	d := timeline.Diagnose(a, timeline.Circumstances{Now: now})
	out := api.Attempt{Client: client, Via: via, Slug: slug, Last: a.Last,
		Diagnosis: api.Diagnosis{State: d.State, Stopped: string(d.Stopped), Cause: d.Cause, Whose: string(d.Whose), Words: d.Words, Next: d.Next}}
	for _, e := range a.Events {
		out.Events = append(out.Events, api.Event{Step: string(e.Step), Why: e.Why, Time: e.Time})
	}
	return out
}

func TestProgress(t *testing.T) {
	const (
		asked    = "found register authorize consent "
		approved = asked + "key approve "
		access   = approved + "exchange "
	)
	other := attempt("Claude Code", "local", access+"call")
	other.Slug = "z1x2c3v4b5n6"
	early := attempt("Claude Code", "local", access+"call")
	early.Last = opened.Add(-time.Second)
	going := attempt("Claude Code", "local", asked+"going")
	going.Last = early.Last
	later := attempt("Claude Code", "local", "found going")
	later.Last = opened.Add(2 * time.Minute)
	for _, tt := range []struct {
		name     string
		app      string
		at       apps.Place
		after    time.Duration
		attempts []api.Attempt
		state    string
		reached  web.Progress
	}{
		{name: "just opened", state: web.WaitingStill},
		{name: "before two minutes", after: silence - time.Second, state: web.WaitingStill},
		{name: "two minutes", after: silence, state: web.WaitingNothing},
		{name: "looks", attempts: []api.Attempt{attempt("", "local", "found going")}, state: web.WaitingGoing, reached: web.ProgressAddress},
		{name: "looks, long ago", after: silence, attempts: []api.Attempt{attempt("", "local", "found")}, state: web.WaitingStopped, reached: web.ProgressAddress},
		{name: "asks", attempts: []api.Attempt{attempt("Claude Code", "local", asked+"going")}, state: web.WaitingGoing, reached: web.ProgressSignIn},
		{name: "denied", attempts: []api.Attempt{attempt("Claude Code", "local", asked+"approve:denied")}, state: web.WaitingStopped, reached: web.ProgressSignIn},
		{name: "approved, no token yet", attempts: []api.Attempt{attempt("Claude Code", "local", approved+"going")}, state: web.WaitingGoing, reached: web.ProgressApproval},
		{name: "approved, never a token", attempts: []api.Attempt{attempt("Claude Code", "local", approved)}, state: web.WaitingStopped, reached: web.ProgressApproval},
		{name: "first token", attempts: []api.Attempt{attempt("Claude Code", "local", access+"going")}, state: web.WaitingConnected, reached: web.ProgressAccess},
		{name: "token, never a call", attempts: []api.Attempt{attempt("Claude Code", "local", access)}, state: web.WaitingTrouble, reached: web.ProgressAccess},
		{name: "token, refused call", attempts: []api.Attempt{attempt("Claude Code", "local", access+"call:paused")}, state: web.WaitingTrouble, reached: web.ProgressAccess},
		{name: "first call", attempts: []api.Attempt{attempt("Claude Code", "local", access+"call")}, state: web.WaitingWorks, reached: web.ProgressCall},
		{name: "first tool", attempts: []api.Attempt{attempt("Claude Code", "local", access+"call tool")}, state: web.WaitingWorks, reached: web.ProgressCall},
		{name: "connected stays", attempts: []api.Attempt{later, attempt("Claude Code", "local", access+"call")}, state: web.WaitingWorks, reached: web.ProgressCall},
		{name: "connected after a failure", attempts: []api.Attempt{attempt("Claude Code", "local", access+"call"), attempt("Claude Code", "local", asked+"approve:denied")}, state: web.WaitingWorks, reached: web.ProgressCall},
		{name: "another server", attempts: []api.Attempt{other}, state: web.WaitingStill},
		{name: "before the page was opened", attempts: []api.Attempt{early}, state: web.WaitingStill},
		{name: "going on when the page was opened", attempts: []api.Attempt{going}, state: web.WaitingGoing, reached: web.ProgressSignIn},
		{name: "another app", attempts: []api.Attempt{attempt("Cursor", "local", access+"call")}, state: web.WaitingStill},
		{name: "an unknown name", attempts: []api.Attempt{attempt("mcp-library", "local", access+"call")}, state: web.WaitingWorks, reached: web.ProgressCall},
		{name: "from the other side", attempts: []api.Attempt{attempt("Claude Code", "ngrok", access+"call")}, state: web.WaitingStill},
		{name: "an app on the internet", app: "claude", at: apps.Internet, attempts: []api.Attempt{attempt("Claude", "external", access)}, state: web.WaitingTrouble, reached: web.ProgressAccess},
		{name: "another Claude", app: "claude", at: apps.Internet, attempts: []api.Attempt{attempt("Claude Code", "local", access)}, state: web.WaitingStill},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.app == "" {
				tt.app, tt.at = "claude-code", apps.Computer
			}
			app, _ := apps.Find(tt.app)
			got := watch{app, tt.at, slug, opened}.progress(tt.attempts, nil, opened.Add(tt.after))
			if got.State != tt.state || got.Progress != tt.reached {
				t.Errorf("got %s at stage %d, want %s at %d", got.State, got.Progress, tt.state, tt.reached)
			}
			if nothing := tt.state == web.WaitingNothing; nothing != (len(got.Causes()) == 3) {
				t.Errorf("it gives %d causes", len(got.Causes()))
			}
			for _, c := range got.Causes() {
				if c.Whose == "" || c.Words == "" {
					t.Errorf("a cause is %+v", c)
				}
			}
		})
	}
}

// TestReview: the page leads to the request that waits for the owner, if it is
// of this app and this server.
func TestReview(t *testing.T) {
	app, _ := apps.Find("claude-code")
	pending := []api.PendingRequest{
		{URL: "/consent/other-app", ClientName: "Cursor", Slug: slug},
		{URL: "/consent/other-server", ClientName: "Claude Code", Slug: "z1x2c3v4b5n6"},
		{URL: "/consent/it", ClientName: "Claude Code", Slug: slug},
	}
	w := watch{app, apps.Computer, slug, opened}
	got := w.progress([]api.Attempt{attempt("Claude Code", "local", "found register authorize going")}, pending, opened)
	if got.Review != "/consent/it" {
		t.Errorf("it leads to %q", got.Review)
	}
	if got := w.progress(nil, pending, opened); got.Review != "" {
		t.Errorf("without an attempt it leads to %q", got.Review)
	}
}

func TestSafeNames(t *testing.T) {
	got := safeNames([]string{"Linear", "Notes", "linear", "LINEAR", "", "\u65e5\u672c"})
	if diff := cmp.Diff([]string{"linear", "notes", "linear-2", "linear-3", "my-server", "my-server-2"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	many := safeNames(slices.Repeat([]string{"Linear"}, 1000))
	if got := slices.Compact(slices.Sorted(slices.Values(many))); len(got) != 1000 {
		t.Errorf("1000 servers of one name have %d words", len(got))
	}
}

func TestPlaceOf(t *testing.T) {
	for _, tt := range []struct {
		id, chosen string
		want       apps.Place
	}{
		{"claude-code", "", apps.Computer}, {"claude-code", "internet", apps.Computer}, {"claude", "computer", apps.Internet},
		{"n8n", "", apps.Computer}, {"n8n", "internet", apps.Internet}, {"n8n", "elsewhere", apps.Computer}, {"home-assistant", "internet", apps.Nowhere},
	} {
		a, _ := apps.Find(tt.id)
		if got := placeOf(a, tt.chosen); got != tt.want {
			t.Errorf("%s with %q runs at %q, want %q", tt.id, tt.chosen, got, tt.want)
		}
	}
}
