// Package stored has servers and their keys as records of the state file: those
// that are there, and those that were deleted and can be restored. Its types are
// of its own, since a change to a type elsewhere must not change the file. It
// opens nothing that is sealed; that is package sealed's.
package stored

import (
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// The buckets of the records.
var (
	Endpoints   = []byte("endpoints")   // slug -> Endpoint
	Credentials = []byte("credentials") // id -> Credential
)

// An Endpoint is the record of an endpoint.
type Endpoint struct {
	Slug     string    `json:"slug"`
	BaseURL  string    `json:"base_url"`
	HasQuery bool      `json:"has_query,omitempty"`
	Name     string    `json:"name"`
	Header   string    `json:"header"`
	Prefix   string    `json:"prefix"`
	Known    bool      `json:"header_known,omitempty"`
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"last_used,omitzero"`
}

// Endpoint returns the endpoint that r is the record of.
func (r Endpoint) Endpoint() endpoint.Endpoint {
	return endpoint.Endpoint{
		Slug: r.Slug, BaseURL: r.BaseURL, HasQuery: r.HasQuery, Name: r.Name,
		Header: endpoint.Header{Name: r.Header, Prefix: r.Prefix}, HeaderKnown: r.Known,
		Created: r.Created, LastUsed: r.LastUsed,
	}
}

// PutEndpoint saves the record of e.
func PutEndpoint(tx *bbolt.Tx, e endpoint.Endpoint) error {
	return records.Put(tx, Endpoints, e.Slug, Endpoint{
		Slug: e.Slug, BaseURL: e.BaseURL, HasQuery: e.HasQuery, Name: e.Name,
		Header: e.Header.Name, Prefix: e.Header.Prefix, Known: e.HeaderKnown,
		Created: e.Created, LastUsed: e.LastUsed,
	})
}

// A Credential is the record of a credential, without its key.
type Credential struct {
	ID      string                   `json:"id"`
	Slug    string                   `json:"slug"`
	Label   string                   `json:"label"`
	State   endpoint.CredentialState `json:"state"`
	Grant   string                   `json:"grant,omitempty"`
	Created time.Time                `json:"created"`
}

// Credential returns the credential that r is the record of.
func (r Credential) Credential() endpoint.Credential {
	return endpoint.Credential{
		ID: r.ID, Slug: r.Slug, Label: r.Label, State: r.State, Grant: r.Grant, Created: r.Created,
	}
}

// PutCredential saves the record of c.
func PutCredential(tx *bbolt.Tx, c endpoint.Credential) error {
	return records.Put(tx, Credentials, c.ID, Credential{
		ID: c.ID, Slug: c.Slug, Label: c.Label, State: c.State, Grant: c.Grant, Created: c.Created,
	})
}
