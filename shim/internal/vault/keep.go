package vault

// persist turns the file of a run that was to keep nothing into the state
// file. Its records are sealed again under kept, if that is not the master key
// of this run; nil means that nothing is sealed yet.
func (v *Vault) persist(kept *masterKey) error {
	return v.file.Keep(v.path, func(t *transaction) error {
		if kept == nil {
			return nil
		}
		resealed, err := v.resealed(kept)
		if err != nil {
			return err
		}
		b := t.Bucket(bucketSealed)
		for k, value := range resealed {
			if err := b.Put([]byte(k), value); err != nil {
				return err
			}
		}
		t.Then(func() { v.adopt(kept, resealed) })
		return nil
	})
}

// resealed is every sealed record under another master key, by its name in the
// bucket. It is empty if the key is the same.
func (v *Vault) resealed(kept *masterKey) (map[string][]byte, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	all := make(map[string][]byte)
	if v.master == nil || kept.id == v.master.id {
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

// adopt makes kept the master key, together with what is sealed under it. The
// caller holds mu.
func (v *Vault) adopt(kept *masterKey, resealed map[string][]byte) {
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
	v.setMasterLocked(kept, Keychain{State: StateReady})
}
