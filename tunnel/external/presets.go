package external

import (
	"fmt"
	"strings"

	"github.com/key2oauth/key2oauth/tunnel"
)

// A Preset describes one program that makes tunnels.
type Preset struct {
	ID           string // as in settings
	Name         string // for people
	ClientHeader tunnel.ClientHeader
	Steps        []Step
}

// A Step is a command to run in a terminal, or a text to write into a file.
type Step struct {
	Words string // what it does
	File  string // the file to write to; "" means to run Text
	Text  string // to copy
}

// Presets lists the programs that can make an external tunnel, with the owner's
// origin and address filled in. Without an origin, an example stands in.
func Presets(origin, addr string) []Preset {
	if addr == "" {
		addr = DefaultAddr
	}
	if origin == "" {
		origin = "https://mcp.example.com"
	}
	host := strings.TrimPrefix(origin, "https://")
	name, port, ok := strings.Cut(host, ":")
	funnelPort := ""
	if ok {
		funnelPort = " --https=" + port
	}
	return []Preset{
		{
			ID: "tailscale", Name: "Tailscale Funnel", ClientHeader: tunnel.LastForwardedFor,
			Steps: []Step{
				{Words: "Run this in a terminal. It keeps running after a restart.", Text: "tailscale funnel --bg" + funnelPort + " http://" + addr},
				{Words: "This shows the address again.", Text: "tailscale funnel status"},
			},
		},
		{
			ID: "cloudflared", Name: "cloudflared", ClientHeader: tunnel.CfConnectingIP,
			Steps: []Step{
				{Words: "Log in, once.", Text: "cloudflared tunnel login"},
				{Words: "Make a tunnel, once.", Text: "cloudflared tunnel create key2oauth"},
				{Words: "Give it your domain, once.", Text: "cloudflared tunnel route dns key2oauth " + name},
				{Words: "Run it.", Text: "cloudflared tunnel run --url http://" + addr + " key2oauth"},
			},
		},
		{
			ID: "caddy", Name: "Caddy", ClientHeader: tunnel.LastForwardedFor,
			Steps: []Step{
				{Words: "If Caddy runs on another machine, bring the port there.", Text: "ssh -N -R " + addr + ":" + addr + " you@" + name},
				{Words: "Tell Caddy where to pass requests on.", File: "Caddyfile", Text: host + " {\n\treverse_proxy " + addr + "\n}\n"},
				{Words: "Load it.", Text: "caddy reload --config Caddyfile"},
			},
		},
	}
}

// PresetByID finds one of Presets. It returns false if there is none with this
// ID.
func PresetByID(id, origin, addr string) (Preset, bool) {
	for _, p := range Presets(origin, addr) {
		if p.ID == id {
			return p, true
		}
	}
	return Preset{}, false
}

// CheckPreset checks the ID of a preset, which may be empty. A misspelled one
// would leave the senders of requests unknown, without a word.
func CheckPreset(id string) error {
	if id == "" {
		return nil
	}
	var ids []string
	for _, p := range Presets("", "") {
		if p.ID == id {
			return nil
		}
		ids = append(ids, p.ID)
	}
	return fmt.Errorf("there is no preset %q: use one of %s, or none", id, strings.Join(ids, ", "))
}
