package dashboard

import (
	"net/http"
	"slices"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// stepsLast is how long the last step stays visible after it is done.
const stepsLast = 10 * time.Minute

// firstSteps returns how far the owner is, or nil once all steps are done or
// hidden. What is done shows in the state, so nothing but the wish to hide them
// is kept. first is the app that was connected first.
func (d *Dashboard) firstSteps(st api.Status, first *control.Grant) *web.Steps {
	if hidden := d.cfg.Control.Flag(control.StepsHidden); hidden || stepsOver(first, time.Now()) {
		return nil
	}
	p := new(web.Steps)
	if all := d.cfg.Control.Endpoints(); len(all) > 0 {
		newest := all[len(all)-1]
		p.Slug, p.Server = newest.Slug, newest.Name
	}
	// Anyone can ask from another device, so such a request is not a step of the
	// owner.
	p.Asks = slices.ContainsFunc(st.Pending, func(q api.PendingRequest) bool { return !q.Asked })
	if first != nil && d.hasToken(first) {
		p.Connected, p.App = true, first.Who.String()
		on := d.cfg.Control.Settings().Login
		p.OfferLogin = on != nil && !*on
	}
	return p
}

// hasToken reports whether an app that was approved came back for its token: not
// before that is it connected.
func (d *Dashboard) hasToken(g *control.Grant) bool {
	if g.LastUsed != nil {
		return true
	}
	how, known, err := d.cfg.Timeline.OfGrant(g.ID)
	return err != nil || !known || slices.ContainsFunc(how.Events, func(e api.Event) bool { return e.Step == string(timeline.Exchanged) && e.Why == "" })
}

// stepsOver reports whether the first app was connected a while ago.
func stepsOver(first *control.Grant, now time.Time) bool {
	return first != nil && now.Sub(first.Created) > stepsLast
}

func (d *Dashboard) stepsHideFromForm(w http.ResponseWriter, r *http.Request) error {
	if err := d.cfg.Control.SetFlag(control.StepsHidden); err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func (d *Dashboard) stepsLoginFromForm(w http.ResponseWriter, r *http.Request) error {
	on := true
	return d.settingsForm(w, r, api.SettingsChange{Login: &on}, "/?done=login")
}
