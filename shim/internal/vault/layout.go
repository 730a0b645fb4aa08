package vault

import (
	"encoding/json"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/ledger"
	"github.com/key2oauth/key2oauth/shim/internal/records"
)

// The buckets of the state file, besides those of the ledger.
var (
	bucketSettings  = []byte("settings")
	bucketEndpoints = []byte("endpoints")   // slug -> endpointRecord
	bucketCreds     = []byte("credentials") // id -> credentialRecord
	bucketSealed    = []byte("sealed")      // kind "/" id -> sealed record
	bucketSessions  = []byte("sessions")    // digest -> expiry
)

// schema is the version of the file's layout.
const schema = 4

// layout is what every state file has in it.
var layout = records.Layout{
	Version: schema,
	Buckets: append([]records.Bucket{
		{Name: bucketSettings, Checked: true}, {Name: bucketEndpoints, Checked: true}, {Name: bucketCreds, Checked: true},
		{Name: bucketSealed, Checked: true}, // its records are authenticated too, but that takes the master key
		{Name: bucketSessions, Checked: true},
	}, ledger.Buckets...),
	Migrate: migrate,
}

// migrate brings a file of an older version up to version 4, in which records
// have checksums.
func migrate(tx *bbolt.Tx, from int) error {
	for _, b := range [][]byte{bucketSettings, bucketEndpoints, bucketCreds, bucketSealed, bucketSessions} {
		sound := func([]byte) bool { return true }
		if &b[0] == &bucketEndpoints[0] || &b[0] == &bucketCreds[0] {
			sound = json.Valid
		}
		if err := records.AddChecksums(tx, b, sound); err != nil {
			return err
		}
	}
	return ledger.Migrate(tx, from)
}
