// Package standing decides how things stand: the state of a server, the state of
// the internet, and what the owner should look at first. Its functions are pure
// and the only ones that decide it, so pages, tray, notifications, command line
// and API cannot disagree. What is known comes from their callers; the words are
// package web's.
package standing

import (
	"slices"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// An Answer is what a server last said.
type Answer string

// The answers.
const (
	Unheard Answer = ""        // it was not asked, or its answer is forgotten
	Good    Answer = "good"    // HTTP 2xx that is MCP, also with the error of a tool
	Missing Answer = "missing" // no answer, or not that of an MCP server
	Asks    Answer = "asks"    // it wants a key and got none
)

// A Server is what is known of a server.
type Server struct {
	Keys        []endpoint.CredentialState
	Last        Answer
	Locked      bool // keys can neither be used nor saved
	Unconfirmed bool // a program that the owner has not allowed yet
	Unstarted   bool // a program that could not be started

	// Why has a sentence for the states that need one of their own: why the last
	// answer is Missing, why it is Locked, why a key cannot be used, or why the
	// program does not start.
	Why string
}

// State is the state of a server, one of those of an api.Endpoint: the worst of
// what is known. It is EndpointOK only after a good answer. A key that is Working
// had one when it was last tried, which may have been in an earlier run.
func (s Server) State() string {
	switch has := func(k endpoint.CredentialState) bool { return slices.Contains(s.Keys, k) }; {
	case s.Locked:
		return api.EndpointLocked
	case s.Unconfirmed:
		return api.EndpointNotConfirmed
	case s.Unstarted:
		return api.EndpointCannotStart
	case has(endpoint.Rejected):
		return api.EndpointRejected
	case has(endpoint.KeyNeeded):
		return api.EndpointKeyNeeded
	case s.Last == Missing:
		return api.EndpointUnreachable
	case s.Last == Asks:
		return api.EndpointKeyNeeded
	case s.Last == Good, has(endpoint.Working):
		return api.EndpointOK
	}
	return api.EndpointNotTried
}

// Describe puts the state of a server into o, in words. While everything is
// paused, that is what the words say.
func (s Server) Describe(o *api.Endpoint, paused bool) {
	o.State = s.State()
	if paused {
		o.StateWords, o.Why = web.ServerState(web.StatePaused), ""
		return
	}
	o.StateWords, o.Why = web.ServerState(o.State), web.ServerWhy(o.State)
	switch {
	case o.State == api.EndpointKeyNeeded && !slices.Contains(s.Keys, endpoint.KeyNeeded):
		o.Why = web.ServerWhy(web.StateKeyWanted)
	case s.Why == "":
	case o.State == api.EndpointUnreachable, o.State == api.EndpointLocked, o.State == api.EndpointCannotStart, o.State == api.EndpointKeyNeeded:
		o.Why = s.Why
	}
}

// KeyLost reports whether a saved key of a server cannot be used, so that apps
// that worked do not work any more.
func KeyLost(o api.Endpoint) bool {
	return o.State == api.EndpointKeyNeeded &&
		slices.ContainsFunc(o.Credentials, func(c api.Credential) bool { return c.State == api.CredentialKeyNeeded })
}
