package api

import "time"

// An Endpoint is one server that the owner added.
type Endpoint struct {
	Slug             string       `json:"slug"`
	UpstreamURL      string       `json:"upstream_url"` // its query is never shown
	DisplayName      string       `json:"display_name"`
	AuthHeaderName   string       `json:"auth_header_name"`
	AuthHeaderPrefix string       `json:"auth_header_prefix"`
	MCPEndpoint      string       `json:"mcp_endpoint"` // the public URL if there is one, else the local one
	LocalMCPEndpoint string       `json:"local_mcp_endpoint"`
	State            string       `json:"state"`
	Credentials      []Credential `json:"credentials"`
	Created          time.Time    `json:"created"`
	LastUsed         *time.Time   `json:"last_used"`
	Struck           int          `json:"struck,omitempty"` // calls in the activity whose answer held the key
	Note             string       `json:"note,omitempty"`   // what the owner should know about the change just made
	// StateWords is the state for people: "Working", or "Paused" while everything
	// is. Why is a sentence about it; "" if the words say all. They are not in the
	// JSON: shim.ServerState has the words, and Status the sentences.
	StateWords string `json:"-"`
	Why        string `json:"-"`
}

// The states of an Endpoint. Package standing decides which one it is, for
// pages, tray, command line and API alike. A pause changes none of them.
const (
	EndpointOK           = "ok" // its last answer was good; so is the error of a tool
	EndpointNotTried     = "not tried"
	EndpointUnreachable  = "unreachable" // no answer, or not that of an MCP server
	EndpointRejected     = "rejected"    // the server rejects a saved key
	EndpointKeyNeeded    = "key needed"  // the server asks for one, or a saved one cannot be used
	EndpointLocked       = "locked"
	EndpointNotConfirmed = "not confirmed" // a program that the owner has not allowed yet
	EndpointCannotStart  = "cannot start"  // a program that did not start
)

// Endpoints is the answer to GET /api/slugs.
type Endpoints struct {
	Slugs []Endpoint `json:"slugs"`
}

// A Credential is one saved API key, without the key.
type Credential struct {
	ID    string `json:"id"`
	Label string `json:"label"`
	State string `json:"state"`
	For   string `json:"for,omitempty"`
	Words string `json:"words,omitempty"` // why the key cannot be used, and what to do
	// Unwatched says why the key is not looked for in answers; "" means that it
	// is, or that this is not known while the keychain is locked.
	Unwatched string `json:"unwatched,omitempty"`
}

// Why a Credential is not watched.
const (
	UnwatchedShort     = "short"
	UnwatchedGuessable = "guessable" // an e-mail address, a host or a number
)

// The states of a Credential.
const (
	CredentialOK         = "ok"
	CredentialUnverified = "unverified"
	CredentialRejected   = "rejected"   // the upstream answered 401
	CredentialKeyNeeded  = "key needed" // sealed under another master key: paste it again
)

// For whom a Credential may be used.
const (
	ForOwner = "owner" // offered for every new connection
	ForGrant = "grant" // pasted for one grant alone
)

// A NewEndpoint is the body of POST /api/slugs. With no header given, the usual
// ones are tried.
type NewEndpoint struct {
	UpstreamURL string  `json:"upstream_url"`
	DisplayName string  `json:"display_name,omitempty"`
	HeaderName  *string `json:"auth_header_name,omitempty"`
	Prefix      *string `json:"auth_header_prefix,omitempty"`
	Key         string  `json:"api_key,omitempty"`
	Force       bool    `json:"force,omitempty"` // save the key even if the server does not look like an MCP server
	// Check refuses a server that cannot be reached, or is none, unless Force is
	// set. Without it such a server is added, and its state says what it is.
	Check bool `json:"check,omitempty"`
}

// A CreatedEndpoint is the answer to POST /api/slugs.
type CreatedEndpoint struct {
	Slug             string `json:"slug"`
	MCPEndpoint      string `json:"mcp_endpoint"`
	LocalMCPEndpoint string `json:"local_mcp_endpoint"`
	DisplayName      string `json:"display_name"`
	Note             string `json:"note,omitempty"`
}

// An EndpointChange is the body of PATCH /api/slugs/{slug}; nil leaves a field
// as it is.
type EndpointChange struct {
	UpstreamURL *string `json:"upstream_url,omitempty"`
	DisplayName *string `json:"display_name,omitempty"`
	HeaderName  *string `json:"auth_header_name,omitempty"`
	Prefix      *string `json:"auth_header_prefix,omitempty"`
}

// A KeyChange is the body of PUT /api/slugs/{slug}/key. Credential may be empty
// where the endpoint has at most one saved key.
type KeyChange struct {
	Key        string `json:"api_key"`
	Credential string `json:"credential,omitempty"`
	Force      bool   `json:"force,omitempty"`
}

// A SeveralKeys is the answer to a KeyChange that does not say which key to
// replace, with status 409.
type SeveralKeys struct {
	Credentials []Credential `json:"credentials"`
	Error       string       `json:"error"`
}

// A CredentialChange is the body of PATCH /api/slugs/{slug}/credentials/{id}.
type CredentialChange struct {
	Label string `json:"label"`
}

// A Grant is one app that the owner has let use an endpoint.
type Grant struct {
	ID           string     `json:"id"`
	Slug         string     `json:"slug"`
	ClientID     string     `json:"client_id"`
	ClientName   string     `json:"client_name"` // as it calls itself
	App          string     `json:"app"`         // who it is, for people
	RedirectHost string     `json:"redirect_host"`
	ReturnsTo    string     `json:"returns_to"` // where its answer went, for people
	Origin       string     `json:"origin"`
	Credential   string     `json:"credential"`
	Created      time.Time  `json:"created"`
	LastUsed     *time.Time `json:"last_used"`
	InTwoPlaces  *time.Time `json:"in_two_places,omitempty"` // since then; see TwoPlaces
}

// Grants is the answer to GET /api/grants.
type Grants struct {
	Grants []Grant `json:"grants"`
}

// An ImportResult is the answer to POST /api/import.
type ImportResult struct {
	Added   []Endpoint `json:"added"`
	Skipped []string   `json:"skipped"` // slugs that were there already
}
