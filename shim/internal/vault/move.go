package vault

import (
	"bytes"
	"errors"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/ledger"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/parcel"
	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// Pack returns the servers with their keys and the connected apps with their
// tokens, for another computer. What cannot be read is left out: a key that has
// to be pasted again here has to be pasted there too. It answers ErrLocked while
// we wait for the master key.
func (v *Vault) Pack() (c parcel.Contents, err error) {
	if _, known := v.keys.Master(); !known {
		return c, ErrLocked
	}
	v.Flush()
	apps, err := v.packApps()
	if err != nil {
		return c, err
	}
	there := make(map[string]bool)
	for _, e := range v.Endpoints() {
		s := parcel.Server{Endpoint: e}
		switch u, err := v.UpstreamURL(e.Slug); {
		case err == nil && u.RawQuery != "":
			s.Query = endpoint.NewSecret(u.RawQuery)
		case err != nil && !errors.Is(err, ErrKeyNeeded):
			return parcel.Contents{}, err
		}
		c.Servers = append(c.Servers, s)
		there[e.Slug] = true
	}
	grants := make(map[string]bool)
	for _, a := range apps {
		grants[a.ID] = there[a.Slug]
	}
	keys := make(map[string]bool)
	for _, e := range c.Servers {
		for _, shown := range v.Store.Credentials(e.Slug) {
			if shown.Grant != "" && !grants[shown.Grant] {
				continue // it waits for an app that may never come
			}
			k := parcel.Key{Credential: shown}
			if k.Key, err = v.Key(k.ID); err != nil && !errors.Is(err, ErrKeyNeeded) {
				return parcel.Contents{}, err
			}
			if k.State == endpoint.KeyNeeded {
				k.State = endpoint.Unverified
			}
			c.Keys = append(c.Keys, k)
			keys[k.ID] = true
		}
	}
	for _, a := range apps {
		if !grants[a.ID] {
			continue
		}
		if !keys[a.Credential] {
			a.Credential = "" // that was deleted; the app is asked for another
		}
		c.Apps = append(c.Apps, a)
	}
	return c, nil
}

// packApps reads the grants with their tokens.
func (v *Vault) packApps() (apps []parcel.App, err error) {
	grants, err := v.Grants()
	if err != nil {
		return nil, err
	}
	err = v.view(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(ledger.BucketTokens).Cursor()
		for _, g := range grants {
			a := parcel.App{Grant: g, Tokens: make(map[oauth.Digest]oauth.Token)}
			prefix := append([]byte(g.ID), 0)
			for k, b := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, b = cursor.Next() {
				value, err := records.Check(ledger.BucketTokens, k, b)
				if err != nil || len(k) != len(prefix)+len(oauth.Digest{}) {
					continue // damaged: the app signs in again
				}
				if token, err := ledger.ParseToken(value); err == nil {
					a.Tokens[oauth.Digest(k[len(prefix):])] = token
				}
			}
			apps = append(apps, a)
		}
		return nil
	})
	return apps, err
}
