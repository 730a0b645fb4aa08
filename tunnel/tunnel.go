// Package tunnel keeps one way in from the internet open: an ngrok tunnel that
// lives in this process, or a listener for a tunnel that the owner runs
// himself.
//
// A Tunnel opens a listener and says under which public origin it is reached.
// A Supervisor keeps the Tunnel open that the owner wants: it serves by a
// callback, brings the tunnel back when it breaks, and says in words what is
// wrong and whose turn it is. It knows nothing of what is served.
//
// # What ngrok's SDK needs
//
// ngrok.go is the only file that imports it. It has these habits:
//
//   - It tries for ever to connect with an authtoken that was refused. So the
//     context of a session ends as soon as an event names a code that is final.
//   - Between its attempts it sleeps and cannot be woken. So the dialer that it
//     is given waits instead, as long as there is no network.
//   - Closing its listener can deadlock under load, and closing a connection
//     waits for a writer that waits for the client. So both are done aside,
//     with a limit.
//   - Write deadlines do nothing on its connections, or damage the session. So
//     they are refused with os.ErrNoDeadline.
//   - After an endpoint was stopped from ngrok's dashboard, its next reconnect
//     opens that again with nobody listening. So each opening has an Agent of
//     its own, which is thrown away with it.
//   - Its errors repeat the authtoken. So nothing that it says is passed on,
//     only the code in it.
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

// A Tunnel is one way in from outside. Implementations are pointers.
type Tunnel interface {
	// Open opens the tunnel and returns its listener and the public origin
	// that leads there: https, host, without a slash at the end. ctx bounds
	// Open alone; the listener stays open until it is closed. Its error is a
	// *Fault where there is something to say to people.
	Open(ctx context.Context) (net.Listener, string, error)
}

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
	Retrying   State = "retrying" // it broke, and is tried again by itself
	Failed     State = "failed"   // it is not tried again until the owner did something
)

// A Status says how the tunnel is, for people and programs. It holds no
// secrets.
type Status struct {
	Provider string    `json:"provider"`
	State    State     `json:"state"`
	Code     string    `json:"code,omitempty"`  // "ERR_NGROK_334", of what is wrong
	Words    string    `json:"words"`           // one or two sentences
	Next     string    `json:"next,omitempty"`  // what the owner may do
	Link     string    `json:"link,omitempty"`  // a page where he can do it
	Whose    Whose     `json:"whose,omitempty"` // whose fault it is
	Origin   string    `json:"origin,omitempty"`
	Was      string    `json:"was,omitempty"` // the origin that clients know, if it is another
	Account  string    `json:"account,omitempty"`
	Plan     string    `json:"plan,omitempty"`
	Region   string    `json:"region,omitempty"`
	Since    time.Time `json:"since"`          // of State
	Retry    time.Time `json:"retry,omitzero"` // when it is tried again
}

// An Authtoken opens a session with ngrok. It prints, logs and marshals as
// "[redacted]" or not at all. The string sits behind a pointer because fmt
// ignores the methods of unexported fields.
type Authtoken struct{ p *string }

const redacted = "[redacted]"

// NewAuthtoken wraps s.
func NewAuthtoken(s string) Authtoken { return Authtoken{&s} }

func (a Authtoken) reveal() string {
	if a.p == nil {
		return ""
	}
	return *a.p
}

func (a Authtoken) String() string       { return redacted }
func (a Authtoken) GoString() string     { return redacted }
func (a Authtoken) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format keeps every verb from reaching the pointer.
func (a Authtoken) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// MarshalText refuses, like that of all secrets.
func (a Authtoken) MarshalText() ([]byte, error) {
	return nil, errors.New("refusing to marshal an authtoken")
}
