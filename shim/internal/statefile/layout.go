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
	// Checked says that its records have checksums, in a file of this layout's
	// version.
	Checked bool
	// Optional says that a file may miss it.
	Optional bool
}

// The bucket of this package, and the key of the layout's version in it.
var (
	bucketMeta = []byte("meta")
	keyVersion = []byte("schema")
	// keyChecked holds the version too, with a checksum. Versions of the program
	// that know no checksums read the other one.
	keyChecked = []byte("schema checked")
)

// versionSize is how many digits a version has that is written twice.
const versionSize = 6

// create makes all buckets in an empty file.
func (l *Layout) create(tx *bbolt.Tx) error {
	meta, err := tx.CreateBucket(bucketMeta)
	if err != nil {
		return err
	}
	for _, b := range l.Buckets {
		if b.Optional {
			continue
		}
		if _, err := tx.CreateBucket(b.Name); err != nil {
			return err
		}
	}
	return l.stamp(meta)
}

func (l *Layout) stamp(meta *bbolt.Bucket) error {
	version := fmt.Appendf(nil, "%0*d", versionSize, l.Version)
	if err := meta.Put(keyVersion, version); err != nil {
		return err
	}
	return meta.Put(keyChecked, Seal(bucketMeta, keyChecked, version))
}

// versionOf reads the version of a file's layout.
func versionOf(meta *bbolt.Bucket) (int, error) {
	text := meta.Get(keyVersion)
	version, err := strconv.Atoi(string(text))
	if err != nil || len(text) == versionSize {
		// Any program that writes this form writes the other one too, so if they
		// differ, a bit was lost.
		if checked, damaged := Check(bucketMeta, keyChecked, meta.Get(keyChecked)); damaged == nil {
			version, err = strconv.Atoi(string(checked))
		}
	}
	if err != nil || version < 1 {
		return 0, fmt.Errorf("%w: its version cannot be read", ErrDamaged)
	}
	return version, nil
}

// check reports an error unless the file has this layout or an older one.
func (l *Layout) check(tx *bbolt.Tx) error {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return fmt.Errorf("%w: it holds something else", ErrDamaged)
	}
	version, err := versionOf(meta)
	if err != nil {
		return err
	}
	if version > l.Version {
		return errNewer
	}
	for _, b := range l.Buckets {
		if tx.Bucket(b.Name) == nil && version >= b.Since && !b.Optional {
			return fmt.Errorf("%w: it has no %s", ErrDamaged, b.Name)
		}
	}
	return nil
}

// migrate brings a file that check accepts up to this layout.
func (l *Layout) migrate(db *bbolt.DB) error {
	var from int
	err := db.View(func(tx *bbolt.Tx) (err error) {
		from, err = versionOf(tx.Bucket(bucketMeta))
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
