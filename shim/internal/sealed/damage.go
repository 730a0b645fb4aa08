package sealed

import (
	"strings"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// Incomplete lists the endpoints whose address has lost its query.
func (s *Store) Incomplete() (all []endpoint.Endpoint) {
	s.cfg.Lock.RLock()
	defer s.cfg.Lock.RUnlock()
	for _, e := range s.endpoints {
		if e.HasQuery && len(e.sealed) == 0 {
			all = append(all, e.Endpoint)
		}
	}
	return all
}

// DamagedEndpoint says which endpoint a damaged record is, and what it seems to
// be called. ok is false for other records.
func DamagedEndpoint(tx *bbolt.Tx, e *records.Error) (slug, name string, ok bool) {
	if e.Bucket != string(bucketEndpoints) {
		return "", "", false
	}
	return e.Key, records.Guess[endpointRecord](tx, bucketEndpoints, e.Key).Name, true
}

// DamagedCredential says which credential a damaged record is, and what it seems
// to be called. ok is false for other records, also for its key alone: then the
// credential can be read, and says that its key is needed.
func DamagedCredential(tx *bbolt.Tx, e *records.Error) (id, label, slug string, ok bool) {
	if e.Bucket != string(bucketCreds) {
		return "", "", "", false
	}
	r := records.Guess[credentialRecord](tx, bucketCreds, e.Key)
	return e.Key, r.Label, r.Slug, true
}

// DamagedSecret says which secret of the program a damaged record is.
func DamagedSecret(e *records.Error) (name string, ok bool) {
	kind, name, _ := strings.Cut(e.Key, "/")
	return name, e.Bucket == string(bucketSealed) && kind == kindSecret
}

// KeyTrouble says why the key of a credential cannot be used, for an endpoint
// that is there. It asks no one, and is not meant for every call.
func (s *Store) KeyTrouble(slug, credential string) endpoint.Trouble {
	damaged := make(map[string]bool)
	for _, e := range s.cfg.Damaged() {
		damaged[e.Bucket+"/"+e.Key] = true
	}
	s.cfg.Lock.RLock()
	defer s.cfg.Lock.RUnlock()
	c, ok := s.creds[credential]
	e := s.endpoints[slug]
	switch {
	case damaged[string(bucketCreds)+"/"+credential], damaged[string(bucketSealed)+"/"+string(sealedKey(kindKey, credential))]:
		return endpoint.TroubleDamaged
	case !ok:
		return endpoint.TroubleGone
	case c.refused != nil, e != nil && e.HasQuery && len(e.sealed) == 0:
		return endpoint.TroubleDamaged
	case len(c.sealed) == 0:
		return endpoint.TroubleAddress
	}
	if master, known := s.cfg.Master(); !known || master == nil || !master.Sealed(c.sealed) || e != nil && e.HasQuery && !master.Sealed(e.sealed) {
		return endpoint.TroubleKeychain
	}
	return endpoint.NoTrouble
}
