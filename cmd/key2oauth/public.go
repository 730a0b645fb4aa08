package main

import (
	"cmp"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/external"
	"github.com/key2oauth/key2oauth/tunnel/ngrok"
)

// tunnelConfig names the tunnels that this program can open, and what o says
// about them.
func (p *program) tunnelConfig(o appOptions, edge testEdge, log *slog.Logger) shim.TunnelConfig {
	return shim.TunnelConfig{
		Mode:      o.tunnel,
		URL:       o.publicURL,
		Preset:    o.publicPreset,
		Listener:  o.publicAddr,
		Authtoken: tunnel.NewAuthtoken(strings.TrimSpace(os.Getenv("NGROK_AUTHTOKEN"))),
		Tell:      p.sayTunnel(cmp.Or(o.publicAddr, external.DefaultAddr)),
		New: func(w tunnel.Wish) tunnel.Tunnel {
			if w.Provider == tunnel.ProviderExternal {
				return &external.Tunnel{URL: w.URL, Addr: o.publicAddr, Preset: w.Preset}
			}
			return &ngrok.Tunnel{Authtoken: w.Authtoken, URL: w.URL, Log: log, ConnectAddr: edge.addr, ConnectCAs: edge.cas}
		},
	}
}

// probeClient returns a client that goes out as any app does, through the proxy
// of the environment if there is one, and keeps no connection.
func probeClient(t *http.Transport) *http.Client {
	t.DisableKeepAlives = true
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
