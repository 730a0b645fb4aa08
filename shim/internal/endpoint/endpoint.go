// Package endpoint has the owner's endpoints and their credentials, and the
// rules for what people may type into either. It does no I/O, except that an
// address of RFC 6598 is compared with those of this computer.
package endpoint

import "time"

// An Endpoint is one upstream that clients reach through us. Its MCP URL is
// the origin plus "/" + Slug + "/mcp".
type Endpoint struct {
	Slug string `json:"slug"`
	// BaseURL is the upstream URL without its query. Some vendors put the key
	// into the query, so the query is encrypted separately and known only
	// while the vault is open.
	BaseURL  string `json:"base_url"`
	HasQuery bool   `json:"has_query,omitempty"`
	Name     string `json:"name"` // display name, at most MaxName characters, never empty
	Header   Header `json:"header"`
	// HeaderKnown says that Header is not a guess: the owner chose it, or the
	// upstream took a key in it. No other one is tried then.
	HeaderKnown bool `json:"header_known,omitempty"`
	Created     time.Time
	LastUsed    time.Time
}

// A Header is how an upstream wants its key: Name: Prefix + key.
type Header struct {
	Name   string `json:"name"`   // as it was typed
	Prefix string `json:"prefix"` // "" sends the bare key
}

// DefaultHeader is what most upstreams want.
var DefaultHeader = Header{Name: "Authorization", Prefix: "Bearer "}

// UsualHeaders are tried in this order if the default header is answered with
// 401 and the owner did not choose a header.
var UsualHeaders = []Header{
	DefaultHeader,
	{Name: "Authorization"},
	{Name: "X-Api-Key"},
	{Name: "Api-Key"},
}

// A CredentialState is whether a credential works, as far as we know.
type CredentialState string

// The states of a credential. "rejected" means that the upstream answered 401
// and a probe confirmed it; "key needed" means that the record was encrypted
// with a different master key.
const (
	Working    CredentialState = "ok"
	Unverified CredentialState = "unverified"
	Rejected   CredentialState = "rejected"
	KeyNeeded  CredentialState = "key needed"
)

// A Credential is the visible part of a saved API key.
type Credential struct {
	ID    string          `json:"id"`
	Slug  string          `json:"-"`
	Label string          `json:"label"` // "key 1"; never part of the key
	State CredentialState `json:"state"`
	// Grant is the only grant that may use the credential: the key was pasted
	// by someone who had not proven to be the owner. Empty means that the key
	// is the owner's and can be offered again at consent.
	Grant   string    `json:"-"`
	Created time.Time `json:"-"`
}
