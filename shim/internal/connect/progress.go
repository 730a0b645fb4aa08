package connect

import (
	"slices"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/apps"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// silence is after how long without any sign of the app the page says so.
const silence = 2 * time.Minute

// A watch is what an owner waits for: that an app which runs at a place comes
// to a server.
type watch struct {
	app   apps.App
	at    apps.Place
	slug  string
	since time.Time
}

// progress says how far the app has come. It flips to connected with the first
// token, since an approval alone is not yet a connection.
func (w watch) progress(attempts []api.Attempt, pending []api.PendingRequest, now time.Time) web.Waiting {
	p := web.Waiting{App: w.app.Called(), At: w.at, State: web.WaitingStill}
	if now.Sub(w.since) >= silence {
		p.State = web.WaitingNothing
	}
	a, ok := w.best(attempts)
	if !ok {
		return p
	}
	d := a.Diagnosis
	p.Who, p.Whose, p.Words, p.Next, p.Steps = a.Who(), d.Whose, d.Words, d.Next, web.StepRows(a.Events)
	switch p.Progress = reached(a); {
	case p.Progress >= web.ProgressCall && d.State != api.AttemptStopped:
		p.State = web.WaitingWorks
	case p.Progress >= web.ProgressAccess && d.State != api.AttemptStopped:
		p.State = web.WaitingConnected
	case p.Progress >= web.ProgressAccess:
		p.State = web.WaitingTrouble
	case d.State == api.AttemptStopped:
		p.State = web.WaitingStopped
	default:
		p.State = web.WaitingGoing
		if i := slices.IndexFunc(pending, func(q api.PendingRequest) bool { return q.Slug == w.slug && w.app.MayBe(q.ClientName) }); i >= 0 {
			p.Review = pending[i].URL
		}
	}
	return p
}

// best returns the attempt that the page is about: the one that came furthest
// of those that got access, or else the last one.
func (w watch) best(attempts []api.Attempt) (best api.Attempt, ok bool) {
	for _, a := range attempts {
		if !w.fits(a) {
			continue
		}
		if !ok || w.better(a, best) {
			best, ok = a, true
		}
	}
	return best, ok
}

func (w watch) better(a, b api.Attempt) bool {
	x, y := min(reached(a), web.ProgressAccess), min(reached(b), web.ProgressAccess)
	if (x == web.ProgressAccess) != (y == web.ProgressAccess) {
		return x == web.ProgressAccess
	}
	return a.Last.After(b.Last)
}

// fits reports whether an attempt can be the one that is waited for: one that
// came since then, or that was going on.
func (w watch) fits(a api.Attempt) bool {
	local := a.Via == api.ViaLocal
	now := !a.Last.Before(w.since) || a.Diagnosis.State == api.AttemptGoing
	return a.Slug == w.slug && now && local == (w.at == apps.Computer) && w.app.MayBe(a.Client)
}

// reached returns how far an attempt came.
func reached(a api.Attempt) (far web.Progress) {
	for _, e := range a.Events {
		if e.Why != "" {
			continue
		}
		switch e.Step {
		case "authorize", "waiting", "consent", "number", "key":
			far = max(far, web.ProgressSignIn)
		case "approve":
			far = max(far, web.ProgressApproval)
		case "exchange", "refresh":
			far = max(far, web.ProgressAccess)
		case "call", "tool":
			far = max(far, web.ProgressCall)
		default:
			far = max(far, web.ProgressAddress)
		}
	}
	return far
}

// safeNames are the words by which commands call the servers, oldest first, so
// that a newer server never takes the word of an older one.
func safeNames(titles []string) []string {
	names, taken := make([]string, len(titles)), make(map[string]bool, len(titles))
	for i, title := range titles {
		names[i] = apps.SafeName(title, taken)
		taken[names[i]] = true
	}
	return names
}

// placeOf says where the app runs: where the table says, or else what the owner
// chose.
func placeOf(a apps.App, chosen string) apps.Place {
	if a.Where != apps.Either {
		return a.Where
	}
	if strings.EqualFold(chosen, string(apps.Internet)) {
		return apps.Internet
	}
	return apps.Computer
}
