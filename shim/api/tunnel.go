package api

import "time"

// The ways in from the internet.
const (
	TunnelOff      = "off"      // none: only apps on this computer can connect
	TunnelNgrok    = "ngrok"    // opened by Key2OAuth, with the owner's ngrok account
	TunnelExternal = "external" // run by the owner; Key2OAuth listens where it leads
)

// TunnelPresets are the programs of a TunnelExternal whose requests we can read,
// for TunnelChange.Preset.
var TunnelPresets = []string{"tailscale", "cloudflared", "caddy"}

// The states of a tunnel, besides TunnelOff. In TunnelFailed the owner has to do
// something. It is tried again once a day, after sleep, in another network and
// when a month's quota is renewed, in case that was done.
const (
	TunnelConnecting = "connecting"
	TunnelOnline     = "online"
	TunnelRetrying   = "retrying"
	TunnelFailed     = "failed"
	TunnelPaused     = "paused"
	TunnelLocked     = "locked" // the authtoken is in a keychain that has not answered
)

// A TunnelStatus says how the internet reaches us, and is the answer to PUT
// /api/tunnel. Words are for people: what is true, or what failed; Next is what
// to do about it.
type TunnelStatus struct {
	Provider string     `json:"provider"`
	State    string     `json:"state"`
	Words    string     `json:"words"`
	Next     string     `json:"next,omitempty"`
	Link     string     `json:"link,omitempty"`  // a page to do it on
	Code     string     `json:"code,omitempty"`  // ERR_NGROK_...
	Whose    string     `json:"whose,omitempty"` // who has to fix it
	Account  string     `json:"account,omitempty"`
	Plan     string     `json:"plan,omitempty"`
	Region   string     `json:"region,omitempty"`
	Since    *time.Time `json:"since,omitempty"` // when it came online
	Test     string     `json:"test,omitempty"`  // what the last self-test found, if that was trouble
	// Proven says that a self-test or a request has come in by the public address
	// since then.
	Proven bool `json:"proven,omitempty"`
	// Senders says that the senders of requests cannot be told apart, and what to
	// do about it.
	Senders string       `json:"senders,omitempty"`
	Usage   *TunnelUsage `json:"usage,omitempty"`
	// Stranded are the apps that signed in at an earlier public address.
	Stranded []string `json:"stranded,omitempty"`
}

// A TunnelUsage is what went through the tunnel this month, in UTC, with the
// limits of the plan where it has any.
type TunnelUsage struct {
	Month       string `json:"month"`
	Requests    int64  `json:"requests"`
	Bytes       int64  `json:"bytes"`
	MaxRequests int64  `json:"max_requests,omitempty"`
	MaxBytes    int64  `json:"max_bytes,omitempty"`
	Warning     string `json:"warning,omitempty"` // once 80 % of a limit are used
}

// A TunnelChange is the body of PUT /api/tunnel.
type TunnelChange struct {
	Provider  string `json:"provider"`
	Authtoken string `json:"authtoken,omitempty"` // of ngrok; the saved one if empty
	URL       string `json:"url,omitempty"`
	Preset    string `json:"preset,omitempty"` // of TunnelExternal: the program that runs it
}

// A TunnelTest is the answer to POST /api/tunnel/test.
type TunnelTest struct {
	OK    bool   `json:"ok"`
	Words string `json:"words"`
}
