package signin

import (
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/trial"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// TestTroubleNames: pages know the outcomes of a key trial by their names, and
// cannot import the package that has them.
func TestTroubleNames(t *testing.T) {
	for page, outcome := range map[web.Trouble]trial.Outcome{
		web.TroubleRejected: trial.Rejected, web.TroubleKeyless: trial.Keyless, web.TroubleUnproven: trial.Unproven, web.TroubleBarred: trial.Barred,
		web.TroubleUnreachable: trial.Unreachable, web.TroubleBusy: trial.Busy, web.TroubleOdd: trial.Odd, web.TroubleNotMCP: trial.NotMCP,
		web.TroubleRedirect: trial.Redirect, web.TroubleRefused: trial.Refused,
	} {
		if string(page) != string(outcome) {
			t.Errorf("a trial's %q is %q on pages", outcome, page)
		}
	}
}
