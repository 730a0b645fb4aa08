package records

import (
	"errors"
	"fmt"
	"strconv"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/dbpages"
)

// ErrNewer says that a file was written by a newer version of the program.
var ErrNewer = errors.New("newer layout")

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

// Create makes all buckets in an empty file.
func (l *Layout) Create(tx *bbolt.Tx) error {
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

// VersionOf reads the version of the layout of a file that Check accepts.
func VersionOf(tx *bbolt.Tx) (int, error) { return versionOf(tx.Bucket(bucketMeta)) }

// Touch is a change that changes nothing.
func Touch(tx *bbolt.Tx) error {
	meta, key := tx.Bucket(bucketMeta), []byte("room")
	return errors.Join(meta.Put(key, nil), meta.Delete(key))
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
		return 0, fmt.Errorf("%w: its version cannot be read", dbpages.ErrDamaged)
	}
	return version, nil
}

// Check reports an error unless the file has this layout or an older one.
func (l *Layout) Check(tx *bbolt.Tx) error {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return fmt.Errorf("%w: it holds something else", dbpages.ErrDamaged)
	}
	version, err := versionOf(meta)
	if err != nil {
		return err
	}
	if version > l.Version {
		return ErrNewer
	}
	for _, b := range l.Buckets {
		if tx.Bucket(b.Name) == nil && version >= b.Since && !b.Optional {
			return fmt.Errorf("%w: it has no %s", dbpages.ErrDamaged, b.Name)
		}
	}
	return nil
}

// Upgrade brings a file that Check accepts up to this layout.
func (l *Layout) Upgrade(db *bbolt.DB) error {
	var from int
	err := db.View(func(tx *bbolt.Tx) (err error) {
		from, err = VersionOf(tx)
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
