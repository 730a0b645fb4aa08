package stored

import (
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// DeletedFor is how long a deleted endpoint can be restored.
const DeletedFor = 30 * 24 * time.Hour

// Deleted is the bucket of what was deleted: slug -> DeletedEndpoint. Files that
// never had a server deleted do not have it.
var Deleted = []byte("deleted")

// A DeletedEndpoint is an endpoint as it was, with the owner's keys. What is sealed
// stays sealed: it names the endpoint and its URL, so it opens only in the same
// place again, and neither deleting nor restoring takes the master key. Grants and
// the keys that belonged to one of them are not kept, since they have ended.
type DeletedEndpoint struct {
	Endpoint Endpoint     `json:"endpoint"`
	Query    []byte       `json:"query,omitempty"`
	Keys     []DeletedKey `json:"keys,omitempty"`
	Deleted  time.Time    `json:"deleted"`
}

// A DeletedKey is a credential with its sealed key.
type DeletedKey struct {
	Credential Credential `json:"credential"`
	Sealed     []byte     `json:"sealed,omitempty"`
}

// Over reports whether r is too old to be restored.
func (r DeletedEndpoint) Over(now time.Time) bool { return now.Sub(r.Deleted) > DeletedFor }

// PutDeleted saves r, in place of an older one of its slug.
func PutDeleted(tx *bbolt.Tx, r DeletedEndpoint) error {
	b, err := tx.CreateBucketIfNotExists(Deleted)
	if err != nil {
		return err
	}
	if err := b.Delete([]byte(r.Endpoint.Slug)); err != nil { // its fields are not this one's
		return err
	}
	return records.Put(tx, Deleted, r.Endpoint.Slug, r)
}

// GetDeleted reads a record that is not too old. ok is false if there is none that
// can be read.
func GetDeleted(tx *bbolt.Tx, slug string, now time.Time) (r DeletedEndpoint, ok bool) {
	if tx.Bucket(Deleted) == nil {
		return r, false
	}
	r, ok, err := records.Get[DeletedEndpoint](tx, Deleted, slug)
	return r, ok && err == nil && !r.Over(now)
}

// EachDeleted calls fn with every record, those that are too old included.
func EachDeleted(tx *bbolt.Tx, fn func(r DeletedEndpoint) error) error {
	if tx.Bucket(Deleted) == nil {
		return nil
	}
	return records.Each(tx, Deleted, fn)
}
