package api

import (
	"time"

	"github.com/key2oauth/key2oauth/shim/display"
)

// An Attempt is one try of one app to get connected, and what is known about
// it.
type Attempt struct {
	ID        uint64    `json:"id"`
	Client    string    `json:"client"`        // as it calls itself; "" if it did not say
	App       string    `json:"app,omitempty"` // who it is, for people
	Agent     string    `json:"agent,omitempty"`
	Via       string    `json:"via"`            // ViaLocal, TunnelNgrok or TunnelExternal
	Host      string    `json:"host,omitempty"` // that the answer goes to
	Slug      string    `json:"slug,omitempty"`
	Grant     string    `json:"grant,omitempty"`
	Began     time.Time `json:"began"`
	Last      time.Time `json:"last"`
	Events    []Event   `json:"events"`
	Over      bool      `json:"over,omitempty"`     // the same app was approved later
	Endpoint  string    `json:"endpoint,omitempty"` // its display name
	Diagnosis Diagnosis `json:"diagnosis"`
}

// Who names the app for people. What only the app says of itself stands in
// quotation marks.
func (a *Attempt) Who() string {
	switch {
	case a.App != "":
		return a.App
	case a.Client != "":
		return display.Quote(a.Client)
	case a.Agent != "":
		return display.Quote(a.Agent)
	}
	return "An app"
}

// ViaLocal says that an app came from this computer.
const ViaLocal = "local"

// An Event is a step on the way to the first tool, or a refusal of one, however
// often it happened.
type Event struct {
	Step   string    `json:"step"`
	Why    string    `json:"why,omitempty"` // it was refused; "" if it went well
	Status int       `json:"status,omitempty"`
	Time   time.Time `json:"time"`           // of the first
	Last   time.Time `json:"last,omitzero"`  // of the last one, if there were more
	Count  int       `json:"count,omitzero"` // if there were more
}

// A Diagnosis says where an attempt stopped, and what to do.
type Diagnosis struct {
	State   string `json:"state"`
	Stopped string `json:"stopped,omitempty"` // the step that did not happen
	Cause   string `json:"cause,omitempty"`   // one word or two that stand for Words
	Whose   string `json:"whose,omitempty"`   // who has to fix it
	Words   string `json:"words"`             // what is likely wrong
	Next    string `json:"next,omitempty"`    // what to do
}

// The states of a Diagnosis.
const (
	AttemptDone      = "done"      // a tool was used
	AttemptConnected = "connected" // all is well, and no tool has been used yet
	AttemptGoing     = "going"     // the next step may still come
	AttemptStopped   = "stopped"
)

// Some causes of a Diagnosis.
const (
	CauseFound         = "found"          // a program looked at an address, and no more
	CauseDenied        = "approve denied" // by the owner
	CauseDiskApprove   = "approve disk"   // nothing could be saved
	CauseDiskExchange  = "exchange state"
	CauseDiskRefresh   = "refresh state"
	CauseKeyRejected   = "call 401" // the upstream refused the key
	CausePaused        = "call paused"
	CauseLocked        = "call locked" // the keychain has not answered
	CauseLockedConsent = "key locked"
)

// Who has to fix something; "" if nothing needs fixing.
const (
	WhoseYours    = "yours"    // the owner
	WhoseClient   = "client"   // the app that connects
	WhoseUpstream = "upstream" // the server that takes API keys
	WhoseNgrok    = "ngrok"    // ngrok, or who runs the tunnel
	WhoseNetwork  = "network"
	WhoseOurs     = "ours" // Key2OAuth
)

// Timeline is the answer to GET /api/timeline, the newest attempt first.
type Timeline struct {
	Timeline []Attempt `json:"timeline"`
}

// A Finding is one thing that an examination looked at, in words for people. It
// holds no secret.
type Finding struct {
	ID    string `json:"id"`
	Group string `json:"group"`
	What  string `json:"what"`
	State string `json:"state"`
	Whose string `json:"whose,omitempty"`
	Words string `json:"words,omitempty"`
	Next  string `json:"next,omitempty"`
	Link  string `json:"link,omitempty"`
	MS    int64  `json:"ms"`
}

// The groups of findings, in the order in which they are looked at.
const (
	GroupComputer = "computer"
	GroupLocal    = "local"
	GroupPublic   = "public"
	GroupServers  = "servers"
)

// The states of a Finding.
const (
	FindingRunning = "running"
	FindingOK      = "ok"
	FindingWarn    = "warn"
	FindingFailed  = "failed"
	FindingSkipped = "skipped"
)

// A Report is what an examination found, or has found so far: the answer to GET
// /api/doctor, and each line of the answer to POST /api/doctor.
type Report struct {
	Version  string     `json:"version"`
	Began    time.Time  `json:"began"`
	Ended    *time.Time `json:"ended"` // null while it runs
	OK       bool       `json:"ok"`    // nothing failed
	Findings []Finding  `json:"findings"`
}
