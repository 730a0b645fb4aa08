// Package timeline remembers how clients connect: each attempt from the first
// look at our metadata to the first tool call, where it stopped, and why. It
// is for people, so it contains nothing that could be used: no token, code,
// state, key or query.
//
// An attempt is put together from what is known at each step. Before a client
// has an id, it is known by its sender and its name; then by its id and by the
// id of its authorization request; after consent by its grant.
package timeline

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/display"
)

// A Step is one step on the way.
type Step string

// The steps, in their order.
const (
	Found      Step = "found"     // read metadata, or was told where it is
	Registered Step = "register"  // as a client
	Asked      Step = "authorize" // a browser brought the authorization request
	Waiting    Step = "waiting"   // another device waits for the owner
	Shown      Step = "consent"   // the owner opened the consent page
	Number     Step = "number"    // typed from the other device's screen
	Key        Step = "key"       // was tried at the upstream
	Approved   Step = "approve"   // or denied
	Exchanged  Step = "exchange"  // exchanged the code for tokens
	Refreshed  Step = "refresh"
	Token      Step = "token" // used an invalid access token
	Called     Step = "call"  // a call that the upstream answered
	Tool       Step = "tool"  // the first tool call, which completes the attempt
)

// order ranks the steps. Steps of the same rank come in any order.
var order = map[Step]int{
	Found: 0, Registered: 1, Asked: 2, Waiting: 3, Shown: 4, Number: 5, Key: 6, Approved: 7,
	Exchanged: 8, Refreshed: 9, Token: 9, Called: 9, Tool: 10,
}

// How a client reaches us.
const (
	Local    = api.ViaLocal // from this computer
	Ngrok    = api.TunnelNgrok
	External = api.TunnelExternal // by the owner's own tunnel
)

// An Event is a step, or a refusal of one, with the number of times it
// happened.
type Event struct {
	Step   Step      `json:"step"`
	Why    string    `json:"why,omitempty"` // it was refused; "" if it went well
	Status int       `json:"status,omitempty"`
	Time   time.Time `json:"time"`           // of the first
	Last   time.Time `json:"last,omitzero"`  // of the last one, if there were more
	Count  int       `json:"count,omitzero"` // if there were more
}

func (e Event) last() time.Time {
	if e.Last.IsZero() {
		return e.Time
	}
	return e.Last
}

// An Attempt is one attempt of a client to connect.
type Attempt struct {
	ID     uint64    `json:"id"`
	Client string    `json:"client"`        // as it calls itself; "" if it did not say
	App    string    `json:"app,omitempty"` // who it is, for people
	Agent  string    `json:"agent,omitempty"`
	Via    string    `json:"via"`
	Host   string    `json:"host,omitempty"` // where the answer goes
	Slug   string    `json:"slug,omitempty"`
	Grant  string    `json:"grant,omitempty"`
	Began  time.Time `json:"began"`
	Last   time.Time `json:"last"`
	Events []Event   `json:"events"`
	Over   bool      `json:"over,omitempty"` // the same app was approved later

	from     string // who sends; "" on this computer
	own      bool   // seen by the owner, or from this computer
	clients  []digest
	requests []string
}

// Done reports whether the client has used a tool.
func (a *Attempt) Done() bool { return a.reached() == Tool }

// reached returns the last step that succeeded.
func (a *Attempt) reached() Step {
	var top Step
	for _, e := range a.Events {
		if e.Why == "" && (top == "" || order[e.Step] >= order[top]) {
			top = e.Step
		}
	}
	return top
}

// has reports whether a step was tried.
func (a *Attempt) has(step Step) bool {
	return slices.ContainsFunc(a.Events, func(e Event) bool { return e.Step == step })
}

// Who names the client, or returns a stand-in. What only the client says of
// itself stands in quotation marks.
func (a *Attempt) Who() string {
	switch {
	case a.App != "":
		return a.App
	case a.Client != "": // kept by an earlier version
		return display.Quote(a.Client)
	case a.Agent != "":
		return display.Quote(a.Agent)
	}
	return unnamed
}

// unnamed is the name of an app that did not give one.
const unnamed = "An app"

// maxEvents is more than an honest attempt has.
const maxEvents = 24

func (a *Attempt) note(step Step, why string, status int, now time.Time) {
	a.Last = now
	i := slices.IndexFunc(a.Events, func(e Event) bool { return e.Step == step && e.Why == why && e.Status == status })
	if i >= 0 {
		e := &a.Events[i]
		e.Last, e.Count = now, max(e.Count, 1)+1
		return
	}
	if len(a.Events) == maxEvents {
		// The newest says why it stopped; the oldest say how it began.
		a.Events = slices.Delete(a.Events, maxEvents/2, maxEvents/2+1)
	}
	a.Events = append(a.Events, Event{Step: step, Why: why, Status: status, Time: now})
}

// A digest stands for a client id, which may be long.
type digest [sha256.Size]byte

// Agent returns the program's name in a User-Agent header, without its version
// and the rest.
func Agent(header string) string {
	name, _, _ := strings.Cut(strings.TrimSpace(header), "/")
	name, _, _ = strings.Cut(name, " ")
	return clip(name, maxAgent)
}

// Bounds of strangers' texts, in characters and in bytes.
const (
	maxAgent = 40
	maxName  = 100
	maxHost  = 253 // RFC 1035, Section 3.1
)

// clip makes a stranger's text safe to keep.
func clip(s string, most int) string { return display.Bounded(s, most, most) }
