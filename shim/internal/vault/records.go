package vault

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// The records of the state file. They have names of their own, so that no
// change elsewhere changes the file.

type endpointRecord struct {
	Slug     string    `json:"slug"`
	BaseURL  string    `json:"base_url"`
	HasQuery bool      `json:"has_query,omitempty"`
	Name     string    `json:"name"`
	Header   string    `json:"header"`
	Prefix   string    `json:"prefix"`
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"last_used,omitzero"`
}

func (r endpointRecord) endpoint() endpoint.Endpoint {
	return endpoint.Endpoint{
		Slug: r.Slug, BaseURL: r.BaseURL, HasQuery: r.HasQuery, Name: r.Name,
		Header:  endpoint.Header{Name: r.Header, Prefix: r.Prefix},
		Created: r.Created, LastUsed: r.LastUsed,
	}
}

func recordOf(e endpoint.Endpoint) endpointRecord {
	return endpointRecord{
		Slug: e.Slug, BaseURL: e.BaseURL, HasQuery: e.HasQuery, Name: e.Name,
		Header: e.Header.Name, Prefix: e.Header.Prefix,
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
	return put(tx, bucketCreds, c.ID, credentialRecord{
		ID: c.ID, Slug: c.Slug, Label: c.Label, State: c.State, Grant: c.Grant, Created: c.Created,
	})
}

type grantRecord struct {
	ID           string    `json:"id"`
	Slug         string    `json:"slug"`
	Origin       string    `json:"origin"`
	ClientID     string    `json:"client_id"`
	ClientName   string    `json:"client_name,omitempty"`
	Verified     bool      `json:"verified,omitempty"`
	RedirectURI  string    `json:"redirect_uri"`
	Credential   string    `json:"credential,omitempty"`
	Scope        string    `json:"scope,omitempty"`
	Created      time.Time `json:"created"`
	LastUsed     time.Time `json:"last_used,omitzero"`
	CodeRedeemed bool      `json:"code_redeemed,omitempty"`
}

// put saves a record as JSON.
func put(tx *bbolt.Tx, bucket []byte, key string, record any) error {
	b, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return tx.Bucket(bucket).Put([]byte(key), b)
}

// get reads a record. ok is false if there is none.
func get[T any](tx *bbolt.Tx, bucket []byte, key string) (record T, ok bool, err error) {
	b := tx.Bucket(bucket).Get([]byte(key))
	if b == nil {
		return record, false, nil
	}
	if err := json.Unmarshal(b, &record); err != nil {
		return record, false, statefile.DamagedRecord(bucket, []byte(key), err)
	}
	return record, true, nil
}

// each calls fn with every record of a bucket.
func each[T any](tx *bbolt.Tx, bucket []byte, fn func(record T) error) error {
	return tx.Bucket(bucket).ForEach(func(k, b []byte) error {
		var record T
		if err := json.Unmarshal(b, &record); err != nil {
			return statefile.DamagedRecord(bucket, k, err)
		}
		return fn(record)
	})
}

// A token record is binary, since there is one for every hour of every
// connection: a version, the kind, flags, two times, the parent if there is
// one, and three strings with their lengths.
const tokenVersion = 1

const (
	flagUsed = 1 << iota
	flagSuperseded
	flagParent
	flagsKnown = flagUsed | flagSuperseded | flagParent
)

var errToken = errors.New("not a token record")

// appendToken appends the record of t to b.
func appendToken(b []byte, t oauth.Token) []byte {
	var flags byte
	if t.Used {
		flags |= flagUsed
	}
	if t.Superseded {
		flags |= flagSuperseded
	}
	if t.Parent != (oauth.Digest{}) {
		flags |= flagParent
	}
	b = append(b, tokenVersion, byte(t.Kind), flags)
	b = binary.BigEndian.AppendUint64(b, nanos(t.Expires))
	b = binary.BigEndian.AppendUint64(b, nanos(t.SuccessorUsed))
	if flags&flagParent != 0 {
		b = append(b, t.Parent[:]...)
	}
	for _, s := range []string{t.Scope, t.RedirectURI, t.Challenge} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// parseToken reads a token record. It accepts nothing that appendToken does
// not write.
func parseToken(b []byte) (t oauth.Token, err error) {
	const fixed = 3 + 8 + 8
	if len(b) < fixed || b[0] != tokenVersion || b[2]&^flagsKnown != 0 {
		return t, errToken
	}
	t.Kind = oauth.Kind(b[1])
	flags := b[2]
	t.Used = flags&flagUsed != 0
	t.Superseded = flags&flagSuperseded != 0
	t.Expires = fromNanos(binary.BigEndian.Uint64(b[3:]))
	t.SuccessorUsed = fromNanos(binary.BigEndian.Uint64(b[11:]))
	b = b[fixed:]
	if flags&flagParent != 0 {
		if len(b) < len(t.Parent) {
			return oauth.Token{}, errToken
		}
		b = b[copy(t.Parent[:], b):]
		if t.Parent == (oauth.Digest{}) {
			return oauth.Token{}, errToken
		}
	}
	for _, s := range []*string{&t.Scope, &t.RedirectURI, &t.Challenge} {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) || size != len(binary.AppendUvarint(nil, n)) {
			return oauth.Token{}, errToken
		}
		*s = string(b[size : size+int(n)])
		b = b[size+int(n):]
	}
	if len(b) != 0 {
		return oauth.Token{}, errToken
	}
	return t, nil
}

// tokenExpires reads nothing but the kind and the expiry of a token record.
func tokenExpires(b []byte) (oauth.Kind, time.Time, error) {
	if len(b) < 11 || b[0] != tokenVersion {
		return 0, time.Time{}, errToken
	}
	return oauth.Kind(b[1]), fromNanos(binary.BigEndian.Uint64(b[3:])), nil
}

// nanos is t in nanoseconds since 1970; 0 is the zero time.
func nanos(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixNano())
}

func fromNanos(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}
