package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// An External is a tunnel that the owner runs. It passes requests on to a
// loopback address of this computer.
type External struct {
	URL    string // the public origin
	Addr   string // where to listen, on loopback; "" means DefaultAddr
	Preset string // the ID of the program that makes the tunnel; "" is any
}

// DefaultAddr is where an external tunnel leads by default.
const DefaultAddr = "127.0.0.1:7451"

// Provider returns ProviderExternal.
func (*External) Provider() string { return ProviderExternal }

// ClientHeader returns the header of the preset.
func (x *External) ClientHeader() ClientHeader {
	p, _ := PresetByID(x.Preset, x.URL, x.Addr)
	return p.ClientHeader
}

// Open listens. Whether requests arrive is for Probe to find out.
func (x *External) Open(ctx context.Context, _ string) (net.Listener, string, error) {
	origin, err := ParseOrigin(x.URL)
	if err != nil {
		return nil, "", NewFault(CauseBadURL, err)
	}
	addr := x.Addr
	if addr == "" {
		addr = DefaultAddr
	}
	if err := CheckAddr(addr); err != nil {
		return nil, "", NewFault(CauseBadAddress, err)
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, errInUse):
		return nil, "", NewFault(CausePortTaken, err)
	case err != nil:
		return nil, "", NewFault(CauseBadAddress, err)
	}
	return ln, origin, nil
}

// ParseOrigin returns the public origin that s names, with its host in lower
// case and without port 443. It must be https and have nothing after the host.
func ParseOrigin(s string) (string, error) {
	s = strings.TrimSpace(s)
	u, err := url.Parse(s)
	if err != nil {
		return "", fmt.Errorf("the public URL is not a URL; write it as https://mcp.example.com")
	}
	host := strings.ToLower(u.Hostname())
	port := u.Port()
	switch {
	case u.Scheme != "https":
		return "", errors.New("the public URL must begin with https://")
	case u.User != nil:
		return "", errors.New("the public URL must not have a user name")
	case u.Path != "" && u.Path != "/" || u.RawPath != "":
		return "", errors.New("the public URL must not have a path")
	case u.RawQuery != "" || u.ForceQuery:
		return "", errors.New("the public URL must not have a query")
	case u.Fragment != "" || strings.Contains(s, "#"):
		return "", errors.New("the public URL must not have a fragment")
	case !isHost(host):
		return "", fmt.Errorf("the public URL has no valid host name")
	case strings.HasSuffix(u.Host, ":"):
		return "", errors.New("the public URL has a colon but no port")
	}
	if n, err := strconv.Atoi(port); port != "" && (err != nil || n < 1 || n > 65535) {
		return "", errors.New("the public URL has a port that does not exist")
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" && port != "443" {
		host += ":" + port
	}
	return "https://" + host, nil
}

// isHost reports whether host can be that of an origin.
func isHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Zone() == ""
	}
	if host == "" || len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range label {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// CheckAddr checks the address for an external tunnel. Only loopback is allowed:
// on any other address, the local network could bypass the tunnel.
func CheckAddr(addr string) error {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not an address with a port, such as %s", addr, DefaultAddr)
	}
	if !ap.Addr().IsLoopback() {
		return fmt.Errorf("%s is not an address of this computer alone; use 127.0.0.1 or [::1]", ap.Addr())
	}
	return nil
}

// A ClientHeader is the request header that names the client's address.
type ClientHeader string

// The headers of known tunnels. They serve rate limits and hints only.
const (
	NoClientHeader   ClientHeader = ""                 // unknown
	LastForwardedFor ClientHeader = "X-Forwarded-For"  // the last element
	CfConnectingIP   ClientHeader = "Cf-Connecting-Ip" // the only element
)

// A Preset describes one program that makes tunnels.
type Preset struct {
	ID           string // as in settings
	Name         string // for people
	ClientHeader ClientHeader
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
			ID: "tailscale", Name: "Tailscale Funnel", ClientHeader: LastForwardedFor,
			Steps: []Step{
				{Words: "Open the funnel. It stays open after a restart.", Text: "tailscale funnel --bg" + funnelPort + " http://" + addr},
				{Words: "See that it is there, and under which address.", Text: "tailscale funnel status"},
			},
		},
		{
			ID: "cloudflared", Name: "cloudflared", ClientHeader: CfConnectingIP,
			Steps: []Step{
				{Words: "Log in, once.", Text: "cloudflared tunnel login"},
				{Words: "Make a tunnel, once.", Text: "cloudflared tunnel create key2oauth"},
				{Words: "Give it your name, once.", Text: "cloudflared tunnel route dns key2oauth " + name},
				{Words: "Run it.", Text: "cloudflared tunnel run --url http://" + addr + " key2oauth"},
			},
		},
		{
			ID: "caddy", Name: "Caddy", ClientHeader: LastForwardedFor,
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
