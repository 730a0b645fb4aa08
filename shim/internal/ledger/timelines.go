package ledger

import (
	"bytes"
	"maps"
	"slices"

	"go.etcd.io/bbolt"
)

// How grants came to be is in two buckets, so that a start reads only of those
// that are not there yet, however many grants there are. A record of a file
// from before there were two is in the first until it is saved again.

// A timeline is how a grant came to be.
type timeline struct {
	record []byte
	done   bool
}

// SaveTimeline keeps how a grant came to be, in a form that is the caller's
// own, and whether that is all. Like activity it is written soon and together
// with others, nobody waits for it, and it goes with its grant.
func (l *Ledger) SaveTimeline(grant string, record []byte, done bool) {
	t := &l.pending
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines == nil {
		t.lines = make(map[string]timeline)
	}
	t.lines[grant] = timeline{record, done}
	l.arm()
}

// Timelines returns what is kept of all grants, by their ids.
func (l *Ledger) Timelines() (map[string][]byte, error) {
	return l.timelines(bucketTimeline, bucketTimelineDone)
}

// OpenTimelines returns what is kept of those grants that were not saved as
// done.
func (l *Ledger) OpenTimelines() (map[string][]byte, error) { return l.timelines(bucketTimeline) }

func (l *Ledger) timelines(buckets ...[]byte) (map[string][]byte, error) {
	pending := l.pendingLines()
	all := make(map[string][]byte)
	err := l.cfg.View(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			b := tx.Bucket(name)
			if b == nil {
				continue
			}
			err := b.ForEach(func(id, record []byte) error {
				all[string(id)] = bytes.Clone(record)
				return nil
			})
			if err != nil {
				return err
			}
		}
		for id, p := range pending {
			switch {
			case p.done && len(buckets) == 1:
				delete(all, id)
			case tx.Bucket(bucketGrants).Get([]byte(id)) != nil:
				all[id] = p.record
			}
		}
		return nil
	})
	return all, err
}

// Timeline returns what is kept of one grant, or nil.
func (l *Ledger) Timeline(grant string) (record []byte, err error) {
	pending, ok := l.pendingLines()[grant]
	err = l.cfg.View(func(tx *bbolt.Tx) error {
		if ok && tx.Bucket(bucketGrants).Get([]byte(grant)) != nil {
			record = pending.record
			return nil
		}
		for _, name := range [][]byte{bucketTimeline, bucketTimelineDone} {
			if b := tx.Bucket(name); b != nil && record == nil {
				record = bytes.Clone(b.Get([]byte(grant)))
			}
		}
		return nil
	})
	return record, err
}

// pendingLines are the records that are not on disk yet. Records that a write
// is about to save are among them: until it commits, the file has older ones.
func (l *Ledger) pendingLines() map[string]timeline {
	l.pending.mu.Lock()
	defer l.pending.mu.Unlock()
	all := make(map[string]timeline, len(l.pending.lines)+len(l.pending.writing))
	maps.Copy(all, l.pending.writing)
	maps.Copy(all, l.pending.lines)
	return all
}

// saveTimelines writes the records of grants that there still are.
func saveTimelines(tx *bbolt.Tx, lines map[string]timeline) error {
	for _, id := range slices.Sorted(maps.Keys(lines)) {
		if tx.Bucket(bucketGrants).Get([]byte(id)) == nil {
			continue
		}
		if err := dropTimeline(tx, id); err != nil {
			return err
		}
		name := bucketTimeline
		if lines[id].done {
			name = bucketTimelineDone
		}
		b, err := tx.CreateBucketIfNotExists(name)
		if err != nil {
			return err
		}
		if err := b.Put([]byte(id), lines[id].record); err != nil {
			return err
		}
	}
	return nil
}

func dropTimeline(tx *bbolt.Tx, grant string) error {
	for _, name := range [][]byte{bucketTimeline, bucketTimelineDone} {
		if b := tx.Bucket(name); b != nil {
			if err := b.Delete([]byte(grant)); err != nil {
				return err
			}
		}
	}
	return nil
}
