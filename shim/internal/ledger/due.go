package ledger

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// What has expired is found from the front of a bucket that is sorted by time,
// so that an hourly look costs as much as there is to do, however many grants
// there are. An entry says when to look at a grant again, and nothing else:
// one for each token that it ever had, at the end of that token. Whether its
// token is still there does not matter, so nothing takes entries out but the
// look itself.

// sweepLeeway is how long a token is kept after it has expired: a clock that
// was a day ahead, and is right again, has not cost anybody his sign-in. Codes
// are not worth it.
const sweepLeeway = 48 * time.Hour

// keptUntil is when a token that expires at a time may be deleted.
func keptUntil(kind oauth.Kind, expires time.Time) time.Time {
	if kind == oauth.Code {
		return expires
	}
	return expires.Add(sweepLeeway)
}

// dueKey is the key of an entry.
func dueKey(at time.Time, grant string) []byte {
	return append(binary.BigEndian.AppendUint64(nil, nanos(at)), grant...)
}

// PutToken saves a token of a grant, and when to look at it.
func PutToken(tx *bbolt.Tx, grant string, d oauth.Digest, token oauth.Token) error {
	if err := tx.Bucket(bucketDue).Put(dueKey(keptUntil(token.Kind, token.Expires), grant), nil); err != nil {
		return err
	}
	return tx.Bucket(bucketTokens).Put(tokenKey(grant, d), appendToken(nil, token))
}

// dueAtOnce bounds how many entries one look takes into memory.
const dueAtOnce = 5_000

// due returns the grants to look at, and the keys that say so.
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

// sweepGrants deletes what has expired of those grants that are due.
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

// addGrants changes it.
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

// indexDue is for a file of the first version, which had neither entries for
// what is due nor a count of the grants.
func indexDue(tx *bbolt.Tx) error {
	if _, err := tx.CreateBucketIfNotExists(bucketDue); err != nil {
		return err
	}
	var keys [][]byte
	err := tx.Bucket(bucketTokens).ForEach(func(k, b []byte) error {
		grant, _, _ := bytes.Cut(k, []byte{0})
		// What cannot be read is noticed by whoever needs it.
		if kind, at, err := tokenExpires(b); err == nil {
			keys = append(keys, dueKey(keptUntil(kind, at), string(grant)))
		}
		return nil
	})
	if err != nil {
		return err
	}
	count := 0
	err = tx.Bucket(bucketGrants).ForEach(func(id, _ []byte) error {
		// A grant without tokens has nothing that expires; it is looked at at
		// once.
		keys = append(keys, dueKey(time.Time{}, string(id)))
		count++
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(keys, bytes.Compare) // pages then fill one after the other
	for _, k := range keys {
		if err := tx.Bucket(bucketDue).Put(k, nil); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketGrants).SetSequence(uint64(count))
}
