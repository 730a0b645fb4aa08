// Package endpoint holds the owner's things: endpoints, the credentials saved
// for them, and the rules for what may be typed into either. It does no I/O.
package endpoint

import "time"

// An Endpoint is one upstream that clients may reach through us. Its MCP URL
// is the origin plus "/" + Slug + "/mcp".
type Endpoint struct {
	Slug string `json:"slug"`
	// BaseURL is the upstream URL without its query. Some vendors put the key
	// into the query, so the query is sealed apart from the rest and is only
	// known while the vault is open.
	BaseURL  string `json:"base_url"`
	HasQuery bool   `json:"has_query,omitempty"`
	Name     string `json:"name"` // display name, at most MaxName runes; never empty
	Header   Header `json:"header"`
	Created  time.Time
	LastUsed time.Time
}

// A Header says how an upstream wants its key: Name: Prefix + key.
type Header struct {
	Name   string `json:"name"`   // canonical form
	Prefix string `json:"prefix"` // "" sends the bare key
}

// DefaultHeader is what most upstreams want.
var DefaultHeader = Header{Name: "Authorization", Prefix: "Bearer "}

// UsualHeaders are tried in this order when the default header is answered
// with 401 and the owner did not choose a header himself.
var UsualHeaders = []Header{
	DefaultHeader,
	{Name: "Authorization"},
	{Name: "X-Api-Key"},
	{Name: "Api-Key"},
}

// A CredentialState says whether a credential is believed to work.
type CredentialState string

// The states of a credential. "rejected" means that the upstream answered 401
// and a probe confirmed it; "key needed" that the record is sealed under a
// master key which is not the present one.
const (
	Working    CredentialState = "ok"
	Unverified CredentialState = "unverified"
	Rejected   CredentialState = "rejected"
	KeyNeeded  CredentialState = "key needed"
)

// A Credential is what may be shown of one saved API key.
type Credential struct {
	ID    string          `json:"id"`
	Slug  string          `json:"-"`
	Label string          `json:"label"` // "key 1"; never part of the key
	State CredentialState `json:"state"`
	// Grant is the only grant that may use the credential: the key was pasted
	// by somebody who had not proven to be the owner. Empty means that the key
	// is the owner's and can be offered again at consent.
	Grant   string    `json:"-"`
	Created time.Time `json:"-"`
}
