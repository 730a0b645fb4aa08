package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// Some properties of grants are counted: the answer to "is there such a grant?"
// must not depend on how many there are. A key is a letter and what the grants
// have in common: the digest of a redirect URI, or the name of a client and the
// origin it connects to. The value is their number. Older files also have counts
// of clients, under the letter c, which nothing reads.
const (
	grantedRedirect = 'r'
	grantedPlaces   = 'p' // the id of one that is used from two places
	grantedName     = 'n' // origin, 0, name, 0, id of a client that is verified
)

func digestKey(kind byte, value string) []byte {
	d := sha256.Sum256([]byte(value))
	return append([]byte{kind}, d[:]...)
}

// grantedKeys returns the keys that a grant counts for.
func grantedKeys(g grantRecord) [][]byte {
	n := GrantedName{Origin: g.Origin, Name: g.ClientName}
	if g.Verified {
		n.VerifiedID = g.ClientID
	}
	keys := [][]byte{digestKey(grantedRedirect, g.RedirectURI), n.key()}
	if !g.InTwoPlaces.IsZero() {
		keys = append(keys, append([]byte{grantedPlaces}, g.ID...))
	}
	return keys
}

// countGranted adds a grant, which was saved, to the counts with 1, and takes one
// that was deleted out with -1. If a count is damaged, everything is counted again.
func countGranted(tx *bbolt.Tx, g grantRecord, by int64) error {
	for _, k := range grantedKeys(g) {
		b, err := records.GetBytes(tx, bucketGranted, k)
		if err != nil {
			return countAllGranted(tx)
		}
		n, _ := binary.Varint(b)
		if err := putGranted(tx, k, n+by); err != nil {
			return err
		}
	}
	return nil
}

// recount counts a grant that has changed, and was saved. Most changes affect no count.
func recount(tx *bbolt.Tx, old, now grantRecord) error {
	if slices.EqualFunc(grantedKeys(old), grantedKeys(now), bytes.Equal) {
		return nil
	}
	for _, k := range append(grantedKeys(old), grantedKeys(now)...) {
		if _, err := records.GetBytes(tx, bucketGranted, k); err != nil {
			return countAllGranted(tx)
		}
	}
	if err := countGranted(tx, old, -1); err != nil {
		return err
	}
	return countGranted(tx, now, 1)
}

func putGranted(tx *bbolt.Tx, k []byte, n int64) error {
	if n <= 0 {
		return tx.Bucket(bucketGranted).Delete(k)
	}
	return records.PutBytes(tx, bucketGranted, k, binary.AppendVarint(nil, n))
}

// HasRedirect reports whether there is a grant with exactly this redirect URI.
func (l *Ledger) HasRedirect(uri string) (has bool) {
	err := l.cfg.View(func(tx *bbolt.Tx) error {
		// A count that cannot be read is none: then the owner is asked.
		b, err := records.GetBytes(tx, bucketGranted, digestKey(grantedRedirect, uri))
		has = b != nil
		return err
	})
	return has && err == nil
}

// InTwoPlaces lists the grants that are used from two places.
func (l *Ledger) InTwoPlaces() (ids []string, err error) {
	prefix := []byte{grantedPlaces}
	err = l.cfg.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketGranted).Cursor()
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			ids = append(ids, string(k[1:]))
		}
		return nil
	})
	return ids, err
}

// A GrantedName is what connected clients may have in common: a name, and the
// origin at which they know us.
type GrantedName struct {
	Origin     string
	Name       string
	VerifiedID string // the client's id, if that proves the name; else ""
}

func (n GrantedName) key() []byte {
	parts := []string{n.Origin, n.Name, n.VerifiedID}
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], "\x00", "")
	}
	return append([]byte{grantedName}, strings.Join(parts, "\x00")...)
}

// GrantedNames lists who is connected to which origin, each once.
func (l *Ledger) GrantedNames() ([]GrantedName, error) {
	var all []GrantedName
	prefix := []byte{grantedName}
	err := l.cfg.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketGranted).Cursor()
		for k, b := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, b = c.Next() {
			if _, err := records.Check(bucketGranted, k, b); err != nil {
				l.cfg.Damaged(err)
				continue
			}
			if parts := strings.Split(string(k[1:]), "\x00"); len(parts) == 3 {
				all = append(all, GrantedName{parts[0], parts[1], parts[2]})
			}
		}
		return nil
	})
	return all, err
}

// countAllGranted counts all grants again.
func countAllGranted(tx *bbolt.Tx) error {
	if err := tx.DeleteBucket(bucketGranted); err != nil && !errors.Is(err, berrors.ErrBucketNotFound) {
		return err
	}
	if _, err := tx.CreateBucket(bucketGranted); err != nil {
		return err
	}
	counts := make(map[string]int64)
	err := records.Each(tx, bucketGrants, func(g grantRecord) error {
		for _, k := range grantedKeys(g) {
			counts[string(k)]++
		}
		return nil
	})
	if err != nil {
		return err
	}
	keys := make([]string, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	slices.Sort(keys) // in order, pages fill up
	for _, k := range keys {
		if err := putGranted(tx, []byte(k), counts[k]); err != nil {
			return err
		}
	}
	return nil
}
