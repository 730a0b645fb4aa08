package statefile

import (
	"encoding/json"

	"go.etcd.io/bbolt"
)

// Put saves a record as JSON.
func Put(tx *bbolt.Tx, bucket []byte, key string, record any) error {
	b, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return tx.Bucket(bucket).Put([]byte(key), b)
}

// Get reads a record that Put saved. ok is false if there is none.
func Get[T any](tx *bbolt.Tx, bucket []byte, key string) (record T, ok bool, err error) {
	b := tx.Bucket(bucket).Get([]byte(key))
	if b == nil {
		return record, false, nil
	}
	if err := json.Unmarshal(b, &record); err != nil {
		return record, false, DamagedRecord(bucket, []byte(key), err)
	}
	return record, true, nil
}

// Each calls fn with every record of a bucket.
func Each[T any](tx *bbolt.Tx, bucket []byte, fn func(record T) error) error {
	return tx.Bucket(bucket).ForEach(func(k, b []byte) error {
		var record T
		if err := json.Unmarshal(b, &record); err != nil {
			return DamagedRecord(bucket, k, err)
		}
		return fn(record)
	})
}
