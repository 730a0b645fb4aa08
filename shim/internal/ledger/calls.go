package ledger

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
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
			calls, err := parseCalls(batch, words)
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
		if err := records.PutBytes(tx, bucketCalls, key, appendCalls(make([]byte, 0, 128*len(batch)), batch)); err != nil {
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
	newest, _, err := batchHead(batch)
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

// The versions of a batch. The first has no count of struck secrets.
const (
	batchVersion1 = 1
	batchVersion  = 2
)

// noteMark stands between a method and a note about it. Records without notes
// are as old versions wrote them, and those with one can be read by them. No
// method has it, because package activity takes out what cannot be printed.
const noteMark = "\x1f"

var errBatch = errors.New("not a batch of calls")

// appendCalls appends the record of a batch, which is not empty: a version, the
// time of the newest call, and for each call its time, its numbers and its
// words.
func appendCalls(b []byte, calls []activity.Call) []byte {
	newest := calls[0].Time
	for _, c := range calls {
		if c.Time.After(newest) {
			newest = c.Time
		}
	}
	b = append(b, batchVersion)
	b = binary.BigEndian.AppendUint64(b, nanos(newest))
	for _, c := range calls {
		b = binary.BigEndian.AppendUint64(b, nanos(c.Time))
		b = binary.AppendUvarint(b, uint64(max(c.Status, 0)))
		b = binary.AppendUvarint(b, uint64(max(c.MS, 0)))
		b = binary.AppendUvarint(b, uint64(max(c.Struck, 0)))
		method := c.Method
		if c.Note != "" {
			method += noteMark + c.Note
		}
		for _, s := range []string{c.Slug, c.Grant, c.Client, method, c.Tool} {
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		}
	}
	return b
}

// batchHead reads what comes before the calls.
func batchHead(b []byte) (newest time.Time, calls []byte, err error) {
	if len(b) < 1+8 || b[0] != batchVersion && b[0] != batchVersion1 {
		return newest, nil, errBatch
	}
	return fromNanos(binary.BigEndian.Uint64(b[1:])), b[1+8:], nil
}

// parseCalls reads the record of a batch as far as possible. words holds the
// strings read so far, which are shared between calls.
func parseCalls(b []byte, words map[string]string) (calls []activity.Call, err error) {
	whole := b
	if _, b, err = batchHead(b); err != nil {
		return nil, err
	}
	counted := whole[0] != batchVersion1
	for len(b) > 0 {
		if len(b) < 8 {
			return calls, errBatch
		}
		c := activity.Call{Time: fromNanos(binary.BigEndian.Uint64(b))}
		b = b[8:]
		status, n := binary.Uvarint(b)
		if n <= 0 || status > 999 {
			return calls, errBatch
		}
		b = b[n:]
		ms, n := binary.Uvarint(b)
		if n <= 0 || ms > math.MaxInt64 {
			return calls, errBatch
		}
		b = b[n:]
		c.Status, c.MS = int(status), int64(ms)
		if counted {
			struck, n := binary.Uvarint(b)
			if n <= 0 || struck > math.MaxInt32 {
				return calls, errBatch
			}
			b = b[n:]
			c.Struck = int(struck)
		}
		for _, s := range []*string{&c.Slug, &c.Grant, &c.Client, &c.Method, &c.Tool} {
			size, n := binary.Uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				return calls, errBatch
			}
			word := b[n : n+int(size)]
			b = b[n+int(size):]
			known, ok := words[string(word)]
			if !ok {
				known = string(word)
				words[known] = known
			}
			*s = known
		}
		c.Method, c.Note, _ = strings.Cut(c.Method, noteMark)
		calls = append(calls, c)
	}
	return calls, nil
}
