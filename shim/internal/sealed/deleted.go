package sealed

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// DeletedFor is how long a deleted endpoint can be restored.
const DeletedFor = 30 * 24 * time.Hour

// bucketDeleted holds what was deleted: slug -> deletedRecord. Files that never
// had a server deleted do not have it.
var bucketDeleted = []byte("deleted")

// A deletedRecord is an endpoint as it was, with the owner's keys. What is sealed
// stays sealed: it names the endpoint and its URL, so it opens only in the same
// place again, and neither deleting nor restoring takes the master key. Grants and
// the keys that belonged to one of them are not kept, since they have ended.
type deletedRecord struct {
	Endpoint endpointRecord `json:"endpoint"`
	Query    []byte         `json:"query,omitempty"`
	Keys     []deletedKey   `json:"keys,omitempty"`
	Deleted  time.Time      `json:"deleted"`
}

type deletedKey struct {
	Credential credentialRecord `json:"credential"`
	Sealed     []byte           `json:"sealed,omitempty"`
}

// A Deleted is an endpoint that can be restored until then.
type Deleted struct {
	endpoint.Endpoint
	At, Until time.Time
}

// keepDeleted keeps what DeleteEndpoint is about to delete. A record that is
// damaged is not kept.
func (s *Store) keepDeleted(t *statefile.Tx, slug string) error {
	e, ok, err := records.Get[endpointRecord](t.Tx, bucketEndpoints, slug)
	if err != nil || !ok {
		return nil
	}
	r := deletedRecord{Endpoint: e, Query: bytes.Clone(getSealed(t.Tx, kindQuery, slug)), Deleted: s.cfg.Now()}
	if e.HasQuery && len(r.Query) == 0 {
		return nil
	}
	err = records.Each(t.Tx, bucketCreds, func(c credentialRecord) error {
		if c.Slug == slug && c.Grant == "" {
			r.Keys = append(r.Keys, deletedKey{c, bytes.Clone(getSealed(t.Tx, kindKey, c.ID))})
		}
		return nil
	})
	if err != nil {
		return err
	}
	b, err := t.CreateBucketIfNotExists(bucketDeleted)
	if err != nil {
		return err
	}
	if err := b.Delete([]byte(slug)); err != nil { // an older one of this slug; its fields are not this one's
		return err
	}
	return records.Put(t.Tx, bucketDeleted, slug, r)
}

// eachDeleted calls fn with every record, those that are too old included.
func eachDeleted(tx *bbolt.Tx, fn func(r deletedRecord) error) error {
	if tx.Bucket(bucketDeleted) == nil {
		return nil
	}
	return records.Each(tx, bucketDeleted, fn)
}

func (r deletedRecord) over(now time.Time) bool { return now.Sub(r.Deleted) > DeletedFor }

// DeletedEndpoints lists the endpoints that can be restored, the last deleted first.
func (s *Store) DeletedEndpoints() (all []Deleted, err error) {
	err = s.cfg.View(func(tx *bbolt.Tx) error {
		return eachDeleted(tx, func(r deletedRecord) error {
			if !r.over(s.cfg.Now()) {
				all = append(all, Deleted{r.Endpoint.endpoint(), r.Deleted, r.Deleted.Add(DeletedFor)})
			}
			return nil
		})
	})
	slices.SortFunc(all, func(a, b Deleted) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Slug, b.Slug)) })
	return all, err
}

// RestoreDeleted brings a deleted endpoint back, with its slug and the owner's keys. It
// answers ErrNotFound if there is none, and ErrExists if its slug was taken.
func (s *Store) RestoreDeleted(slug string) error {
	return s.cfg.Update(func(t *statefile.Tx) error {
		r, err := s.deleted(t, slug)
		if err != nil {
			return err
		}
		if t.Bucket(bucketEndpoints).Get([]byte(slug)) != nil {
			return ErrExists
		}
		if err := records.Put(t.Tx, bucketEndpoints, slug, r.Endpoint); err != nil {
			return err
		}
		if len(r.Query) > 0 {
			if err := putSealed(t.Tx, kindQuery, slug, r.Query); err != nil {
				return err
			}
		}
		for _, k := range r.Keys {
			if t.Bucket(bucketCreds).Get([]byte(k.Credential.ID)) != nil {
				return ErrExists
			}
			if err := putCredential(t.Tx, k.Credential.credential()); err != nil {
				return err
			}
			if len(k.Sealed) > 0 {
				if err := putSealed(t.Tx, kindKey, k.Credential.ID, k.Sealed); err != nil {
					return err
				}
			}
		}
		t.Then(func() {
			s.endpoints[slug] = &endpointState{Endpoint: r.Endpoint.endpoint(), sealed: r.Query}
			for _, k := range r.Keys {
				s.creds[k.Credential.ID] = &credState{Credential: k.Credential.credential(), sealed: k.Sealed}
			}
			s.cfg.Notify()
		})
		return t.Bucket(bucketDeleted).Delete([]byte(slug))
	})
}

// ForgetDeleted deletes for good what DeleteEndpoint kept.
func (s *Store) ForgetDeleted(slug string) error {
	return s.cfg.Update(func(t *statefile.Tx) error {
		if _, err := s.deleted(t, slug); err != nil {
			return err
		}
		return t.Bucket(bucketDeleted).Delete([]byte(slug))
	})
}

// deleted reads a record that is not too old.
func (s *Store) deleted(t *statefile.Tx, slug string) (r deletedRecord, err error) {
	if t.Bucket(bucketDeleted) == nil {
		return r, ErrNotFound
	}
	r, ok, err := records.Get[deletedRecord](t.Tx, bucketDeleted, slug)
	if err != nil || !ok || r.over(s.cfg.Now()) {
		return r, ErrNotFound
	}
	return r, nil
}

// sweepDeleted deletes for good what can be restored no more.
func (s *Store) sweepDeleted(now time.Time) error {
	var old []string
	collect := func(tx *bbolt.Tx) error {
		old = nil
		return eachDeleted(tx, func(r deletedRecord) error {
			if r.over(now) {
				old = append(old, r.Endpoint.Slug)
			}
			return nil
		})
	}
	if err := s.cfg.View(collect); err != nil || len(old) == 0 {
		return err
	}
	return s.cfg.Update(func(t *statefile.Tx) error {
		if err := collect(t.Tx); err != nil {
			return err
		}
		for _, slug := range old {
			if err := t.Bucket(bucketDeleted).Delete([]byte(slug)); err != nil {
				return err
			}
		}
		return nil
	})
}
