package vault

import (
	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// The buckets of the state file.
var (
	bucketSettings  = []byte("settings")
	bucketEndpoints = []byte("endpoints")   // slug -> endpointRecord
	bucketCreds     = []byte("credentials") // id -> credentialRecord
	bucketSealed    = []byte("sealed")      // kind "/" id -> sealed record
	bucketSessions  = []byte("sessions")    // digest -> expiry
	bucketGrants    = []byte("grants")      // id -> grantRecord
	bucketTokens    = []byte("tokens")      // grant id, 0, digest -> token record
	bucketDue       = []byte("due")         // time, grant id -> nothing; since version 2
	bucketGranted   = []byte("granted")     // what grants were made for -> how many; since version 3

	// Created with the first call, so files from before there was activity are
	// complete.
	bucketActivity = []byte("activity") // number of the last call -> batch of calls
)

// schema is the version of the file's layout.
const schema = 3

// layout is what every state file has in it.
var layout = statefile.Layout{
	Version: schema,
	Buckets: []statefile.Bucket{
		{Name: bucketSettings}, {Name: bucketEndpoints}, {Name: bucketCreds}, {Name: bucketSealed},
		{Name: bucketSessions}, {Name: bucketGrants}, {Name: bucketTokens},
		{Name: bucketDue, Since: 2}, {Name: bucketGranted, Since: 3},
	},
	Migrate: migrate,
}

// migrate brings the content of an older file up to the present layout.
func migrate(tx *bbolt.Tx, from int) error {
	if from < 2 {
		if err := indexDue(tx); err != nil {
			return err
		}
	}
	return countAllGranted(tx)
}
