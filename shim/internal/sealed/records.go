package sealed

import (
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// The records of the state file. They are types of their own: a change to a type
// elsewhere must not change the file.

type endpointRecord struct {
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

func (r endpointRecord) endpoint() endpoint.Endpoint {
	return endpoint.Endpoint{
		Slug: r.Slug, BaseURL: r.BaseURL, HasQuery: r.HasQuery, Name: r.Name,
		Header: endpoint.Header{Name: r.Header, Prefix: r.Prefix}, HeaderKnown: r.Known,
		Created: r.Created, LastUsed: r.LastUsed,
	}
}

func recordOf(e endpoint.Endpoint) endpointRecord {
	return endpointRecord{
		Slug: e.Slug, BaseURL: e.BaseURL, HasQuery: e.HasQuery, Name: e.Name,
		Header: e.Header.Name, Prefix: e.Header.Prefix, Known: e.HeaderKnown,
		Created: e.Created, LastUsed: e.LastUsed,
	}
}

type credentialRecord struct {
	ID      string                   `json:"id"`
	Slug    string                   `json:"slug"`
	Label   string                   `json:"label"`
	State   endpoint.CredentialState `json:"state"`
	Grant   string                   `json:"grant,omitempty"`
	Created time.Time                `json:"created"`
}

func (r credentialRecord) credential() endpoint.Credential {
	return endpoint.Credential{
		ID: r.ID, Slug: r.Slug, Label: r.Label, State: r.State, Grant: r.Grant, Created: r.Created,
	}
}

func putCredential(tx *bbolt.Tx, c endpoint.Credential) error {
	return records.Put(tx, bucketCreds, c.ID, credentialRecord{
		ID: c.ID, Slug: c.Slug, Label: c.Label, State: c.State, Grant: c.Grant, Created: c.Created,
	})
}
