package statefile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/dbpages"
)

// FuzzCheckPages: an accepted file can be read to its end.
func FuzzCheckPages(f *testing.F) {
	sound := soundFile(f)
	pageSize := os.Getpagesize()
	f.Add(uint32(0), byte(0), uint32(0), byte(0))
	f.Add(uint32(2*pageSize+8), byte(1), uint32(3*pageSize+10), byte(0xff))
	path := filepath.Join(f.TempDir(), "fuzz.db")
	f.Fuzz(func(t *testing.T, at uint32, value byte, at2 uint32, value2 byte) {
		b := bytes.Clone(sound)
		b[int(at)%len(b)] = value
		b[int(at2)%len(b)] = value2
		if dbpages.Check(bytes.NewReader(b), int64(len(b)), pageSize) != nil {
			return
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := openDB(path, access{readOnly: true})
		if err != nil {
			return
		}
		defer db.Close()
		err = guard(nil, func() error { return db.View(walk) })
		if errors.Is(err, ErrDamaged) {
			t.Errorf("an accepted file cannot be walked: %v", err)
		}
	})
}

// walk reads everything.
func walk(tx *bbolt.Tx) error {
	return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
		if b == nil {
			return nil // the flag that makes it a bucket is gone, and inspect does not find it by name
		}
		return b.ForEach(func(k, v []byte) error {
			sum := 0
			for _, c := range append(bytes.Clone(k), v...) {
				sum += int(c)
			}
			return nil
		})
	})
}
