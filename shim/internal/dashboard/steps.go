package dashboard

import (
	"net/http"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// stepsLast is how long the last step stays visible after it is done.
const stepsLast = 10 * time.Minute

// The first steps lead from an empty page to the first connected app. What is
// done shows in the state; only what the state does not tell is kept.

// firstSteps returns how far the owner is, or nil once all steps are done or
// hidden.
func (d *Dashboard) firstSteps(st api.Status, slugs []api.Endpoint, first *control.Grant) *web.Steps {
	if hidden := d.cfg.Control.Flag(control.StepsHidden); hidden || stepsOver(first, time.Now()) {
		return nil
	}
	local := d.cfg.Control.Flag(control.StepsLocal)
	p := &web.Steps{
		KeySafe: st.Keychain.Usable() && st.Keychain.State != api.KeychainMemory, Keychain: web.ShownKeychain(st.Keychain),
		Local: local, Online: st.Tunnel.State == api.TunnelOnline, Tunnel: st.Tunnel.Provider != api.TunnelOff && st.Tunnel.Provider != "",
		TunnelWords: st.Tunnel.Words, Asked: first != nil,
	}
	if len(slugs) > 0 {
		p.Slug, p.Server, p.MCPURL = slugs[0].Slug, slugs[0].DisplayName, slugs[0].MCPEndpoint
	}
	for _, q := range st.Pending {
		// Anyone can ask from another device, so such a request is not a step
		// of the owner.
		if !q.Asked && p.Review == "" {
			p.Asked, p.Review = true, q.URL
		}
	}
	if first != nil {
		p.Connected, p.App = true, first.Who.String()
		on := d.cfg.Control.Settings().Login
		p.OfferLogin = on != nil && !*on
	}
	return p
}

// stepsOver reports whether the first app was connected a while ago.
func stepsOver(first *control.Grant, now time.Time) bool {
	return first != nil && now.Sub(first.Created) > stepsLast
}

func (d *Dashboard) stepsLocalFromForm(w http.ResponseWriter, r *http.Request) error {
	return d.keepStep(w, r, control.StepsLocal)
}

func (d *Dashboard) stepsHideFromForm(w http.ResponseWriter, r *http.Request) error {
	return d.keepStep(w, r, control.StepsHidden)
}

func (d *Dashboard) stepsLoginFromForm(w http.ResponseWriter, r *http.Request) error {
	on := true
	return d.settingsForm(w, r, api.SettingsChange{Login: &on}, "/?done=login")
}

func (d *Dashboard) keepStep(w http.ResponseWriter, r *http.Request, setting string) error {
	if err := d.cfg.Control.SetFlag(setting); err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}
