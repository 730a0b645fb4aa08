package vault

import (
	"bytes"
	"maps"
	"slices"

	"go.etcd.io/bbolt"
)

// How grants came to be is in two buckets, so that a start reads only of those
// that are not there yet, however many grants there are. A record of a file
// from before there were two is in the first until it is saved again.
var (
	bucketTimeline     = []byte("timeline")     // grant id -> how it came to be
	bucketTimelineDone = []byte("timelinedone") // the same, of which no more comes
)

// A line is how a grant came to be.
type line struct {
	record []byte
	done   bool
}

// SaveTimeline keeps how a grant came to be, in a form that is the caller's
// own, and whether that is all. Like activity it is written soon and together
// with others, nobody waits for it, and it goes with its grant.
func (v *Vault) SaveTimeline(grant string, record []byte, done bool) {
	t := &v.touch
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines == nil {
		t.lines = make(map[string]line)
	}
	t.lines[grant] = line{record, done}
	v.armTouches()
}

// Timelines returns what is kept of all grants, by their ids.
func (v *Vault) Timelines() (map[string][]byte, error) {
	return v.timelines(bucketTimeline, bucketTimelineDone)
}

// OpenTimelines returns what is kept of those grants that were not saved as
// done.
func (v *Vault) OpenTimelines() (map[string][]byte, error) { return v.timelines(bucketTimeline) }

func (v *Vault) timelines(buckets ...[]byte) (map[string][]byte, error) {
	pending := v.pendingLines()
	all := make(map[string][]byte)
	err := v.view(func(tx *bbolt.Tx) error {
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
		for id, l := range pending {
			switch {
			case l.done && len(buckets) == 1:
				delete(all, id)
			case tx.Bucket(bucketGrants).Get([]byte(id)) != nil:
				all[id] = l.record
			}
		}
		return nil
	})
	return all, err
}

// Timeline returns what is kept of one grant, or nil.
func (v *Vault) Timeline(grant string) (record []byte, err error) {
	pending, ok := v.pendingLines()[grant]
	err = v.view(func(tx *bbolt.Tx) error {
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

func (v *Vault) pendingLines() map[string]line {
	v.touch.mu.Lock()
	defer v.touch.mu.Unlock()
	return maps.Clone(v.touch.lines)
}

// saveTimelines writes the records of grants that there still are.
func saveTimelines(tx *bbolt.Tx, lines map[string]line) error {
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
