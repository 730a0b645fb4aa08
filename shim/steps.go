package shim

import (
	"net/http"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/control"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/owner"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// The first steps lead from an empty page to the first connected app. What is
// done shows by itself, from the state; kept is only what the state does not
// tell.
const (
	settingStepsHidden = "first steps hidden"
	settingStepsLocal  = "first steps local" // the owner's apps are on this machine alone
)

// stepsLast is how long the last tick is left to be seen. After that, the page
// belongs to those who know their way.
const stepsLast = 10 * time.Minute

// firstSteps tells how far the owner is, or nil once he is done or wants to
// hear no more of it.
func (s *Shim) firstSteps(st api.Status, slugs []api.Endpoint, grants []control.Grant) *web.Steps {
	if _, hidden := s.vault.Setting(settingStepsHidden); hidden || stepsOver(grants, time.Now()) {
		return nil
	}
	_, local := s.vault.Setting(settingStepsLocal)
	p := &web.Steps{
		KeySafe: st.Keychain.Usable() && st.Keychain.State != api.KeychainMemory, Keychain: web.ShownKeychain(st.Keychain),
		Local: local, Online: st.Tunnel.State == api.TunnelOnline, Tunnel: st.Tunnel.Provider != api.TunnelOff && st.Tunnel.Provider != "",
		TunnelWords: st.Tunnel.Words, Asked: len(grants) > 0,
	}
	if len(slugs) > 0 {
		p.Slug, p.Server, p.MCPURL = slugs[0].Slug, slugs[0].DisplayName, slugs[0].MCPEndpoint
	}
	for _, q := range st.Pending {
		// From another device anybody may ask: that is no step of the owner's.
		if !q.Asked && p.Review == "" {
			p.Asked, p.Review = true, q.URL
		}
	}
	if len(grants) > 0 {
		g := grants[0]
		p.Connected, p.App = true, web.ClientName(g.ClientName, g.ClientID, g.Verified)
		on := s.control.Settings().Login
		p.OfferLogin = on != nil && !*on
	}
	return p
}

// stepsOver reports whether the first app has been connected for a while.
func stepsOver(grants []control.Grant, now time.Time) bool {
	for _, g := range grants {
		if now.Sub(g.Created) > stepsLast {
			return true
		}
	}
	return false
}

func (s *Shim) stepsLocalFromForm(w http.ResponseWriter, r *http.Request) error {
	return s.keepStep(w, r, settingStepsLocal)
}

func (s *Shim) stepsHideFromForm(w http.ResponseWriter, r *http.Request) error {
	return s.keepStep(w, r, settingStepsHidden)
}

func (s *Shim) stepsLoginFromForm(w http.ResponseWriter, r *http.Request) error {
	on := true
	return s.settingsForm(w, r, api.SettingsChange{Login: &on}, "/?done=login")
}

func (s *Shim) keepStep(w http.ResponseWriter, r *http.Request, setting string) error {
	if err := s.vault.SetSetting(setting, []byte{1}); err != nil {
		return s.control.Explain(err)
	}
	s.changes.Notify()
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// showLive is the home page for the script of the home page, which takes from
// it what has changed. It is for that script alone: whatever else asks gets
// what any page of another origin gets.
func (s *Shim) showLive(w http.ResponseWriter, r *http.Request) error {
	if err := owner.RequireSameOrigin(r); err != nil {
		return err
	}
	if _, ok := s.owner.Session(r); !ok {
		return httpx.New(http.StatusUnauthorized, web.TextNeedOwner)
	}
	return s.renderHome(w, r, http.StatusOK, web.CreateForm{}, nil)
}
