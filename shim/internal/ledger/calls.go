package ledger

import (
	"encoding/binary"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/activity"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// Calls are numbered from 1. They are kept in batches, since one record for each
// call would cost a busy program more than the calls themselves. The key of a
// batch is the number of its last call, so batches beyond the limit are found
// from the front without counting.

// batchSize bounds how many calls are in one batch, and with that how many more
// calls than activity.Keep the file may hold.
const batchSize = 256

// AppendActivity notes a call that is over. It never waits: calls are written
// together, at most once a second, and are lost if that is not possible.
func (l *Ledger) AppendActivity(c activity.Call) {
	t := &l.backlog
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.calls) >= 2*activity.Keep { // the disk is slower than the calls
		t.calls = append(t.calls[:0], t.calls[len(t.calls)-activity.Keep:]...)
	}
	if t.calls == nil {
		t.calls = make([]activity.Call, 0, t.batch) // likely as many as last time
	}
	t.calls = append(t.calls, c)
	l.arm()
}

// Activity returns the calls that are on disk, the oldest first.
func (l *Ledger) Activity() ([]activity.Call, error) {
	var all []activity.Call
	unreadable := 0
	err := l.cfg.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketCalls)
		if b == nil {
			return nil
		}
		all = make([]activity.Call, 0, min(b.Sequence(), activity.Keep+batchSize))
		words := make(map[string]string) // a few words repeat in most calls
		return records.EachBytes(tx, bucketCalls, func(_, batch []byte) error {
			calls, err := activity.ParseBatch(batch, words)
			if err != nil {
				unreadable++ // not a reason to fail
			}
			all = append(all, calls...)
			return nil
		})
	})
	if unreadable > 0 {
		l.cfg.Log.Warn("some activity cannot be read", "batches", unreadable)
	}
	oldest := l.cfg.Now().Add(-activity.MaxAge)
	all = slices.DeleteFunc(all, func(c activity.Call) bool { return c.Time.Before(oldest) })
	return all[max(0, len(all)-activity.Keep):], err
}

// saveCalls appends calls, and drops those that need not be kept.
func saveCalls(tx *bbolt.Tx, calls []activity.Call, now time.Time) error {
	if len(calls) == 0 {
		return nil
	}
	b, err := tx.CreateBucketIfNotExists(bucketCalls)
	if err != nil {
		return err
	}
	b.FillPercent = 1 // keys only grow
	last := b.Sequence()
	for batch := range slices.Chunk(calls[max(0, len(calls)-activity.Keep):], batchSize) {
		last += uint64(len(batch))
		key := binary.BigEndian.AppendUint64(nil, last)
		if err := records.PutBytes(tx, bucketCalls, key, activity.AppendBatch(make([]byte, 0, 128*len(batch)), batch)); err != nil {
			return err
		}
	}
	if err := b.SetSequence(last); err != nil {
		return err
	}
	return dropCalls(b, now)
}

// dropCalls deletes the batches that hold no call worth keeping.
func dropCalls(b *bbolt.Bucket, now time.Time) error {
	var drop [][]byte // a cursor must not move while keys are deleted
	c := b.Cursor()
	for k, batch := c.First(); k != nil && droppable(b, k, batch, now); k, batch = c.Next() {
		drop = append(drop, slices.Clone(k))
	}
	for _, k := range drop {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

func droppable(b *bbolt.Bucket, k, batch []byte, now time.Time) bool {
	if len(k) != 8 || binary.BigEndian.Uint64(k)+activity.Keep <= b.Sequence() {
		return true
	}
	batch, err := records.Check(bucketCalls, k, batch)
	if err != nil {
		return true
	}
	newest, err := activity.Newest(batch)
	return err != nil || newest.Before(now.Add(-activity.MaxAge))
}

// sweepCalls deletes calls that have become too old since the last one.
func (l *Ledger) sweepCalls(now time.Time) error {
	due := false
	err := l.cfg.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(bucketCalls); b != nil {
			k, batch := b.Cursor().First()
			due = k != nil && droppable(b, k, batch, now)
		}
		return nil
	})
	if err != nil || !due {
		return err
	}
	return l.cfg.Update(func(t *statefile.Tx) error { return dropCalls(t.Bucket(bucketCalls), now) })
}
