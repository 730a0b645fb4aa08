package shim

import (
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/dashboard"
	"github.com/key2oauth/key2oauth/shim/internal/origin"
)

// TestOwnerPathsAreNoSlugs: no path of the owner's pages looks like a slug,
// since it would then lead to an endpoint.
func TestOwnerPathsAreNoSlugs(t *testing.T) {
	for _, first := range strings.Fields("activity api open consent endpoints grants pause resume keychain sign-out authorize token register revoke .well-known") {
		if slug, _ := origin.SplitSlug("/" + first); slug != "" {
			t.Errorf("/%s can be taken for an endpoint", first)
		}
	}
}

func FuzzOwnerPath(f *testing.F) {
	f.Add("/k3v9x0q2m7ab/mcp/x")
	f.Add("/consent/x")
	f.Fuzz(func(t *testing.T, p string) {
		if slug, _ := origin.SplitSlug(p); slug != "" && dashboard.IsPath(p) {
			t.Errorf("%q is the owner's and an endpoint's", p)
		}
	})
}
