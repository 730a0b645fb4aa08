// Package timeline remembers how clients came to be connected: each attempt
// from the first look at our metadata to the first tool, where it stopped, and
// why. It is kept for people, so it holds nothing that could be used: no
// token, code, state, key or query.
//
// An attempt is put together from what can be known at each step. Before a
// client has an id it is known by who sends and under what name; then by its
// id and by the id of its authorization request; after consent by its grant.
package timeline

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/key2oauth/key2oauth/shim/display"
)

// A Step is one thing that happens on the way.
type Step string

// The steps, in the order in which they come.
const (
	Found      Step = "found"     // read metadata, or was told where it is
	Registered Step = "register"  // as a client
	Asked      Step = "authorize" // a browser brought the authorization request
	Waiting    Step = "waiting"   // another device waits for the owner
	Shown      Step = "consent"   // the owner had the consent page before him
	Number     Step = "number"    // typed from the other device's screen
	Key        Step = "key"       // was tried at the upstream
	Approved   Step = "approve"   // or denied
	Exchanged  Step = "exchange"  // the code for tokens
	Refreshed  Step = "refresh"
	Token      Step = "token" // used an access token that is not good
	Called     Step = "call"  // a call that the upstream answered
	Tool       Step = "tool"  // the first tool: all is well from here on
)

// order ranks the steps. Steps of one rank come in any order.
var order = map[Step]int{
	Found: 0, Registered: 1, Asked: 2, Waiting: 3, Shown: 4, Number: 5, Key: 6, Approved: 7,
	Exchanged: 8, Refreshed: 9, Token: 9, Called: 9, Tool: 10,
}

// The ways by which a client comes.
const (
	Local    = "local" // from this computer
	Ngrok    = "ngrok"
	External = "external" // by a tunnel of the owner's own
)

// An Event is a step, or a refusal of one, however often it happened.
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

// An Attempt is one try of one client to be connected.
type Attempt struct {
	ID     uint64    `json:"id"`
	Client string    `json:"client"` // as it calls itself; "" if it did not say
	Agent  string    `json:"agent,omitempty"`
	Via    string    `json:"via"`
	Host   string    `json:"host,omitempty"` // that the answer goes to
	Slug   string    `json:"slug,omitempty"`
	Grant  string    `json:"grant,omitempty"`
	Began  time.Time `json:"began"`
	Last   time.Time `json:"last"`
	Events []Event   `json:"events"`
	Over   bool      `json:"over,omitempty"` // the same app was approved later

	from     string // who sends; "" on this computer
	own      bool   // the owner has seen it, or it comes from this computer
	clients  []digest
	requests []string
}

// Done reports whether the client has used a tool.
func (a *Attempt) Done() bool { return a.reached() == Tool }

// reached is the last step that went well.
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

// Who is what the client is called.
func (a *Attempt) Who() string {
	switch {
	case a.Client != "":
		return a.Client
	case a.Agent != "":
		return a.Agent
	}
	return unnamed
}

// unnamed is what an app is called that has not said its name.
const unnamed = "An app"

// maxEvents is more than there are different ones in any honest attempt.
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
		// The newest says why it does not go on; the oldest say how it began.
		a.Events = slices.Delete(a.Events, maxEvents/2, maxEvents/2+1)
	}
	a.Events = append(a.Events, Event{Step: step, Why: why, Status: status, Time: now})
}

// A digest stands for a client id, which may be as long as a page.
type digest [sha256.Size]byte

// Agent is the name of the program in a User-Agent header, without its version
// and what else browsers tell.
func Agent(header string) string {
	name, _, _ := strings.Cut(strings.TrimSpace(header), "/")
	name, _, _ = strings.Cut(name, " ")
	return clip(name, maxAgent)
}

// Bounds of what a stranger says, in characters and in bytes.
const (
	maxAgent = 40
	maxName  = 100
	maxHost  = 253 // RFC 1035, Section 3.1
)

// clip makes a stranger's word fit to be kept.
func clip(s string, most int) string { return display.Bounded(s, most, most) }
