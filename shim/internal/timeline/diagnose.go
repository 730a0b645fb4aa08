package timeline

import (
	"fmt"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
)

// A Party is who has to fix a problem.
type Party string

// The parties.
const (
	PartyOwner    Party = api.WhoseYours    // the owner's
	PartyClient   Party = api.WhoseClient   // the connecting app's
	PartyUpstream Party = api.WhoseUpstream // the MCP server's
	PartyTunnel   Party = api.WhoseNgrok    // or another tunnel's
	PartyUs       Party = api.WhoseOurs
	NoParty       Party = ""
)

// A Diagnosis is where an attempt stopped, and what to do.
type Diagnosis struct {
	// State is Done once a tool was used, Connected if only the first tool call
	// is missing, Going while the next step may still come, and else Stopped.
	State   string `json:"state"`
	Stopped Step   `json:"stopped,omitempty"` // the step that failed or did not come
	Cause   string `json:"cause,omitempty"`   // a code for Words
	Whose   Party  `json:"whose,omitempty"`
	Words   string `json:"words"`          // the likely problem
	Next    string `json:"next,omitempty"` // what to do
}

// The states of a Diagnosis.
const (
	Done      = api.AttemptDone
	Connected = api.AttemptConnected
	Going     = api.AttemptGoing
	Stopped   = api.AttemptStopped
)

// causeConnected is the cause where nothing is wrong.
const causeConnected = "connected"

// Circumstances are what a diagnosis depends on besides the attempt.
type Circumstances struct {
	Now     time.Time
	Offline bool // the public address can't be reached right now
}

// Diagnose returns the diagnosis of an attempt.
func Diagnose(a Attempt, c Circumstances) Diagnosis {
	if a.Done() {
		return Diagnosis{State: Done, Words: "It works."}
	}
	top := a.reached()
	d := Diagnosis{State: Stopped}
	if e, ok := a.refusal(top); ok {
		d.Stopped, d.Cause = e.Step, refusalCause(a, e)
	} else {
		d.Stopped, d.Cause = silence(a, top, c)
		switch {
		case d.Cause == causeConnected:
			d.State = Connected
		case c.Now.Sub(a.Last) < patience(top):
			d.State = Going
		}
	}
	d.Whose = causes[d.Cause].whose
	d.Words, d.Next = Words(d.Cause, a)
	if d.State == Going {
		d.Whose, d.Words, d.Next = NoParty, going[top], ""
	}
	return d
}

// Words returns what people are told about a cause, and what to do. Tests
// compare with it.
func Words(cause string, a Attempt) (words, next string) {
	k := causes[cause]
	return fill(k.words, unnamed, a), fill(k.next, "The app", a)
}

// refusal returns what stops an attempt: a refusal no earlier on the way, and
// later in time, than the last success.
func (a *Attempt) refusal(top Step) (found Event, ok bool) {
	var since time.Time
	for _, e := range a.Events {
		if e.Why == "" && order[e.Step] == order[top] && e.last().After(since) {
			since = e.last()
		}
	}
	for _, e := range a.Events {
		if e.Why == "" || order[e.Step] < order[top] || e.last().Before(since) {
			continue
		}
		if !ok || !e.last().Before(found.last()) {
			found, ok = e, true
		}
	}
	return found, ok
}

// patience returns how long the next step may take.
func patience(after Step) time.Duration {
	switch after {
	case Asked, Waiting, Shown, Number, Key:
		return patient // a person is reading, or looking for a key
	case Approved, Exchanged:
		return 30 * time.Second
	}
	return time.Minute
}

// refusalCause returns the cause of a refusal.
func refusalCause(a Attempt, e Event) string {
	if e.Step == Called {
		return callCause(e)
	}
	cause := string(e.Step) + " " + e.Why
	if e.Step == Exchanged && e.Why == "other client" && a.count(Registered) > 1 {
		cause = "exchange mixed"
	}
	if _, ok := causes[cause]; ok {
		return cause
	}
	switch e.Step {
	case Registered:
		return "register registration"
	case Asked:
		return "authorize refused"
	case Approved:
		return "approve disk"
	}
	return string(e.Step)
}

// callCause returns the cause of a failed call.
func callCause(e Event) string {
	if _, ok := causes["call "+e.Why]; ok && e.Why != "" && e.Why != "upstream" {
		return "call " + e.Why
	}
	switch s := e.Status; {
	case s >= 500 && s != 502 && s != 503 && s != 504:
		return "call 5xx"
	case s == 503, s == 504:
		return "call busy"
	case s == 401, s == 403, s == 404, s == 405, s == 429, s == 499, s == 502:
		return fmt.Sprintf("call %d", s)
	}
	return "call"
}

// count returns how often a step succeeded.
func (a *Attempt) count(step Step) (n int) {
	for _, e := range a.Events {
		if e.Step == step && e.Why == "" {
			n += max(e.Count, 1)
		}
	}
	return n
}

// silence returns the cause if nothing was refused and nothing came any more,
// and the step that is missing.
func silence(a Attempt, top Step, c Circumstances) (next Step, cause string) {
	public := a.Via != Local
	switch top {
	case "", Found:
		return Registered, api.CauseFound
	case Registered:
		switch {
		case public && c.Offline:
			return Asked, "register offline"
		case a.Via == Ngrok:
			return Asked, "register ngrok"
		}
		return Asked, "register"
	case Asked:
		if public {
			return Shown, "authorize public"
		}
		return Shown, "authorize"
	case Waiting:
		return Number, "waiting"
	case Shown, Number, Key:
		return Approved, "consent"
	case Approved:
		if public && c.Offline {
			return Exchanged, "approve offline"
		}
		return Exchanged, "approve"
	case Exchanged, Refreshed:
		if public && c.Offline {
			return Called, "exchange offline"
		}
		return Called, "exchange silent"
	}
	return Tool, causeConnected
}
