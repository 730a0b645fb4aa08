package reach

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/tunnel"
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

// A freeTunnel is a tunnel of ngrok's free plan.
type freeTunnel struct{ instantTunnel }

func (x *freeTunnel) Open(ctx context.Context, known string) (net.Listener, string, error) {
	ln, origin, err := x.instantTunnel.Open(ctx, known)
	return freeLink{ln}, origin, err
}

type freeLink struct{ net.Listener }

func (freeLink) Changes() <-chan struct{} { return nil }
func (freeLink) State() tunnel.LinkState  { return tunnel.LinkState{Online: true, Plan: "Free"} }
func (freeLink) Kick() bool               { return true }
func (freeLink) Alive() bool              { return true }
func (freeLink) Disconnect()              {}

// TestN02WarningInStatus counts requests until the status says that the limit
// is near.
func TestN02WarningInStatus(t *testing.T) {
	k := newKit(t, Start{
		Mode: tunnel.ProviderNgrok, Authtoken: tunnel.NewAuthtoken("2token"),
		New: func(w tunnel.Wish) tunnel.Tunnel { return &freeTunnel{instantTunnel{w}} },
	})
	k.run(t)
	for end := time.Now().Add(testenv.Patience); k.Status().Plan != "Free"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the tunnel is not open: %+v", k.Status())
		}
	}
	h := k.Meter.Count(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	spend := func(until int64) api.TunnelUsage {
		for n := k.Status().Usage.Requests; n < until; n++ {
			h.ServeHTTP(nil, nil)
		}
		return *k.Status().Usage
	}
	limit := k.Status().Usage.MaxRequests
	if limit < 1000 {
		t.Fatalf("the limit is %d requests", limit)
	}
	if u := spend(limit/5*4 - 1); u.Warning != "" {
		t.Errorf("at %d of %d requests there is the warning %q", u.Requests, limit, u.Warning)
	}
	if u := spend(limit / 5 * 4); u.Warning == "" {
		t.Errorf("at %d of %d requests there is no warning", u.Requests, limit)
	}
}
