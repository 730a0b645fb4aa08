package doctor

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

func TestWordsInCatalogue(t *testing.T) {
	if n := shimtest.NoWords(t, "text.go"); n < 3 {
		t.Errorf("%d files were looked at", n)
	}
}

// TestVerdicts: each trouble is blamed on the right one, and says what to do.
func TestVerdicts(t *testing.T) {
	trial := func(outcome string) verdict {
		return judgeTrial(shim.KeyTrial{Outcome: outcome, Words: "The server said so."})
	}
	unreachable := func(fault string) verdict {
		return judgeTrial(shim.KeyTrial{Outcome: "unreachable", Fault: fault, Words: "It is so."})
	}
	state := func(state string) verdict {
		return judgeTunnel(api.TunnelStatus{State: state, Words: "It is so.", Next: "Do that.", Whose: "ngrok"})
	}
	disk := func(free int64, err error) verdict {
		r := &round{Doctor: &Doctor{Free: func(string) (int64, error) { return free, err }}}
		return r.disk()
	}
	html := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	tests := []struct {
		name  string
		got   verdict
		state string
		whose string
	}{
		{"key works", trial("ok"), "", ""},
		{"keyless", trial("keyless"), api.FindingWarn, yours},
		{"no key", trial("no key"), api.FindingSkipped, ""},
		{"locked", trial("locked"), api.FindingFailed, yours},
		{"wrong header", trial("header"), api.FindingFailed, yours},
		{"dead key", trial("rejected"), api.FindingFailed, yours},
		{"web page", trial("not_mcp"), api.FindingFailed, yours},
		{"redirect", trial("redirect"), api.FindingFailed, yours},
		{"refused", trial("refused"), api.FindingFailed, yours},
		{"busy", trial("busy"), api.FindingFailed, upstreams},
		{"unreachable", trial("unreachable"), api.FindingFailed, upstreams},
		{"name of nobody", unreachable("name"), api.FindingFailed, yours},
		{"https where there is none", unreachable("plain"), api.FindingFailed, yours},
		{"no way out", unreachable("network"), api.FindingFailed, network},
		{"certificate", unreachable("certificate"), api.FindingFailed, upstreams},
		{"clock right", judgeClock(30*time.Second, "h"), "", ""},
		{"clock ahead", judgeClock(time.Hour, "h"), api.FindingFailed, yours},
		{"clock behind", judgeClock(-time.Hour, "h"), api.FindingFailed, yours},
		{"keychain ready", keychain("ready", ""), "", ""},
		{"keychain file", keychain("file", "In a file."), "", ""},
		{"keychain memory", keychain("memory", "Nowhere."), api.FindingWarn, yours},
		{"keychain locked", keychain("locked", "Locked."), api.FindingFailed, yours},
		{"tunnel online", state(api.TunnelOnline), "", ""},
		{"tunnel off", state(api.TunnelOff), api.FindingSkipped, ""},
		{"tunnel connecting", state(api.TunnelConnecting), api.FindingWarn, network},
		{"tunnel retrying", state(api.TunnelRetrying), api.FindingFailed, ngroks},
		{"tunnel failed", state(api.TunnelFailed), api.FindingFailed, ngroks},
		{"tunnel paused", state(api.TunnelPaused), api.FindingFailed, yours},
		{"tunnel locked", state(api.TunnelLocked), api.FindingFailed, yours},
		{"no blame", judgeTunnel(api.TunnelStatus{State: api.TunnelFailed, Words: "No.", Next: "Do."}), api.FindingFailed, yours},
		{"room", disk(1<<40, nil), "", ""},
		{"full disk", disk(1<<20, nil), api.FindingFailed, yours},
		{"unknown room", disk(0, errors.ErrUnsupported), api.FindingSkipped, ""},
		{"our own fault", judgeStrange(groupLocal, 500, nil, nil), api.FindingFailed, ours},
		{"ngrok's answer", judgeStrange(groupPublic, 403, http.Header{"Ngrok-Error-Code": {"ERR_NGROK_727"}}, nil), api.FindingFailed, ngroks},
		{"a login in front", judgeStrange(groupPublic, 200, html, nil), api.FindingFailed, yours},
		{"a page in front", judgeStrange(groupPublic, 200, nil, []byte(" <!DOCTYPE html>")), api.FindingFailed, yours},
		{"a wall in front", judgeStrange(groupPublic, 403, nil, nil), api.FindingFailed, yours},
		{"something in front", judgeStrange(groupPublic, 200, nil, []byte("{}")), api.FindingFailed, yours},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.got.state != tt.state || tt.got.whose != tt.whose {
				t.Errorf("got %q, %q; want %q, %q", tt.got.state, tt.got.whose, tt.state, tt.whose)
			}
			if tt.state == api.FindingFailed && (!strings.HasSuffix(tt.got.words, ".") || !strings.HasSuffix(tt.got.next, ".")) {
				t.Errorf("words %q, next %q are no sentences", tt.got.words, tt.got.next)
			}
		})
	}
}

func TestFreeBytes(t *testing.T) {
	if n, err := freeBytes(t.TempDir()); err != nil || n <= 0 {
		t.Errorf("got %d, %v", n, err)
	}
	if _, err := freeBytes("/nowhere/at/all"); err == nil {
		t.Error("a folder that does not exist has free bytes")
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		3 * time.Minute: "3 minutes", time.Hour: "60 minutes", 2 * time.Hour: "2 hours", 30 * time.Hour: "30 hours", 47 * time.Hour: "47 hours",
		100*24*time.Hour + time.Hour: "100 days",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
}
