package vault

import (
	"fmt"

	"github.com/key2oauth/key2oauth/shim/internal/keychain"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// Keep ends a run that keeps nothing. The master key goes into the keychain
// that has appeared, and everything else into the data folder.
func (v *Vault) Keep() error {
	return v.keys.Keep(func(kept *keychain.MasterKey, adopt func()) error {
		err := v.file.Keep(v.path, func(t *transaction) error {
			resealed, err := v.resealed(kept)
			if err != nil {
				return err
			}
			for k, value := range resealed {
				if err := records.PutBytes(t.Tx, bucketSealed, []byte(k), value); err != nil {
					return err
				}
			}
			t.Then(func() {
				v.useResealed(resealed)
				adopt()
			})
			return nil
		})
		if err != nil {
			return fmt.Errorf("%w: %w", oauth.ErrUnavailable, err)
		}
		return nil
	})
}

// resealed returns every sealed record under another master key, by its name in
// the bucket. It is empty if the key is the same.
func (v *Vault) resealed(kept *keychain.MasterKey) (map[string][]byte, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	all := make(map[string][]byte)
	master, _ := v.keys.Master()
	if master == nil || kept.Same(master) {
		return all, nil
	}
	for slug, e := range v.endpoints {
		whole, err := v.fullURL(e)
		if err != nil {
			return nil, err
		}
		if e.HasQuery {
			query := whole[len(e.BaseURL)+1:]
			all[string(sealedKey(kindQuery, slug))] = kept.Seal(kindQuery, slug, e.BaseURL, query)
		}
		for id, c := range v.creds {
			if c.Slug != slug || len(c.sealed) == 0 {
				continue
			}
			key, err := master.Open(kindKey, id, whole, c.sealed)
			if err != nil {
				continue // it cannot be opened now either
			}
			all[string(sealedKey(kindKey, id))] = kept.Seal(kindKey, id, whole, key)
		}
	}
	for name, s := range v.secrets {
		if text, err := master.Open(kindSecret, name, "", s.sealed); err == nil {
			all[string(sealedKey(kindSecret, name))] = kept.Seal(kindSecret, name, "", text)
		}
	}
	return all, nil
}

// useResealed replaces sealed records in memory. The caller holds mu.
func (v *Vault) useResealed(resealed map[string][]byte) {
	for slug, e := range v.endpoints {
		if b, ok := resealed[string(sealedKey(kindQuery, slug))]; ok {
			e.sealed = b
		}
	}
	for id, c := range v.creds {
		if b, ok := resealed[string(sealedKey(kindKey, id))]; ok {
			c.sealed = b
		}
	}
	for name, s := range v.secrets {
		if b, ok := resealed[string(sealedKey(kindSecret, name))]; ok {
			s.sealed = b
		}
	}
}
