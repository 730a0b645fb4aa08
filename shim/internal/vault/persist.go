package vault

import (
	"errors"
	"os"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/atomicfile"
)

// persist turns the file of a run that was to keep nothing into the state
// file. Records are sealed anew under kept, if that is not the master key of
// this run; nil means that nothing is sealed yet.
func (v *Vault) persist(kept *masterKey) error {
	v.wmu.Lock()
	defer v.wmu.Unlock()
	v.dbmu.Lock()
	defer v.dbmu.Unlock()
	if err := v.usable(); err != nil {
		return err
	}
	if _, err := os.Lstat(v.path); !errors.Is(err, os.ErrNotExist) {
		return &DirError{Path: v.path, Err: err, Words: v.path + " has appeared meanwhile; start again to use it"}
	}
	resealed, err := v.resealed(kept)
	if err != nil {
		return err
	}
	next := v.path + ".new"
	if err := v.copyTo(next, resealed); err != nil {
		os.Remove(next)
		return err
	}
	if err := atomicfile.Rename(next, v.path); err != nil {
		return err
	}
	db, err := openFile(v.path)
	if err != nil {
		os.Remove(v.path)
		return err
	}
	old, oldPath := v.db, v.dbPath
	v.db, v.dbPath = db, v.path
	closeDB(old)
	os.Remove(oldPath)
	if kept != nil {
		v.adopt(kept, resealed)
	}
	return nil
}

// resealed is every sealed record under another master key, by its name in the
// bucket. It is empty if the key is the same.
func (v *Vault) resealed(kept *masterKey) (map[string][]byte, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	all := make(map[string][]byte)
	if kept == nil || v.master == nil || kept.id == v.master.id {
		return all, nil
	}
	for slug, e := range v.endpoints {
		whole, err := v.fullURL(e)
		if err != nil {
			return nil, err
		}
		if e.HasQuery {
			query := whole[len(e.BaseURL)+1:]
			all[string(sealedKey(kindQuery, slug))] = kept.seal(kindQuery, slug, e.BaseURL, query)
		}
		for id, c := range v.creds {
			if c.Slug != slug || len(c.sealed) == 0 {
				continue
			}
			key, err := v.master.open(kindKey, id, whole, c.sealed)
			if err != nil {
				continue // it reads "key needed", and will
			}
			all[string(sealedKey(kindKey, id))] = kept.seal(kindKey, id, whole, key)
		}
	}
	for name, s := range v.secrets {
		if text, err := v.master.open(kindSecret, name, "", s.sealed); err == nil {
			all[string(sealedKey(kindSecret, name))] = kept.seal(kindSecret, name, "", text)
		}
	}
	return all, nil
}

// copyTo writes the present state to path, with other sealed records.
func (v *Vault) copyTo(path string, sealed map[string][]byte) error {
	err := guard(nil, func() error {
		return v.db.View(func(tx *bbolt.Tx) error { return tx.CopyFile(path, 0o600) })
	})
	if err != nil {
		return err
	}
	db, err := openDB(path, false)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketSealed)
		for k, value := range sealed {
			if err := b.Put([]byte(k), value); err != nil {
				return err
			}
		}
		return nil
	})
	// The copy itself was not synced.
	return errors.Join(err, db.Sync(), closeDB(db))
}

// adopt makes kept the master key, together with what is sealed under it. The
// caller holds wmu.
func (v *Vault) adopt(kept *masterKey, resealed map[string][]byte) {
	v.mu.Lock()
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
	v.mu.Unlock()
	v.setMaster(kept, Keychain{State: StateReady})
}
