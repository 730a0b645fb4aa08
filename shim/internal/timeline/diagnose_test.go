package timeline

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// script makes an attempt from steps that are seconds apart. A step is its
// name. After a colon comes the reason for refusing it, or the status of a
// call.
func script(via, steps string) Attempt {
	a := Attempt{Client: "Claude", Via: via, Began: noon}
	now := noon
	for s := range strings.SplitSeq(steps, ", ") {
		name, why, _ := strings.Cut(s, ":")
		status, err := strconv.Atoi(why)
		if err == nil {
			why = "upstream"
		}
		a.note(Step(name), why, status, now)
		now = now.Add(time.Second)
	}
	return a
}

func TestDiagnose(t *testing.T) {
	const (
		asked    = "found, register, authorize"
		approved = asked + ", consent, approve"
		signedIn = approved + ", exchange"
	)
	tests := []struct {
		name    string
		via     string
		steps   string
		after   time.Duration // since the last step; 0 means an hour
		offline bool
		cause   string
		whose   Party
		stopped Step
		state   string // "" means stopped
	}{
		{name: "tool", steps: signedIn + ", call, tool", state: Done},
		{name: "tool after trouble", steps: approved + ", exchange:pkce, exchange, call:403, call, tool", state: Done},
		{name: "no tool yet", steps: signedIn + ", call", cause: "connected", stopped: Tool, state: Connected},
		{name: "a look", steps: "found", cause: "found", whose: PartyClient, stopped: Registered},
		{name: "just now", steps: "found", after: time.Second, cause: "found", stopped: Registered, state: Going},
		{name: "no browser", steps: "found, register", cause: "register", whose: PartyClient, stopped: Asked},
		{name: "no browser through ngrok", via: Ngrok, steps: "found, register", cause: "register ngrok", whose: PartyTunnel, stopped: Asked},
		{name: "no browser through a tunnel", via: External, steps: "found, register", cause: "register", whose: PartyClient, stopped: Asked},
		{name: "tunnel down before the browser", via: Ngrok, steps: "found, register", offline: true, cause: "register offline", whose: PartyOwner, stopped: Asked},
		{name: "offline does not matter here", steps: "found, register", offline: true, cause: "register", whose: PartyClient, stopped: Asked},
		{name: "browser left", steps: asked, cause: "authorize", whose: PartyOwner, stopped: Shown},
		{name: "browser left on the internet", via: Ngrok, steps: asked, cause: "authorize public", whose: PartyOwner, stopped: Shown},
		{name: "browser reads", via: Ngrok, steps: asked, after: time.Minute, cause: "authorize public", stopped: Shown, state: Going},
		{name: "phone", via: Ngrok, steps: asked + ", waiting", cause: "waiting", whose: PartyOwner, stopped: Number},
		{name: "wrong number", via: Ngrok, steps: asked + ", waiting, consent, number:wrong", cause: "number", whose: PartyOwner, stopped: Number},
		{name: "not answered", steps: asked + ", consent", cause: "consent", whose: PartyOwner, stopped: Approved},
		{name: "owner looks for his key", steps: asked + ", consent", after: 5 * time.Minute, cause: "consent", stopped: Approved, state: Going},
		{name: "denied", steps: asked + ", consent, approve:denied", cause: "approve denied", whose: PartyOwner, stopped: Approved},
		{name: "disk at consent", steps: asked + ", consent, key, approve:disk", cause: "approve disk", whose: PartyOwner, stopped: Approved},
		{name: "unheard of at consent", steps: asked + ", consent, key, approve:moon", cause: "approve disk", whose: PartyOwner, stopped: Approved},
		{name: "wrong key", steps: asked + ", consent, key:rejected", cause: "key rejected", whose: PartyOwner, stopped: Key},
		{name: "wrong key, then right", steps: asked + ", consent, key:rejected, key, approve", cause: "approve", whose: PartyClient, stopped: Exchanged},
		{name: "upstream away", steps: asked + ", consent, key:unreachable", cause: "key unreachable", whose: PartyUpstream, stopped: Key},
		{name: "upstream busy", steps: asked + ", consent, key:busy", cause: "key busy", whose: PartyUpstream, stopped: Key},
		{name: "web page", steps: asked + ", consent, key:not_mcp", cause: "key not_mcp", whose: PartyOwner, stopped: Key},
		{name: "redirecting upstream", steps: asked + ", consent, key:redirect", cause: "key redirect", whose: PartyOwner, stopped: Key},
		{name: "refused address", steps: asked + ", consent, key:refused", cause: "key refused", whose: PartyOwner, stopped: Key},
		{name: "keyless", steps: asked + ", consent, key:keyless", cause: "key keyless", whose: PartyOwner, stopped: Key},
		{name: "not proven", steps: asked + ", consent, key:unproven", cause: "key unproven", whose: PartyUpstream, stopped: Key},
		{name: "odd answers", steps: asked + ", consent, key:odd", cause: "key odd", whose: PartyUpstream, stopped: Key},
		{name: "barred", steps: asked + ", consent, key:barred", cause: "key barred", whose: PartyUpstream, stopped: Key},
		{name: "wrong header", steps: asked + ", consent, key:header", cause: "key header", whose: PartyOwner, stopped: Key},
		{name: "locked at consent", steps: asked + ", consent, key:locked", cause: "key locked", whose: PartyOwner, stopped: Key},
		{name: "no key", steps: asked + ", consent, key:none", cause: "key", whose: PartyOwner, stopped: Key},

		{name: "registration refused", steps: "found, register:registration", cause: "register registration", whose: PartyClient, stopped: Registered},
		{name: "odd registration", steps: "found, register:malformed", cause: "register registration", whose: PartyClient, stopped: Registered},
		{name: "bad redirect registered", steps: "found, register:redirect", cause: "register redirect", whose: PartyClient, stopped: Registered},
		{name: "flood of registrations", steps: "found, register, register:too many", cause: "register too many", whose: PartyClient, stopped: Registered},
		{name: "stale id", steps: "authorize:client", cause: "authorize client", whose: PartyClient, stopped: Asked},
		{name: "stale id after a look", steps: "found, authorize:client", cause: "authorize client", whose: PartyClient, stopped: Asked},
		{name: "foreign redirect", steps: "found, register, authorize:redirect", cause: "authorize redirect", whose: PartyClient, stopped: Asked},
		{name: "document", steps: "found, authorize, authorize:document", cause: "authorize document", whose: PartyClient, stopped: Asked},
		{name: "mistyped address", steps: "found, register, authorize:resource", cause: "authorize resource", whose: PartyOwner, stopped: Asked},
		{name: "no PKCE", steps: "found, register, authorize:pkce", cause: "authorize pkce", whose: PartyClient, stopped: Asked},
		{name: "odd request", steps: "found, register, authorize:malformed", cause: "authorize refused", whose: PartyClient, stopped: Asked},

		{name: "never came back", via: Ngrok, steps: approved, cause: "approve", whose: PartyClient, stopped: Exchanged},
		{name: "comes back soon", steps: approved, after: time.Second, cause: "approve", stopped: Exchanged, state: Going},
		{name: "tunnel down after approval", via: Ngrok, steps: approved, offline: true, cause: "approve offline", whose: PartyOwner, stopped: Exchanged},
		{name: "OAuth succeeded, nothing follows", via: Ngrok, steps: signedIn, cause: "exchange silent", whose: PartyClient, stopped: Called},
		{name: "looks again, nothing follows", via: Ngrok, steps: signedIn + ", found", cause: "exchange silent", whose: PartyClient, stopped: Called},
		{name: "tunnel down after the exchange", via: Ngrok, steps: signedIn, offline: true, cause: "exchange offline", whose: PartyOwner, stopped: Called},
		{name: "exchange by a stale client", steps: approved + ", exchange:client", cause: "exchange client", whose: PartyClient, stopped: Exchanged},
		{name: "other redirect", steps: approved + ", exchange:redirect", cause: "exchange redirect", whose: PartyClient, stopped: Exchanged},
		{name: "wrong verifier", steps: approved + ", exchange:pkce", cause: "exchange pkce", whose: PartyClient, stopped: Exchanged},
		{name: "late", steps: approved + ", exchange:expired", cause: "exchange expired", whose: PartyClient, stopped: Exchanged},
		{name: "other client", steps: approved + ", exchange:other client", cause: "exchange other client", whose: PartyClient, stopped: Exchanged},
		{name: "registered twice", steps: "found, register, register, authorize, consent, approve, exchange:other client", cause: "exchange mixed", whose: PartyClient, stopped: Exchanged},
		{name: "other origin", steps: approved + ", exchange:other origin", cause: "exchange other origin", whose: PartyClient, stopped: Exchanged},
		{name: "code used twice", steps: signedIn + ", exchange:reused", cause: "exchange reused", whose: PartyClient, stopped: Exchanged},
		{name: "other resource", steps: approved + ", exchange:resource", cause: "exchange resource", whose: PartyClient, stopped: Exchanged},
		{name: "unknown code", steps: approved + ", exchange:unknown", cause: "exchange unknown", whose: PartyClient, stopped: Exchanged},
		{name: "disk at exchange", steps: approved + ", exchange:state", cause: "exchange state", whose: PartyOwner, stopped: Exchanged},
		{name: "odd exchange", steps: approved + ", exchange:malformed", cause: "exchange", whose: PartyClient, stopped: Exchanged},
		{name: "expired grant", steps: "refresh:unknown", cause: "refresh unknown", whose: PartyOwner, stopped: Refreshed},
		{name: "expired refresh token", steps: "refresh:expired", cause: "refresh expired", whose: PartyOwner, stopped: Refreshed},
		{name: "reused refresh token", steps: "refresh:reused", cause: "refresh reused", whose: PartyClient, stopped: Refreshed},
		{name: "disk at refresh", steps: signedIn + ", refresh:state", cause: "refresh state", whose: PartyOwner, stopped: Refreshed},
		{name: "odd refresh", steps: signedIn + ", refresh:pkce", cause: "refresh", whose: PartyClient, stopped: Refreshed},
		{name: "bad token", steps: signedIn + ", token:unknown", cause: "token unknown", whose: PartyClient, stopped: Token},
		{name: "bad token, renewed", steps: signedIn + ", token:unknown, refresh", cause: "exchange silent", whose: PartyClient, stopped: Called},
		{name: "token for another server", steps: signedIn + ", token:endpoint", cause: "token endpoint", whose: PartyClient, stopped: Token},
		{name: "token of another origin", steps: signedIn + ", token:other origin", cause: "token other origin", whose: PartyClient, stopped: Token},
		{name: "password for a token", steps: "token:malformed", cause: "token", whose: PartyClient, stopped: Token},
		{name: "key died", steps: signedIn + ", call:401", cause: "call 401", whose: PartyOwner, stopped: Called},
		{name: "403 on initialize", steps: signedIn + ", call:403", cause: "call 403", whose: PartyUpstream, stopped: Called},
		{name: "wrong path", steps: signedIn + ", call:404", cause: "call 404", whose: PartyOwner, stopped: Called},
		{name: "not MCP", steps: signedIn + ", call:405", cause: "call 405", whose: PartyOwner, stopped: Called},
		{name: "quota of the upstream", steps: signedIn + ", call:429", cause: "call 429", whose: PartyUpstream, stopped: Called},
		{name: "client gave up", steps: signedIn + ", call, call:499", cause: "call 499", whose: PartyUpstream, stopped: Called},
		{name: "upstream down", steps: signedIn + ", call:502", cause: "call 502", whose: PartyUpstream, stopped: Called},
		{name: "upstream busy in a call", steps: signedIn + ", call:503", cause: "call busy", whose: PartyUpstream, stopped: Called},
		{name: "upstream slow", steps: signedIn + ", call:504", cause: "call busy", whose: PartyUpstream, stopped: Called},
		{name: "upstream failed", steps: signedIn + ", call:500", cause: "call 5xx", whose: PartyUpstream, stopped: Called},
		{name: "paused", steps: signedIn + ", call:paused", cause: "call paused", whose: PartyOwner, stopped: Called},
		{name: "locked", steps: signedIn + ", call:locked", cause: "call locked", whose: PartyOwner, stopped: Called},
		{name: "keychain without the key", steps: signedIn + ", call:key keychain", cause: "call key keychain", whose: PartyOwner, stopped: Called},
		{name: "key of another address", steps: signedIn + ", call:key address", cause: "call key address", whose: PartyOwner, stopped: Called},
		{name: "damaged key", steps: signedIn + ", call:key damaged", cause: "call key damaged", whose: PartyOwner, stopped: Called},
		{name: "deleted key", steps: signedIn + ", call:key gone", cause: "call key gone", whose: PartyOwner, stopped: Called},
		{name: "version of MCP", steps: signedIn + ", call:400", cause: "call", whose: PartyUpstream, stopped: Called},
	}
	seen := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			via := tt.via
			if via == "" {
				via = Local
			}
			a := script(via, tt.steps)
			after := tt.after
			if after == 0 {
				after = time.Hour
			}
			state := tt.state
			if state == "" {
				state = Stopped
			}
			d := Diagnose(a, Circumstances{Now: a.Last.Add(after), Offline: tt.offline})
			if d.Cause != tt.cause || d.Whose != tt.whose || d.Stopped != tt.stopped || d.State != state {
				t.Errorf("got %s, cause %q, whose %q, at %q; want %s, %q, %q, %q", d.State, d.Cause, d.Whose, d.Stopped, state, tt.cause, tt.whose, tt.stopped)
			}
			if d.Words == "" || strings.Contains(d.Words+d.Next, "%") || state == Stopped && d.Next == "" {
				t.Errorf("words %q, next %q", d.Words, d.Next)
			}
			seen[d.Cause] = true
		})
	}
	for _, c := range slices.Sorted(maps.Keys(causes)) {
		if !seen[c] {
			t.Errorf("nothing leads to the cause %q", c)
		}
	}
}

