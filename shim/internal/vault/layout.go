package vault

import (
	"errors"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/key2oauth/key2oauth/shim/internal/ledger"
	"github.com/key2oauth/key2oauth/shim/internal/records"
	"github.com/key2oauth/key2oauth/shim/internal/sealed"
	"github.com/key2oauth/key2oauth/shim/internal/settings"
)

// schema is the version of the file's layout.
const schema = 4

// layout is what every state file has in it.
var layout = records.Layout{
	Version: schema,
	Buckets: slices.Concat(settings.Buckets, sealed.Buckets, ledger.Buckets),
	Migrate: migrate,
}

// migrate brings a file of an older version up to version 4, in which records
// have checksums.
func migrate(tx *bbolt.Tx, from int) error {
	return errors.Join(settings.Migrate(tx), sealed.Migrate(tx), ledger.Migrate(tx, from))
}
