// Package tunnel keeps one way in from the internet open. A Tunnel opens a
// listener and says under which public origin it is reached. A Supervisor keeps
// the Tunnel open that the owner wants: it serves by a callback, reopens the
// tunnel when it breaks, and says in words what is wrong and who can fix it.
// It imports the standard library alone; what speaks to ngrok is package
// tunnel/ngrok, what waits for a tunnel that the owner runs is package
// tunnel/external, and what is served is the caller's.
package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"
)

// A Tunnel is one way in from the internet. Implementations are pointers.
type Tunnel interface {
	// Provider returns ProviderNgrok or ProviderExternal.
	Provider() string
	// ClientHeader returns the header that names the client's address.
	ClientHeader() ClientHeader
	// Open opens the tunnel and returns its listener and the public origin
	// that leads there: https, host, without a slash at the end. known is the
	// origin that clients were given, or ""; a Tunnel that may choose asks for
	// it again. A listener with a connection behind it is a Link. ctx bounds
	// Open alone; the listener stays open until it is closed. The error is a
	// *Fault where there is something to say to people.
	Open(ctx context.Context, known string) (net.Listener, string, error)
}

// A Front is what the world sees of an open tunnel.
type Front struct {
	Origin       string // https, host, without a slash at the end
	ClientHeader ClientHeader
}

// A ClientHeader is the request header that names the client's address.
type ClientHeader string

// The headers of known tunnels. They serve rate limits and hints only.
const (
	NoClientHeader   ClientHeader = ""                 // unknown
	LastForwardedFor ClientHeader = "X-Forwarded-For"  // the last element
	CfConnectingIP   ClientHeader = "Cf-Connecting-Ip" // the only element
)

// A Link is a listener with a connection to a service behind it, which can
// break and come back while the listener stays open.
type Link interface {
	net.Listener
	// Changes receives when State has changed.
	Changes() <-chan struct{}
	State() LinkState
	// Kick makes a new connection. It returns false if it cannot.
	Kick() bool
	// Alive reports whether the connection can still work on the networks that
	// this computer has now.
	Alive() bool
	// Disconnect ends everything at once, unlike Close, which lets the
	// connections live that were accepted.
	Disconnect()
}

// A LinkState is how the connection behind a Link is.
type LinkState struct {
	Online                bool
	Err                   error     // why it is not online
	Retry                 time.Time // when it is tried again
	Account, Plan, Region string
}

// ErrAgain is the Err of a LinkState whose tunnel has to be closed and opened
// again at once.
var ErrAgain = errors.New("again")

// The names of providers.
const (
	ProviderNgrok    = "ngrok"
	ProviderExternal = "external"
	ProviderOff      = "off"
)

// A State says how the tunnel is.
type State string

// The states of a tunnel.
const (
	Off        State = "off"        // the owner wants none
	Paused     State = "paused"     // the owner wants it later
	Connecting State = "connecting" // for the first time since it was wanted
	Online     State = "online"
	Retrying   State = "retrying" // it broke, and is tried again automatically
	Failed     State = "failed"   // someone has to act; tried again once a day, and when something changes
	Locked     State = "locked"   // its authtoken is in a keychain that has not answered
)

// A Status says how the tunnel is. Words and Next are for people. It holds no
// secrets.
type Status struct {
	Provider string
	State    State
	Code     string // of what is wrong, such as "ERR_NGROK_334"
	Words    string // one or two sentences
	Next     string // what to do
	Link     string // a page to do it on
	Whose    Whose  // who has to do it
	Origin   string // the public origin while it is online
	Was      string // the origin that clients know, if it is another
	Account  string
	Plan     string
	Region   string
	Since    time.Time // of State
	Retry    time.Time // when it is tried again
}

// An Authtoken opens a session with ngrok. It prints, logs and marshals as
// "[redacted]" or not at all. The string sits behind a pointer because fmt
// ignores the methods of unexported fields.
type Authtoken struct{ p *string }

const redacted = "[redacted]"

// NewAuthtoken wraps s.
func NewAuthtoken(s string) Authtoken { return Authtoken{&s} }

// Reveal returns the authtoken itself. Every call is a place to audit.
func (a Authtoken) Reveal() string {
	if a.p == nil {
		return ""
	}
	return *a.p
}

// IsZero reports whether there is no authtoken, or an empty one.
func (a Authtoken) IsZero() bool { return a.Reveal() == "" }

func (a Authtoken) String() string       { return redacted }
func (a Authtoken) GoString() string     { return redacted }
func (a Authtoken) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format keeps every verb from reaching the pointer.
func (a Authtoken) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// MarshalText fails: a secret is written only by code that calls Reveal.
func (a Authtoken) MarshalText() ([]byte, error) {
	return nil, errors.New("refusing to marshal an authtoken")
}