// TestCauses: every cause in the API is a cause that a diagnosis can have.
func TestCauses(t *testing.T) {
	for _, c := range []string{
		api.CauseFound, api.CauseDenied, api.CauseDiskApprove, api.CauseDiskExchange, api.CauseDiskRefresh,
		api.CauseKeyRejected, api.CausePaused, api.CauseLocked, api.CauseLockedConsent,
	} {
		if _, ok := causes[c]; !ok {
			t.Errorf("nothing has the cause %q", c)
		}
	}
}

func TestWords(t *testing.T) {
	a := Attempt{Agent: "python-httpx"}
	for name, c := range causes {
		for _, s := range []string{c.words, c.next} {
			s = fill(s, unnamed, a)
			if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "key2oauth open") || strings.Contains(s, "  ") || strings.Contains(s, "%") {
				t.Errorf("%s: %q is no sentence", name, s)
			}
		}
	}
	for step := range order {
		if _, ok := going[step]; !ok && order[step] < order[Token] {
			t.Errorf("there are no words for an attempt that continues after %q", step)
		}
	}
}

func TestFill(t *testing.T) {
	for _, tt := range []struct{ text, beginning, named, unnamed string }{
		{"%app registered, and %app left. %app is gone.", unnamed, "Claude registered, and Claude left. Claude is gone.", "An app registered, and the app left. The app is gone."},
		{"In %app, press Connect. %app connects.", "The app", "In Claude, press Connect. Claude connects.", "In the app, press Connect. The app connects."},
		{"%app tries again.", "The app", "Claude tries again.", "The app tries again."},
		{"You approved.", unnamed, "You approved.", "You approved."},
	} {
		if got := fill(tt.text, tt.beginning, Attempt{App: "Claude"}); got != tt.named {
			t.Errorf("fill(%q) of Claude = %q, want %q", tt.text, got, tt.named)
		}
		if got := fill(tt.text, tt.beginning, Attempt{}); got != tt.unnamed {
			t.Errorf("fill(%q) without a name = %q, want %q", tt.text, got, tt.unnamed)
		}
	}
}
