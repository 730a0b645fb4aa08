package vault

import (
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/ledger"
	"github.com/key2oauth/key2oauth/shim/internal/oauth"
)

var _ oauth.Store = (*Vault)(nil)

// A GrantedName is what connected clients have in common.
type GrantedName = ledger.GrantedName

// A Mark is what lists of grants are made of.
type Mark = ledger.Mark

// Sweep implements oauth.Store. It also deletes credentials that were pasted
// for a grant that was never made, and calls that are too old.
func (v *Vault) Sweep(now time.Time) error {
	if err := v.Ledger.Sweep(now); err != nil {
		return err
	}
	return v.Store.Sweep(now)
}
