package statefile

import (
	"fmt"
	"strconv"

	"go.etcd.io/bbolt"
)

// A Layout says what the caller keeps in the file.
type Layout struct {
	// Version numbers the layout, from 1. A program refuses files that are newer
	// than itself.
	Version int
	// Buckets are in every file. A file that misses one is damaged. The name
	// "meta" is taken by this package.
	Buckets []Bucket
	// Migrate brings the content of a file of an older version up to Version. It
	// runs in one transaction, so a file is never between two versions.
	Migrate func(tx *bbolt.Tx, from int) error
}

// A Bucket is a bucket that every file has.
type Bucket struct {
	Name  []byte
	Since int // the version that brought it; 0 and 1 mean all
}

// The bucket of this package, and the key of the layout's version in it.
var (
	bucketMeta = []byte("meta")
	keyVersion = []byte("schema")
)

// create makes all buckets in an empty file.
func (l *Layout) create(tx *bbolt.Tx) error {
	meta, err := tx.CreateBucket(bucketMeta)
	if err != nil {
		return err
	}
	for _, b := range l.Buckets {
		if _, err := tx.CreateBucket(b.Name); err != nil {
			return err
		}
	}
	return l.stamp(meta)
}

func (l *Layout) stamp(meta *bbolt.Bucket) error {
	return meta.Put(keyVersion, strconv.AppendInt(nil, int64(l.Version), 10))
}

// check reports an error unless the file has this layout or an older one.
func (l *Layout) check(tx *bbolt.Tx) error {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return fmt.Errorf("%w: it holds something else", ErrDamaged)
	}
	version, err := strconv.Atoi(string(meta.Get(keyVersion)))
	if err != nil {
		return fmt.Errorf("%w: its version cannot be read", ErrDamaged)
	}
	if version > l.Version {
		return errNewer
	}
	for _, b := range l.Buckets {
		if tx.Bucket(b.Name) == nil && version >= b.Since {
			return fmt.Errorf("%w: it has no %s", ErrDamaged, b.Name)
		}
	}
	return nil
}

// migrate brings a file that check accepts up to this layout.
func (l *Layout) migrate(db *bbolt.DB) error {
	var from int
	err := db.View(func(tx *bbolt.Tx) (err error) {
		from, err = strconv.Atoi(string(tx.Bucket(bucketMeta).Get(keyVersion)))
		return err
	})
	if err != nil || from == l.Version {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error {
		if err := l.Migrate(tx, from); err != nil {
			return err
		}
		return l.stamp(tx.Bucket(bucketMeta))
	})
}
