package reach

import (
	"cmp"
	"encoding/json"
	"errors"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/external"
)

// settings are what is kept of the owner's wish.
type settings struct {
	Provider string `json:"provider"`       // as last turned on, or off
	Last     string `json:"last,omitempty"` // as last turned on
	URL      string `json:"url,omitempty"`
	Preset   string `json:"preset,omitempty"`
	// Domain is the public origin that was asked of ngrok; "" its own choice.
	Domain string `json:"domain,omitempty"`
	// Seen is the public origin that apps know: the last one we were online at.
	Seen string `json:"seen,omitempty"`
}

const (
	settingTunnel = "tunnel"
	secretNgrok   = "ngrok"
)

// loadSettings reads what was last turned on.
func (r *Reach) loadSettings() {
	b, ok := r.c.Vault.Setting(settingTunnel)
	if !ok {
		return
	}
	if err := json.Unmarshal(b, &r.settings); err != nil {
		r.c.Log.Warn("what is kept about the tunnel cannot be read; turn it on again", "err", err)
		r.settings = settings{}
	}
	if external.CheckPreset(r.settings.Preset) != nil {
		r.settings.Preset = "" // earlier versions took any
	}
}

// keep changes the settings. The caller holds mu, except in New.
func (r *Reach) keep(change func(*settings)) error {
	t := r.settings
	change(&t)
	b, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if err := r.c.Vault.SetSetting(settingTunnel, b); err != nil {
		return err
	}
	r.settings = t
	return nil
}

// keepWish returns the change of the settings that a wish makes.
func keepWish(w tunnel.Wish) func(*settings) {
	return func(t *settings) {
		t.Provider = w.Provider
		switch w.Provider {
		case tunnel.ProviderExternal:
			t.Last, t.URL, t.Preset, t.Seen = w.Provider, w.URL, w.Preset, w.URL
		case tunnel.ProviderNgrok:
			t.Last = w.Provider
			if w.URL != "" {
				t.Domain = w.URL
			}
		}
	}
}

// wish is how the tunnel should be now. If it cannot even be tried, trouble
// says why. The caller holds mu.
func (r *Reach) wish() (w tunnel.Wish, trouble *tunnel.Status) {
	w = tunnel.Wish{Provider: r.provider(), Paused: r.c.Paused()}
	switch w.Provider {
	case tunnel.ProviderExternal:
		w.URL, w.Preset = r.settings.URL, r.settings.Preset
	case tunnel.ProviderNgrok:
		w.URL, w.Known = r.settings.Domain, r.settings.Seen
		if w.Authtoken = r.env; !w.Authtoken.IsZero() {
			return w, nil
		}
		kept, err := r.c.Vault.Secret(secretNgrok)
		switch {
		case errors.Is(err, vault.ErrLocked):
			return w, &tunnel.Status{Provider: w.Provider, State: tunnel.Locked, Words: web.TextTunnelLocked, Next: r.c.Keychain().Words}
		case err != nil:
			return w, &tunnel.Status{Provider: w.Provider, State: tunnel.Failed, Words: web.TextNoAuthtoken, Next: web.TextGetAuthtoken, Link: web.LinkAuthtoken}
		}
		w.Authtoken = tunnel.NewAuthtoken(kept.Reveal())
	}
	return w, nil
}

// checked is a wish with its URL in the one form that issuers have, and with a
// preset that there is, or a *tunnel.WishError.
func checked(w tunnel.Wish) (tunnel.Wish, error) {
	if w.Provider == tunnel.ProviderExternal {
		if err := external.CheckPreset(w.Preset); err != nil {
			return w, &tunnel.WishError{Field: "preset", Err: err}
		}
	}
	return w.Check()
}

// saveAuthtoken seals an authtoken.
func (r *Reach) saveAuthtoken(a tunnel.Authtoken) error {
	return r.c.Vault.SaveSecret(secretNgrok, endpoint.NewSecret(a.Reveal()))
}

// HasAuthtoken reports whether ngrok can be turned on without an authtoken
// being pasted.
func (r *Reach) HasAuthtoken() bool {
	r.mu.Lock()
	env := r.env
	r.mu.Unlock()
	_, err := r.c.Vault.Secret(secretNgrok)
	return err == nil || errors.Is(err, vault.ErrLocked) || !env.IsZero()
}

// KeepsAuthtoken reports whether an authtoken is saved, readable or not.
func (r *Reach) KeepsAuthtoken() bool {
	_, err := r.c.Vault.Secret(secretNgrok)
	return !errors.Is(err, vault.ErrNotFound)
}

// Last is what was on before the tunnel was turned off, to be turned on again.
func (r *Reach) Last() tunnel.Wish {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.settings; t.Last == tunnel.ProviderExternal {
		return tunnel.Wish{Provider: t.Last, URL: t.URL, Preset: t.Preset}
	}
	return tunnel.Wish{Provider: tunnel.ProviderNgrok}
}

// LastProvider is the provider that one click can turn on, "" if each needs to
// be set up first.
func (r *Reach) LastProvider() string {
	w := r.Last()
	switch {
	case w.Provider == tunnel.ProviderExternal && w.URL != "":
		return w.Provider
	case r.HasAuthtoken():
		return tunnel.ProviderNgrok
	}
	return ""
}

// WasOnline reports whether a tunnel was ever turned on.
func (r *Reach) WasOnline() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return cmp.Or(r.settings.Last, r.settings.Domain, r.settings.Seen) != ""
}

// External returns what is kept of an external tunnel: its public URL and the
// ID of its preset. Both may be "".
func (r *Reach) External() (publicURL, preset string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.settings.URL, r.settings.Preset
}

// Presets lists the programs that can make an external tunnel from a public URL
// to us. The URL may be "".
func (r *Reach) Presets(publicURL string) []external.Preset {
	return external.Presets(publicURL, r.c.Listener)
}
