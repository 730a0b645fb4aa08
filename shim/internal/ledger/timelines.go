package ledger

import (
	"bytes"
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// Timelines are in two buckets: a start reads only those that are not complete,
// however many grants there are. In a file from before there were two, a record
// is in the first until it is saved again.

// A timeline is how a grant came to be.
type timeline struct {
	record []byte
	done   bool
}

// SaveTimeline keeps how a grant came to be, as a record of the caller, and
// whether that is complete. Like activity it is written soon, together with
// others, and no caller waits for it. It is deleted with its grant.
func (l *Ledger) SaveTimeline(grant string, record []byte, done bool) {
	t := &l.backlog
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timelines == nil {
		t.timelines = make(map[string]timeline)
	}
	t.timelines[grant] = timeline{record, done}
	l.arm()
}

// Timelines returns the timelines of all grants, by their ids.
func (l *Ledger) Timelines() (map[string][]byte, error) {
	return l.timelines(bucketTimeline, bucketTimelineDone)
}

// OpenTimelines returns the timelines that are not complete.
func (l *Ledger) OpenTimelines() (map[string][]byte, error) { return l.timelines(bucketTimeline) }

func (l *Ledger) timelines(buckets ...[]byte) (map[string][]byte, error) {
	pending := l.pendingTimelines()
	all := make(map[string][]byte)
	err := l.cfg.View(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if tx.Bucket(name) == nil {
				continue
			}
			err := records.EachBytes(tx, name, func(id, record []byte) error {
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

// Timeline returns the timeline of one grant, or nil.
func (l *Ledger) Timeline(grant string) (record []byte, err error) {
	pending, ok := l.pendingTimelines()[grant]
	err = l.cfg.View(func(tx *bbolt.Tx) error {
		if ok && tx.Bucket(bucketGrants).Get([]byte(grant)) != nil {
			record = pending.record
			return nil
		}
		for _, name := range [][]byte{bucketTimeline, bucketTimelineDone} {
			if b := tx.Bucket(name); b != nil && record == nil {
				known, err := records.GetBytes(tx, name, []byte(grant))
				if err != nil {
					l.cfg.Damaged(err) // as if it had none
				}
				record = bytes.Clone(known)
			}
		}
		return nil
	})
	return record, err
}

// pendingTimelines returns the timelines that are not on disk yet, including those
// of a write that has not committed: until then, the file has older ones.
func (l *Ledger) pendingTimelines() map[string]timeline {
	l.backlog.mu.Lock()
	defer l.backlog.mu.Unlock()
	all := make(map[string]timeline, len(l.backlog.timelines)+len(l.backlog.writing))
	maps.Copy(all, l.backlog.writing)
	maps.Copy(all, l.backlog.timelines)
	return all
}

// saveTimelines writes the timelines of grants that still exist.
func saveTimelines(tx *bbolt.Tx, timelines map[string]timeline) error {
	for _, id := range slices.Sorted(maps.Keys(timelines)) {
		if tx.Bucket(bucketGrants).Get([]byte(id)) == nil {
			continue
		}
		if err := dropTimeline(tx, id); err != nil {
			return err
		}
		name := bucketTimeline
		if timelines[id].done {
			name = bucketTimelineDone
		}
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
		if err := records.PutBytes(tx, name, []byte(id), timelines[id].record); err != nil {
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
