package statefile

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// damage holds the records that were found to be damaged.
type damage struct {
	mu      sync.Mutex
	records map[[2]string]*records.Error // by bucket and key
}

// maxDamaged bounds how many damaged records are remembered. A disk that has
// lost more has lost the file.
const maxDamaged = 1000

// maxLooks is more than a bucket of any size that was ever tried takes.
const maxLooks = 100_000

// scrubAtOnce is how many records one look of Scrub reads.
const scrubAtOnce = 2000

// Scrub reads all records that have checksums, and remembers those that are
// damaged. It may take seconds, and delays no change.
func (f *File) Scrub() error {
	disorder, err := f.scrub()
	if err != nil || !disorder {
		return err
	}
	if err := f.reorder(); err != nil {
		return err
	}
	_, err = f.scrub()
	return err
}

// scrub also reports whether there are records that bbolt does not find where it
// looks for them.
func (f *File) scrub() (disorder bool, err error) {
	for _, b := range f.cfg.Layout.Buckets {
		if !b.Checked {
			continue
		}
		var after []byte // the last key that was read
		done := false
		// The bound is for keys that are out of order.
		for looks := 0; !done && looks < maxLooks; looks++ {
			err := f.View(func(tx *bbolt.Tx) error {
				var bad []*records.Error
				var mixed bool
				after, done, mixed, bad = scrub(tx, b.Name, after)
				disorder = disorder || mixed
				for _, e := range bad {
					f.noteDamaged(e)
				}
				return nil
			})
			if err != nil {
				return disorder, err
			}
		}
	}
	return disorder, nil
}

// scrub checks some records of a bucket, from the one after a key on.
func scrub(tx *bbolt.Tx, bucket, after []byte) (last []byte, done, disorder bool, bad []*records.Error) {
	b := tx.Bucket(bucket)
	if b == nil {
		return nil, true, false, nil
	}
	c := b.Cursor()
	k, record := c.First()
	if after != nil {
		if k, record = c.Seek(after); bytes.Equal(k, after) {
			k, record = c.Next()
		}
	}
	n := 0
	for ; k != nil && n < scrubAtOnce; k, record = c.Next() {
		if _, err := records.Check(bucket, k, record); err != nil {
			bad = append(bad, &records.Error{Bucket: string(bucket), Key: string(k), Err: records.ErrChecksum})
		}
		if found := b.Get(k); len(found) != len(record) || len(found) > 0 && &found[0] != &record[0] {
			disorder = true
		}
		last = append(last[:0], k...)
		n++
	}
	return last, k == nil, disorder, bad
}

// NoteDamaged remembers the record that err, from a read of this package, is
// about.
func (f *File) NoteDamaged(err error) {
	if e, ok := errors.AsType[*records.Error](err); ok {
		f.noteDamaged(e)
	}
}

// noteDamaged remembers a damaged record.
func (f *File) noteDamaged(e *records.Error) {
	d := &f.found
	d.mu.Lock()
	key := [2]string{e.Bucket, e.Key}
	_, known := d.records[key]
	if d.records == nil {
		d.records = make(map[[2]string]*records.Error)
	}
	if !known && len(d.records) < maxDamaged {
		d.records[key] = e
	}
	d.mu.Unlock()
	if !known {
		f.log.Error("a record of the state file is damaged", "file", f.path, "bucket", e.Bucket, "err", e.Err)
		go f.cfg.Changed()
	}
}

// Damaged lists the damaged records that were found and are still there, by
// bucket and key.
func (f *File) Damaged() []*records.Error {
	d := &f.found
	d.mu.Lock()
	all := slices.Collect(maps.Values(d.records))
	d.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	var gone []*records.Error
	f.View(func(tx *bbolt.Tx) error {
		all = slices.DeleteFunc(all, func(e *records.Error) bool {
			if stillDamaged(tx, e) {
				return false
			}
			gone = append(gone, e)
			return true
		})
		return nil
	})
	d.mu.Lock()
	for _, e := range gone {
		delete(d.records, [2]string{e.Bucket, e.Key})
	}
	d.mu.Unlock()
	slices.SortFunc(all, func(a, b *records.Error) int {
		return cmp.Or(cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Key, b.Key))
	})
	return all
}

func (f *File) anyDamage() bool {
	f.found.mu.Lock()
	defer f.found.mu.Unlock()
	return len(f.found.records) > 0
}

// stillDamaged reports whether a record is there, and damaged.
func stillDamaged(tx *bbolt.Tx, e *records.Error) bool {
	b := tx.Bucket([]byte(e.Bucket))
	if b == nil {
		return false
	}
	record := b.Get([]byte(e.Key))
	if record == nil {
		return false
	}
	_, err := records.Check([]byte(e.Bucket), []byte(e.Key), record)
	return err != nil || e.Err != records.ErrChecksum
}
