package doctor

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/trial"
	"github.com/key2oauth/key2oauth/shim/internal/upstream"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

func TestWordsInCatalogue(t *testing.T) {
	if n := shimtest.NoWords(t, ".", "text.go"); n < 3 {
		t.Errorf("%d files were looked at", n)
	}
}

// TestVerdicts: each problem names who has to fix it and what to do.
func TestVerdicts(t *testing.T) {
	tried := func(outcome trial.Outcome) verdict {
		return judgeTrial(keyTrial{outcome: outcome, words: "The server said so."})
	}
	unreachable := func(fault upstream.Fault) verdict {
		return judgeTrial(keyTrial{outcome: trial.Unreachable, fault: fault, words: "It is so."})
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
		{"key works", tried(trial.OK), "", ""},
		{"keyless", tried(trial.Keyless), api.FindingWarn, api.WhoseYours},
		{"unproven", tried(trial.Unproven), api.FindingWarn, api.WhoseUpstream},
		{"odd answers", tried(trial.Odd), api.FindingFailed, api.WhoseUpstream},
		{"barred", tried(trial.Barred), api.FindingFailed, api.WhoseUpstream},
		{"no key", tried(noKey), api.FindingSkipped, ""},
		{"locked", tried(locked), api.FindingFailed, api.WhoseYours},
		{"wrong header", tried(otherHeader), api.FindingFailed, api.WhoseYours},
		{"dead key", tried(trial.Rejected), api.FindingFailed, api.WhoseYours},
		{"web page", tried(trial.NotMCP), api.FindingFailed, api.WhoseYours},
		{"redirect", tried(trial.Redirect), api.FindingFailed, api.WhoseYours},
		{"refused", tried(trial.Refused), api.FindingFailed, api.WhoseYours},
		{"busy", tried(trial.Busy), api.FindingFailed, api.WhoseUpstream},
		{"unreachable", tried(trial.Unreachable), api.FindingFailed, api.WhoseUpstream},
		{"name that no one has", unreachable(upstream.FaultName), api.FindingFailed, api.WhoseYours},
		{"https where there is none", unreachable(upstream.FaultPlain), api.FindingFailed, api.WhoseYours},
		{"no way out", unreachable(upstream.FaultNetwork), api.FindingFailed, api.WhoseNetwork},
		{"certificate", unreachable(upstream.FaultCertificate), api.FindingFailed, api.WhoseUpstream},
		{"clock right", judgeClock(30*time.Second, "h"), "", ""},
		{"clock ahead", judgeClock(time.Hour, "h"), api.FindingFailed, api.WhoseYours},
		{"clock behind", judgeClock(-time.Hour, "h"), api.FindingFailed, api.WhoseYours},
		{"keychain ready", keychain(api.Keychain{State: api.KeychainReady, Words: ""}), "", ""},
		{"keychain file", keychain(api.Keychain{State: api.KeychainFile, Words: "In a file."}), "", ""},
		{"keychain memory", keychain(api.Keychain{State: api.KeychainMemory, Words: "Nowhere."}), api.FindingWarn, api.WhoseYours},
		{"keychain locked", keychain(api.Keychain{State: api.KeychainLocked, Words: "Locked."}), api.FindingFailed, api.WhoseYours},
		{"tunnel online", state(api.TunnelOnline), "", ""},
		{"tunnel off", state(api.TunnelOff), api.FindingSkipped, ""},
		{"tunnel connecting", state(api.TunnelConnecting), api.FindingWarn, api.WhoseNetwork},
		{"tunnel retrying", state(api.TunnelRetrying), api.FindingFailed, api.WhoseNgrok},
		{"tunnel failed", state(api.TunnelFailed), api.FindingFailed, api.WhoseNgrok},
		{"tunnel paused", state(api.TunnelPaused), api.FindingFailed, api.WhoseYours},
		{"tunnel locked", state(api.TunnelLocked), api.FindingFailed, api.WhoseYours},
		{"no blame", judgeTunnel(api.TunnelStatus{State: api.TunnelFailed, Words: "No.", Next: "Do."}), api.FindingFailed, api.WhoseYours},
		{"room", disk(1<<40, nil), "", ""},
		{"full disk", disk(1<<20, nil), api.FindingFailed, api.WhoseYours},
		{"unknown room", disk(0, errors.ErrUnsupported), api.FindingSkipped, ""},
		{"our own fault", judgeStrange(api.GroupLocal, 500, nil, nil), api.FindingFailed, api.WhoseOurs},
		{"ngrok's answer", judgeStrange(api.GroupPublic, 403, http.Header{"Ngrok-Error-Code": {"ERR_NGROK_727"}}, nil), api.FindingFailed, api.WhoseNgrok},
		{"a login in front", judgeStrange(api.GroupPublic, 200, html, nil), api.FindingFailed, api.WhoseYours},
		{"a page in front", judgeStrange(api.GroupPublic, 200, nil, []byte(" <!DOCTYPE html>")), api.FindingFailed, api.WhoseYours},
		{"a wall in front", judgeStrange(api.GroupPublic, 403, nil, nil), api.FindingFailed, api.WhoseYours},
		{"something in front", judgeStrange(api.GroupPublic, 200, nil, []byte("{}")), api.FindingFailed, api.WhoseYours},
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

// TestClockWords: the owner learns in which direction the clock is off, and how
// far.
func TestClockWords(t *testing.T) {
	for ahead, want := range map[time.Duration]string{
		time.Hour: fmt.Sprintf(TextClockAhead, "60 minutes", "h"), -3 * time.Hour: fmt.Sprintf(TextClockBehind, "3 hours", "h"),
	} {
		if got := judgeClock(ahead, "h"); got.words != want || got.next != NextClock {
			t.Errorf("%v: got %q and %q, want %q", ahead, got.words, got.next, want)
		}
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
