package vault

import (
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/ledger"
	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// A DamageKind says what a damaged record was.
type DamageKind string

// The kinds of damage.
const (
	DamagedServer  DamageKind = "server"
	DamagedKey     DamageKind = "key"     // of a server, or a record that says whose it is
	DamagedApp     DamageKind = "app"     // it has to sign in again
	DamagedSetting DamageKind = "setting" // it has its default again
	DamagedSecret  DamageKind = "secret"  // of the program itself, such as a tunnel's authtoken
	DamagedHistory DamageKind = "history" // what nothing depends on, or what is told elsewhere; never listed
)

// A Damage is a record that cannot be read, or several of one app. Everything
// else works.
type Damage struct {
	Kind DamageKind
	ID   string // a slug, the id of a credential or a grant, or the name of a setting
	Name string // what the record seems to call it; it may be wrong, or empty
	Slug string // of the server that it belongs to, as far as that is known
}

// Damages lists what was found to be damaged, each once.
func (v *Vault) Damages() []Damage {
	all := v.incomplete()
	found := v.file.Damaged()
	if len(found) == 0 {
		return all
	}
	seen := make(map[Damage]bool)
	v.view(func(tx *bbolt.Tx) error {
		for _, e := range found {
			d := v.damageOf(tx, e)
			if d.Kind == DamagedHistory {
				continue
			}
			if key := (Damage{Kind: d.Kind, ID: d.ID}); !seen[key] {
				seen[key] = true
				all = append(all, d)
			}
		}
		return nil
	})
	return all
}

// incomplete lists the endpoints whose address has lost its query.
func (v *Vault) incomplete() (all []Damage) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for slug, e := range v.endpoints {
		if e.HasQuery && len(e.sealed) == 0 {
			all = append(all, Damage{DamagedServer, slug, e.Name, slug})
		}
	}
	return all
}

// damageOf says what a damaged record means.
func (v *Vault) damageOf(tx *bbolt.Tx, e *records.Error) Damage {
	switch e.Bucket {
	case string(bucketEndpoints):
		r := records.Guess[endpointRecord](tx, bucketEndpoints, e.Key)
		return Damage{DamagedServer, e.Key, r.Name, e.Key}
	case string(bucketCreds):
		r := records.Guess[credentialRecord](tx, bucketCreds, e.Key)
		return Damage{DamagedKey, e.Key, r.Label, r.Slug}
	case string(bucketSealed):
		if kind, id, _ := strings.Cut(e.Key, "/"); kind == kindSecret {
			return Damage{Kind: DamagedSecret, ID: id, Name: id}
		}
		// A credential says itself that its key is needed; for an endpoint without
		// its query, see incomplete.
		return Damage{Kind: DamagedHistory}
	case string(bucketSettings):
		return Damage{Kind: DamagedSetting, ID: e.Key, Name: e.Key}
	}
	if grant, name, slug, ok := ledger.DamagedGrant(tx, e); ok {
		return Damage{DamagedApp, grant, name, slug}
	}
	return Damage{Kind: DamagedHistory}
}

// scrub looks for damaged records at the start and once a day, and heals what
// can be rebuilt.
func (v *Vault) scrub() {
	begin := time.Now()
	if err := v.file.Scrub(); err != nil {
		v.log.Debug("the state was not searched for damage", "err", err)
		return
	}
	v.log.Debug("searched the state for damage", "took", time.Since(begin))
	for _, e := range v.file.Damaged() {
		if e.Bucket != string(bucketSessions) && !ledger.Expendable(e) {
			continue
		}
		err := v.write(func(t *transaction) error {
			if e.Bucket == string(bucketSessions) {
				return t.Bucket(bucketSessions).Delete([]byte(e.Key))
			}
			return ledger.Heal(t.Tx, e)
		})
		if err != nil {
			v.log.Warn("a damaged record was not removed", "bucket", e.Bucket, "err", err)
		}
	}
}

// smallState is how large a file may be to be searched for damage before it is
// used, which then takes less than a millisecond.
const smallState = 1 << 20

// KeyTrouble says why the key of a credential cannot be used, for an endpoint
// that is there. It asks no one, and is not meant for every call.
func (v *Vault) KeyTrouble(slug, credential string) endpoint.Trouble {
	damaged := make(map[string]bool)
	for _, e := range v.file.Damaged() {
		damaged[e.Bucket+"/"+e.Key] = true
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	s, ok := v.creds[credential]
	e := v.endpoints[slug]
	switch {
	case damaged[string(bucketCreds)+"/"+credential], damaged[string(bucketSealed)+"/"+string(sealedKey(kindKey, credential))]:
		return endpoint.TroubleDamaged
	case !ok:
		return endpoint.TroubleGone
	case s.refused != nil, e != nil && e.HasQuery && len(e.sealed) == 0:
		return endpoint.TroubleDamaged
	case len(s.sealed) == 0:
		return endpoint.TroubleAddress
	}
	if master, known := v.keys.Master(); !known || master == nil || !master.Sealed(s.sealed) || e != nil && e.HasQuery && !master.Sealed(e.sealed) {
		return endpoint.TroubleKeychain
	}
	return endpoint.NoTrouble
}
