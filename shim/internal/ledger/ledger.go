// Package ledger records who was let in and what they did: grants and their
// tokens, the timeline of each grant, and calls.
//
// All of it is on disk and not in memory, except for what is written together
// once a second. So it costs the same for ten grants and for a hundred thousand.
// It knows endpoints and credentials only by their ids; the caller takes care of
// them, in the same transaction, when a grant ends or is used.
package ledger

import (
	"errors"
	"log/slog"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/statefile"
)

// Config is what a ledger needs from the state that it is part of. All fields
// are required.
type Config struct {
	View   func(fn func(tx *bbolt.Tx) error) error
	Update func(fn func(t *statefile.Tx) error) error
	// Write is like Update, and does not wait until it is known which file is
	// kept.
	Write func(fn func(t *statefile.Tx) error) error

	// Check returns an error unless everything that a new grant refers to exists.
	Check func(tx *bbolt.Tx, g oauth.Grant) error
	// Ended is called when a grant ends, to delete what belongs only to it.
	Ended func(t *statefile.Tx, g oauth.Grant) error
	// Used saves when an endpoint was last used.
	Used func(t *statefile.Tx, slug string, at time.Time) error

	Log *slog.Logger
	Now func() time.Time
}

// A Ledger reads and writes these records. It is safe for concurrent use.
type Ledger struct {
	cfg     Config
	backlog backlog
}

// New returns the ledger of a state file that has Buckets.
func New(cfg Config) *Ledger { return &Ledger{cfg: cfg} }

// ErrExists says that the id of a new record is taken.
var ErrExists = errors.New("already exists")

// The buckets of the ledger.
var (
	bucketGrants  = []byte("grants")  // id -> grantRecord
	bucketTokens  = []byte("tokens")  // grant id, 0, digest -> token record
	bucketDue     = []byte("due")     // time, grant id -> nothing; since version 2
	bucketGranted = []byte("granted") // property of grants -> how many have it; since version 3

	// Created with the first record, so files from before there was activity, or
	// timelines, are complete.
	bucketCalls        = []byte("activity")     // number of the last call -> batch of calls
	bucketTimeline     = []byte("timeline")     // grant id -> record of the caller
	bucketTimelineDone = []byte("timelinedone") // the same, when it is complete
)

// Buckets are those of the ledger in every state file.
var Buckets = []statefile.Bucket{
	{Name: bucketGrants}, {Name: bucketTokens},
	{Name: bucketDue, Since: 2}, {Name: bucketGranted, Since: 3},
}

// Migrate brings the ledger of an older file up to version 3.
func Migrate(tx *bbolt.Tx, from int) error {
	if from < 2 {
		if err := indexDue(tx); err != nil {
			return err
		}
	}
	return countAllGranted(tx)
}
