// Package ledger records who was let in and what they did: grants and their
// tokens, the timeline of each grant, and calls.
//
// All of it is on disk and not in memory, except for what is written together once
// a second. Of each grant the roll has some hundred bytes, once a page wants them.
// It knows endpoints and credentials only by their ids; the caller takes care of
// them, in the same transaction, when a grant ends or is used.
package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/oauth"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/roll"
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
	// Damaged is told of a record that cannot be read and is left out.
	Damaged func(err error)

	Log *slog.Logger
	Now func() time.Time
}

// A Ledger reads and writes these records. It is safe for concurrent use.
type Ledger struct {
	cfg     Config
	backlog backlog
	Roll    *roll.Roll // of the grants
}

// New returns the ledger of a state file that has Buckets.
func New(cfg Config) *Ledger {
	l := &Ledger{cfg: cfg}
	l.Roll = roll.New(func(fn func(roll.Entry)) error {
		return l.EachMark(func(m Mark) { fn(m.Entry) })
	})
	return l
}

// ErrExists says that the id of a new record is taken.
var ErrExists = errors.New("already exists")

// The buckets of the ledger.
var (
	bucketGrants  = []byte("grants")  // id -> grantRecord
	BucketTokens  = []byte("tokens")  // grant id, 0, digest -> token record; ParseToken reads it
	bucketDue     = []byte("due")     // time, grant id -> nothing; since version 2
	bucketGranted = []byte("granted") // property of grants -> how many have it; since version 3

	// Created with the first record, so files from before there was activity, or
	// timelines, are complete.
	bucketCalls        = []byte("activity")     // number of the last call -> batch of calls
	bucketTimeline     = []byte("timeline")     // grant id -> record of the caller
	bucketTimelineDone = []byte("timelinedone") // the same, when it is complete
)

// Buckets are those of the ledger in every state file.
//
// What is due has no checksums: a bit that is lost there delays a sweep.
var Buckets = []records.Bucket{
	{Name: bucketGrants, Checked: true}, {Name: BucketTokens, Checked: true},
	{Name: bucketDue, Since: 2}, {Name: bucketGranted, Since: 3, Checked: true},
	{Name: bucketCalls, Checked: true, Optional: true},
	{Name: bucketTimeline, Checked: true, Optional: true}, {Name: bucketTimelineDone, Checked: true, Optional: true},
}

// Migrate brings the ledger of an older file up to version 4.
func Migrate(tx *bbolt.Tx, from int) error {
	isToken := func(value []byte) bool { _, err := ParseToken(value); return err == nil }
	any := func([]byte) bool { return true }
	for _, b := range []struct {
		name  []byte
		sound func(value []byte) bool
	}{
		{bucketGrants, json.Valid}, {BucketTokens, isToken},
		{bucketCalls, any}, {bucketTimeline, any}, {bucketTimelineDone, any},
	} {
		if err := records.AddChecksums(tx, b.name, b.sound); err != nil {
			return err
		}
	}
	if from < 2 {
		if err := indexDue(tx); err != nil {
			return err
		}
	}
	// Files before version 3 have no counts, later ones none with checksums.
	return countAllGranted(tx)
}

// DamagedGrant says which grant a damaged record belongs to, and what that seems
// to be called. ok is false for records that say nothing about a grant.
func DamagedGrant(tx *bbolt.Tx, e *records.Error) (id, name, slug string, ok bool) {
	switch e.Bucket {
	case string(bucketGrants):
		id = e.Key
	case string(BucketTokens):
		id, _, _ = strings.Cut(e.Key, "\x00")
	default:
		return "", "", "", false
	}
	r := records.Guess[grantRecord](tx, bucketGrants, id)
	return id, r.ClientName, r.Slug, true
}

// Expendable reports whether a damaged record is one that Heal removes: nothing
// depends on it, or it can be rebuilt.
func Expendable(e *records.Error) bool {
	switch e.Bucket {
	case string(bucketGranted), string(bucketCalls), string(bucketTimeline), string(bucketTimelineDone):
		return true
	}
	return false
}

// Heal removes an expendable record, or rebuilds it.
func Heal(tx *bbolt.Tx, e *records.Error) error {
	if e.Bucket == string(bucketGranted) {
		return countAllGranted(tx)
	}
	return tx.Bucket([]byte(e.Bucket)).Delete([]byte(e.Key))
}

// EndAll deletes all grants with their tokens and timelines.
func EndAll(tx *bbolt.Tx) error {
	for _, b := range Buckets {
		if bytes.Equal(b.Name, bucketCalls) || tx.Bucket(b.Name) == nil {
			continue
		}
		if err := tx.DeleteBucket(b.Name); err != nil {
			return err
		}
		if _, err := tx.CreateBucket(b.Name); err != nil {
			return err
		}
	}
	return nil
}
