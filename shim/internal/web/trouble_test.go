package web

import "testing"

// TestTrouble: each trouble has a heading that is true of it, and only a key
// that a server has refused is called not accepted.
func TestTrouble(t *testing.T) {
	all := []Trouble{
		TroubleIncomplete, TroubleKeyForm, TroubleLocked, TroubleUnreadable, TroubleHeader, TroubleGone, TroubleState,
		TroubleRejected, TroubleKeyless, TroubleUnproven, TroubleBarred, TroubleUnreachable, TroubleBusy, TroubleOdd, TroubleNotMCP, TroubleRedirect, TroubleRefused, "later",
	}
	same := map[Trouble]Trouble{TroubleKeyForm: TroubleIncomplete}
	seen := make(map[string]Trouble)
	for _, x := range all {
		h := x.heading()
		if other, ok := seen[h]; ok && same[x] != other || h == "" {
			t.Errorf("%s and %s have the heading %q", x, other, h)
		}
		if _, ok := seen[h]; !ok {
			seen[h] = x
		}
		if got := h == Text("trouble.rejected"); got != (x == TroubleRejected) {
			t.Errorf("%s: says that the key was not accepted: %t", x, got)
		}
	}
}
