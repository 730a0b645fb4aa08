package reach

import (
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/api"
)

// TestN02UsageWarning: the owner is warned at 80 percent of each limit of the
// plan, and never about what the plan does not limit.
func TestN02UsageWarning(t *testing.T) {
	free := func(requests, bytes int64) api.TunnelUsage {
		return api.TunnelUsage{Requests: requests, Bytes: bytes, MaxRequests: 20_000, MaxBytes: 1e9}
	}
	for _, tt := range []struct {
		name string
		u    api.TunnelUsage
		want string // expected in the warning; "" if there is none
	}{
		{"nothing", free(0, 0), ""},
		{"requests below", free(15_999, 0), ""},
		{"requests", free(16_000, 0), "16,000 of the 20,000 requests"},
		{"bytes below", free(0, 799_999_999), ""},
		{"bytes", free(0, 800_000_000), "MB"},
		{"all requests", free(20_000, 0), "used up"},
		{"all bytes", free(0, 1e9), "used up"},
		{"no limits", api.TunnelUsage{Requests: 1e9, Bytes: 1e15}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := usageWarning(tt.u); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
