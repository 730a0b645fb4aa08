package vault

import (
	"github.com/key2oauth/key2oauth/shim/internal/ledger"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
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
const schema = 3

// layout is what every state file has in it.
var layout = statefile.Layout{
	Version: schema,
	Buckets: append([]statefile.Bucket{
		{Name: bucketSettings}, {Name: bucketEndpoints}, {Name: bucketCreds}, {Name: bucketSealed}, {Name: bucketSessions},
	}, ledger.Buckets...),
	Migrate: ledger.Migrate, // the other buckets have not changed
}
