package shim

import (
	"net/http"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/reach"
	"github.com/key2oauth/key2oauth/tunnel"
)

// TunnelConfig is what the program says about the tunnel when it starts.
type TunnelConfig struct {
	// New returns the tunnel that makes a wish come true, which is not
	// tunnel.ProviderOff. A nil New means that this program has no tunnel.
	New func(tunnel.Wish) tunnel.Tunnel
	// Mode is "auto" or "" for what the owner last turned on, and else a
	// provider of package tunnel.
	Mode string
	// URL is the public URL, with Mode tunnel.ProviderExternal or
	// tunnel.ProviderNgrok.
	URL string
	// Authtoken is for ngrok. It turns nothing on, and is kept once it worked.
	Authtoken tunnel.Authtoken
	// Listener is the address where the owner's own tunnel leads; "" means
	// tunnel.DefaultAddr.
	Listener string
	// Tell is told each status of the tunnel; it may be nil.
	Tell func(api.TunnelStatus)
}

// initReach makes what knows how the internet reaches us.
func (s *Shim) initReach(cfg Config) (err error) {
	s.reach, err = reach.New(reach.Config{
		Start: reach.Start(cfg.Tunnel), Vault: s.vault, Log: s.log, Serve: s.servePublic,
		Keychain: s.control.Keychain, Paused: s.paused.is, Changed: s.control.Changed,
		BeginSelfTest: s.BeginSelfTest, Outside: cfg.Outside, Explain: s.control.Explain,
	})
	return err
}

// PublicOrigin is the origin at which the internet reaches us, or "" while there
// is none. It stays the same while the tunnel is down.
func (s *Shim) PublicOrigin() string { return s.reach.Origin() }

// apiPutTunnel turns a tunnel on or off.
func (s *Shim) apiPutTunnel(w http.ResponseWriter, r *http.Request) error {
	var in api.TunnelChange
	if err := readJSON(r, &in); err != nil {
		return err
	}
	st, err := s.reach.Set(r.Context(), tunnel.Wish{
		Provider: in.Provider, URL: in.URL, Preset: in.Preset, Authtoken: reach.ReadAuthtoken(in.Authtoken),
	})
	if err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, st)
}

// apiTestTunnel goes out to the internet and back in.
func (s *Shim) apiTestTunnel(w http.ResponseWriter, r *http.Request) error {
	words, ok, err := s.reach.Test(r.Context())
	if err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, api.TunnelTest{OK: ok, Words: words})
}
