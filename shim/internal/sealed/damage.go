package sealed

import (
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/stored"
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
	if e.Bucket != string(stored.Endpoints) {
		return "", "", false
	}
	return e.Key, records.Guess[stored.Endpoint](tx, stored.Endpoints, e.Key).Name, true
}

// DamagedCredential says which credential a damaged record is, and what it seems
// to be called. ok is false for other records, also for its key alone: then the
// credential can be read, and says that its key is needed.
func DamagedCredential(tx *bbolt.Tx, e *records.Error) (id, label, slug string, ok bool) {
	if e.Bucket != string(stored.Credentials) {
		return "", "", "", false
	}
	r := records.Guess[stored.Credential](tx, stored.Credentials, e.Key)
	return e.Key, r.Label, r.Slug, true
}

// DamagedKeys lists the credentials whose keys are damaged. The credentials
// themselves can be read, so pasting the key again repairs them.
func (s *Store) DamagedKeys() (all []endpoint.Credential) {
	found := s.cfg.Damaged()
	s.cfg.Lock.RLock()
	defer s.cfg.Lock.RUnlock()
	lost := s.lostKeys(found)
	for _, c := range s.creds {
		if lost.has(c) {
			all = append(all, c.Credential)
		}
	}
	slices.SortFunc(all, func(a, b endpoint.Credential) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// lostKeys are the keys that are damaged, by the records that were found to be.
type lostKeys struct {
	ids map[string]bool // of credentials
	// stray says that there is a record that belongs to no credential, because its
	// name lost a bit. It may be the key of any credential that has none.
	stray bool
}

func (l lostKeys) has(c *credState) bool {
	return c.refused != nil || l.ids[c.ID] || l.stray && len(c.sealed) == 0
}

// lostKeys sorts what was found. The caller holds Config.Lock.
func (s *Store) lostKeys(found []*records.Error) lostKeys {
	l := lostKeys{ids: make(map[string]bool)}
	for _, e := range found {
		if e.Bucket != string(bucketSealed) {
			continue
		}
		switch kind, id, _ := strings.Cut(e.Key, "/"); {
		case kind == kindKey && s.creds[id] != nil:
			l.ids[id] = true
		case kind == kindSecret, kind == kindQuery && s.endpoints[id] != nil:
		default:
			l.stray = true
		}
	}
	return l
}

// DamagedSecret says which secret of the program a damaged record is.
func DamagedSecret(e *records.Error) (name string, ok bool) {
	kind, name, _ := strings.Cut(e.Key, "/")
	return name, e.Bucket == string(bucketSealed) && kind == kindSecret
}

// KeyTrouble says why the key of a credential cannot be used, for an endpoint
// that is there. It does not ask the keychain, and is too slow for every call.
func (s *Store) KeyTrouble(slug, credential string) endpoint.Trouble {
	found := s.cfg.Damaged()
	s.cfg.Lock.RLock()
	defer s.cfg.Lock.RUnlock()
	c, ok := s.creds[credential]
	e := s.endpoints[slug]
	switch {
	case slices.ContainsFunc(found, func(e *records.Error) bool { return e.Bucket == string(stored.Credentials) && e.Key == credential }):
		return endpoint.TroubleDamaged
	case !ok:
		return endpoint.TroubleGone
	case s.lostKeys(found).has(c), e != nil && e.HasQuery && len(e.sealed) == 0:
		return endpoint.TroubleDamaged
	case len(c.sealed) == 0:
		return endpoint.TroubleAddress
	}
	if master, known := s.cfg.Master(); !known || master == nil || !master.Sealed(c.sealed) || e != nil && e.HasQuery && !master.Sealed(e.sealed) {
		return endpoint.TroubleKeychain
	}
	return endpoint.NoTrouble
}
