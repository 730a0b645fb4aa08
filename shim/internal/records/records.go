// Package records is what a state file holds: records with checksums, in the
// buckets of a layout that has a version.
package records

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"reflect"
	"strings"
	"sync"

	"go.etcd.io/bbolt"
)

// A record ends with a checksum of its bucket, its key and its value: bbolt has
// none of its own, and without one a bit that the disk lost could end a sign-in
// in silence, or stop everything. With it, only the record that lost the bit
// fails, and it can be named and deleted.

// checksumSize is how much longer a record is than its value.
const checksumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum also covers where the record is: one that a bit moved elsewhere is
// damaged there.
func checksum(bucket, key, value []byte) uint32 {
	sum := crc32.Update(0, castagnoli, bucket)
	sum = crc32.Update(sum, castagnoli, []byte{0})
	sum = crc32.Update(sum, castagnoli, key)
	sum = crc32.Update(sum, castagnoli, []byte{0})
	return crc32.Update(sum, castagnoli, value)
}

// An Error says that one record cannot be read. The rest of the file is
// sound.
type Error struct {
	Bucket, Key string
	Err         error
}

func (e *Error) Error() string {
	return fmt.Sprintf("record %q of %s cannot be read: %v", e.Key, e.Bucket, e.Err)
}

// Unwrap returns what is wrong with the record.
func (e *Error) Unwrap() error { return e.Err }

var (
	// ErrChecksum says that a record is not as it was saved.
	ErrChecksum = errors.New("its checksum is wrong")

	errFuture = errors.New("a newer version of Key2OAuth wrote it")
)

// Damaged returns an error that names a record that cannot be read.
func Damaged(bucket, key []byte, err error) error {
	return &Error{string(bucket), string(key), err}
}

// IsDamaged reports whether err is about one record alone.
func IsDamaged(err error) bool {
	_, ok := errors.AsType[*Error](err)
	return ok
}

// Seal returns value as it is kept in a bucket: with its checksum.
func Seal(bucket, key, value []byte) []byte {
	return binary.LittleEndian.AppendUint32(append(make([]byte, 0, len(value)+checksumSize), value...), checksum(bucket, key, value))
}

// Check returns the value of a record, which is good until the transaction ends.
// Its error is a *Error.
func Check(bucket, key, record []byte) (value []byte, err error) {
	n := len(record) - checksumSize
	if n < 0 || checksum(bucket, key, record[:n]) != binary.LittleEndian.Uint32(record[n:]) {
		return nil, Damaged(bucket, key, ErrChecksum)
	}
	return record[:n:n], nil
}

// PutBytes saves a record that is not JSON.
func PutBytes(tx *bbolt.Tx, bucket, key, value []byte) error {
	return tx.Bucket(bucket).Put(key, Seal(bucket, key, value))
}

// GetBytes reads a record that PutBytes saved. It is nil if there is none.
func GetBytes(tx *bbolt.Tx, bucket, key []byte) (value []byte, err error) {
	b := tx.Bucket(bucket).Get(key)
	if b == nil {
		return nil, nil
	}
	return Check(bucket, key, b)
}

// EachBytes calls fn with every sound record of a bucket. The others are found
// by Scrub.
func EachBytes(tx *bbolt.Tx, bucket []byte, fn func(key, value []byte) error) error {
	return tx.Bucket(bucket).ForEach(func(k, b []byte) error {
		value, err := Check(bucket, k, b)
		if err != nil {
			return nil
		}
		return fn(k, value)
	})
}

// Put saves a record as JSON. Fields that this version does not know, of the
// record that it replaces, stay: a later version may have written them.
func Put(tx *bbolt.Tx, bucket []byte, key string, record any) error {
	b, err := json.Marshal(record)
	if err != nil {
		return err
	}
	if old, err := GetBytes(tx, bucket, []byte(key)); err == nil && old != nil {
		if b, err = withUnknown(b, old, reflect.TypeOf(record)); err != nil {
			return err
		}
	}
	return PutBytes(tx, bucket, []byte(key), b)
}

// withUnknown adds the fields of old that a type does not have to record.
func withUnknown(record, old []byte, of reflect.Type) ([]byte, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(old, &fields) != nil {
		return record, nil
	}
	known := fieldsOf(of)
	maps.DeleteFunc(fields, func(name string, _ json.RawMessage) bool { return known[name] })
	if len(fields) == 0 {
		return record, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(record, &all); err != nil {
		return nil, err
	}
	maps.Copy(all, fields)
	return json.Marshal(all)
}

var knownFields sync.Map // reflect.Type -> map[string]bool

// fieldsOf lists the names that a record type has in JSON.
func fieldsOf(of reflect.Type) map[string]bool {
	if known, ok := knownFields.Load(of); ok {
		return known.(map[string]bool)
	}
	known := make(map[string]bool)
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		known[name] = true
	}
	knownFields.Store(of, known)
	return known
}

// Get reads a record that Put saved. ok is false if there is none.
func Get[T any](tx *bbolt.Tx, bucket []byte, key string) (record T, ok bool, err error) {
	b, err := GetBytes(tx, bucket, []byte(key))
	if err != nil || b == nil {
		return record, false, err
	}
	record, err = parse[T](bucket, []byte(key), b)
	return record, err == nil, err
}

// parse reads the value of a record. One that has a "v" may only be read by a
// version that knows what it stands for: there, fields are not merely added.
func parse[T any](bucket, key, value []byte) (record T, err error) {
	if err := json.Unmarshal(value, &record); err != nil {
		return *new(T), Damaged(bucket, key, err)
	}
	if bytes.Contains(value, []byte(`"v":`)) { // in a string, the quotes would be escaped
		var v struct {
			V int `json:"v"`
		}
		if json.Unmarshal(value, &v) != nil || v.V > 0 {
			return *new(T), Damaged(bucket, key, errFuture)
		}
	}
	return record, nil
}

// Each calls fn with every sound record of a bucket. The others are found by
// Scrub.
func Each[T any](tx *bbolt.Tx, bucket []byte, fn func(record T) error) error {
	return EachBytes(tx, bucket, func(k, b []byte) error {
		record, err := parse[T](bucket, k, b)
		if err != nil {
			return nil
		}
		return fn(record)
	})
}

// Guess reads as much of a record as can be read, however damaged, to name it to
// its owner. Nothing may be decided by it.
func Guess[T any](tx *bbolt.Tx, bucket []byte, key string) (record T) {
	if b := tx.Bucket(bucket); b != nil {
		if raw := b.Get([]byte(key)); len(raw) > checksumSize {
			json.Unmarshal(raw[:len(raw)-checksumSize], &record)
		}
	}
	return record
}

// AddChecksums adds checksums to the records of a bucket that has none. Records
// that are not sound get a wrong one, so that they are found. A bucket that is
// missing is left so.
func AddChecksums(tx *bbolt.Tx, bucket []byte, sound func(value []byte) bool) error {
	b := tx.Bucket(bucket)
	if b == nil {
		return nil
	}
	type record struct{ key, value []byte }
	var all []record // a cursor must not move while values change
	err := b.ForEach(func(k, value []byte) error {
		sealed := Seal(bucket, k, value)
		if !sound(value) {
			sealed[len(sealed)-1] ^= 0xff
		}
		all = append(all, record{bytes.Clone(k), sealed})
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range all {
		if err := b.Put(r.key, r.value); err != nil {
			return err
		}
	}
	return nil
}
