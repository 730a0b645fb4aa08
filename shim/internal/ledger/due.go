package ledger

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/nanos"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// Expired tokens are found from the front of a bucket that is sorted by time. The
// cost of the hourly sweep depends on how many have expired, not on how many
// there are. An entry says when to look at a grant again: there is one for each
// token that the grant ever had, at the expiry of that token. Entries for tokens
// that are gone do no harm, so only the sweep removes entries.

// sweepLeeway is how long a token is kept after it has expired. A clock that runs
// a day ahead for a while must not end a sign-in. Codes are not worth it.
const sweepLeeway = 48 * time.Hour

// keptUntil returns when a token that expires at that time may be deleted.
func keptUntil(kind oauth.Kind, expires time.Time) time.Time {
	if kind == oauth.Code {
		return expires
	}
	return expires.Add(sweepLeeway)
}

// dueKey is the key of an entry.
func dueKey(at time.Time, grant string) []byte {
	return append(binary.BigEndian.AppendUint64(nil, nanos.Of(at)), grant...)
}

// PutToken saves a token of a grant, and when to look at it.
func PutToken(tx *bbolt.Tx, grant string, d oauth.Digest, token oauth.Token) error {
	if err := tx.Bucket(bucketDue).Put(dueKey(keptUntil(token.Kind, token.Expires), grant), nil); err != nil {
		return err
	}
	return records.PutBytes(tx, BucketTokens, tokenKey(grant, d), appendToken(nil, token))
}

// dueAtOnce bounds how many entries one look takes into memory.
const dueAtOnce = 5_000

// due returns the grants to look at, and the keys of their entries.
func (l *Ledger) due(now time.Time) (grants []string, keys [][]byte, err error) {
	limit := dueKey(now, "")
	err = l.cfg.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketDue).Cursor()
		for k, _ := c.First(); len(k) >= 8 && bytes.Compare(k[:8], limit) < 0 && len(keys) < dueAtOnce; k, _ = c.Next() {
			grants = append(grants, string(k[8:]))
			keys = append(keys, bytes.Clone(k))
		}
		return nil
	})
	return grants, keys, err
}

// sweepGrants deletes the expired tokens of the grants that are due.
func (l *Ledger) sweepGrants(now time.Time) error {
	for {
		grants, keys, err := l.due(now)
		if err != nil || len(keys) == 0 {
			return err
		}
		for len(keys) > 0 {
			n := min(len(keys), sweepAtOnce)
			err := l.cfg.Update(func(t *statefile.Tx) error {
				for i, id := range grants[:n] {
					if err := l.sweepGrant(t, id, now); err != nil {
						return err
					}
					if err := t.Bucket(bucketDue).Delete(keys[i]); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			grants, keys = grants[n:], keys[n:]
		}
	}
}

// The number of the grants is the sequence of their bucket, which bbolt keeps
// and does not use.

// addGrants changes the number of the grants.
func addGrants(b *bbolt.Bucket, n int) error {
	return b.SetSequence(uint64(max(int64(b.Sequence())+int64(n), 0)))
}

// NumGrants is how many grants there are. It costs the same for any number.
func (l *Ledger) NumGrants() (n int, err error) {
	err = l.cfg.View(func(tx *bbolt.Tx) error {
		n = int(tx.Bucket(bucketGrants).Sequence())
		return nil
	})
	return n, err
}

// indexDue adds entries for all tokens and counts the grants. A file of version 1
// has neither.
func indexDue(tx *bbolt.Tx) error {
	if _, err := tx.CreateBucketIfNotExists(bucketDue); err != nil {
		return err
	}
	var keys [][]byte
	err := records.EachBytes(tx, BucketTokens, func(k, b []byte) error {
		grant, _, _ := bytes.Cut(k, []byte{0})
		if kind, at, err := tokenExpires(b); err == nil {
			keys = append(keys, dueKey(keptUntil(kind, at), string(grant)))
		}
		return nil
	})
	if err != nil {
		return err
	}
	count := 0
	err = tx.Bucket(bucketGrants).ForEach(func(id, _ []byte) error { // damaged ones too
		// A grant without tokens has nothing that expires, so it is looked at in
		// the next sweep.
		keys = append(keys, dueKey(time.Time{}, string(id)))
		count++
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(keys, bytes.Compare) // in order, pages fill up
	for _, k := range keys {
		if err := tx.Bucket(bucketDue).Put(k, nil); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketGrants).SetSequence(uint64(count))
}
