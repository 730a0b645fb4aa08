package reach

import (
	"cmp"
	"net/url"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/parcel"
	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/external"
)

// Pack returns how the internet reaches us, for another computer. An authtoken
// of the environment stays here.
func (r *Reach) Pack() parcel.Internet {
	r.mu.Lock()
	t := r.settings
	r.mu.Unlock()
	n := parcel.Internet{Provider: t.Last, URL: t.URL, Preset: t.Preset, Domain: t.Domain, Seen: t.Seen}
	if token, err := r.c.Vault.Secret(secretNgrok); err == nil {
		n.Authtoken = token
	}
	return n
}

// Adopt keeps how another computer was reached, as if it had been turned on here
// and off again: both at one address would take each other's requests. It
// changes nothing where a tunnel was ever turned on. adopted is the public origin
// that apps know.
func (r *Reach) Adopt(n parcel.Internet) (adopted string, err error) {
	if r.supervisor == nil || r.WasOnline() || r.KeepsAuthtoken() {
		return "", nil
	}
	t := settings{Provider: tunnel.ProviderOff, Last: n.Provider, URL: n.URL, Preset: n.Preset, Domain: n.Domain, Seen: n.Seen}
	switch n.Provider {
	case tunnel.ProviderExternal:
		if !isPublic(n.URL) || external.CheckPreset(n.Preset) != nil {
			return "", nil
		}
		adopted = n.URL
	case tunnel.ProviderNgrok:
		adopted = cmp.Or(n.Domain, n.Seen)
		if !isPublic(adopted) || n.Authtoken.IsZero() || checkAuthtoken(n.Authtoken.Reveal()) != nil {
			return "", nil
		}
		if err := r.c.Vault.SaveSecret(secretNgrok, endpoint.NewSecret(n.Authtoken.Reveal())); err != nil {
			return "", r.c.Explain(err)
		}
	default:
		return "", nil
	}
	r.mu.Lock()
	err = r.keep(func(s *settings) { *s = t })
	r.mu.Unlock()
	if err != nil {
		return "", r.c.Explain(err)
	}
	r.Drive()
	return adopted, nil
}

// isPublic reports whether s can be a public origin.
func isPublic(s string) bool {
	w, err := checked(tunnel.Wish{Provider: tunnel.ProviderNgrok, URL: s})
	u, parseErr := url.Parse(s)
	return err == nil && parseErr == nil && w.URL == s && u.Scheme == "https"
}
