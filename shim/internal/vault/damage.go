package vault

import (
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/ledger"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/sealed"
	"github.com/key2oauth/key2oauth/shim/internal/settings"
)

// A DamageKind says what a damaged record was.
type DamageKind string

// The kinds of damage.
const (
	DamagedServer    DamageKind = "server"
	DamagedKey       DamageKind = "key"        // of a server, or a record that says whose it is
	DamagedSealedKey DamageKind = "sealed key" // the rest of its record can be read, so pasting the key again repairs it
	DamagedApp       DamageKind = "app"        // it may have to sign in again
	DamagedSetting   DamageKind = "setting"    // it has its default again
	DamagedSecret    DamageKind = "secret"     // of the program itself, such as a tunnel's authtoken
	// DamagedReplaced is a random value of the program itself that was damaged in
	// both of its records, and replaced. It is listed until the owner has seen it.
	DamagedReplaced DamageKind = "replaced"
	DamagedHistory  DamageKind = "history" // what nothing depends on, or what is told elsewhere; never listed
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
	var all []Damage
	for _, e := range v.Incomplete() {
		all = append(all, Damage{DamagedServer, e.Slug, e.Name, e.Slug})
	}
	for _, c := range v.DamagedKeys() {
		all = append(all, Damage{DamagedSealedKey, c.ID, c.Label, c.Slug})
	}
	for _, name := range v.Lost() {
		all = append(all, Damage{Kind: DamagedReplaced, ID: name, Name: name})
	}
	found := v.file.Damaged()
	if len(found) == 0 {
		return all
	}
	seen := make(map[Damage]bool)
	lost := v.LostKeys()
	v.view(func(tx *bbolt.Tx) error {
		for _, e := range found {
			d := damageOf(tx, e)
			if d.Kind == DamagedHistory {
				continue
			}
			if i := slices.IndexFunc(lost, func(c endpoint.Credential) bool { return d.Kind == DamagedKey && c.ID == d.ID }); i >= 0 {
				d.Slug = lost[i].Slug
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

// damageOf says what a damaged record means.
func damageOf(tx *bbolt.Tx, e *records.Error) Damage {
	if slug, name, ok := sealed.DamagedEndpoint(tx, e); ok {
		return Damage{DamagedServer, slug, name, slug}
	}
	if id, label, slug, ok := sealed.DamagedCredential(tx, e); ok {
		return Damage{DamagedKey, id, label, slug}
	}
	if name, ok := sealed.DamagedSecret(e); ok {
		return Damage{Kind: DamagedSecret, ID: name, Name: name}
	}
	if name, ok := settings.Damaged(e); ok {
		return Damage{Kind: DamagedSetting, ID: name, Name: name}
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
		var heal func(tx *bbolt.Tx, e *records.Error) error
		switch {
		case v.Healable(e):
			heal = v.Heal
		case ledger.Expendable(e):
			heal = ledger.Heal
		default:
			continue
		}
		err := v.write(func(t *transaction) error { return heal(t.Tx, e) })
		if err != nil {
			v.log.Warn("a damaged record was not mended", "bucket", e.Bucket, "err", err)
		} else if name, ok := settings.Damaged(e); ok {
			v.settingRepaired(name)
		}
	}
}

// smallState is how large a file may be to be searched for damage before it is
// used, which then takes less than a millisecond.
const smallState = 1 << 20
