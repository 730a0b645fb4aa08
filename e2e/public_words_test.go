package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// TestN01N03N04N06Words causes every kind of trouble with the tunnel. The
// status must say what is wrong and what to do about it, for programs and for
// people. The authtoken must appear nowhere.
func TestN01N03N04N06Words(t *testing.T) {
	t.Parallel()
	const domain, renamed = tunneltest.DefaultDomain, "brisk-heron-renamed.ngrok-free.app"
	said := func(c tunnel.Cause) string { return tunnel.ProblemOf(c).Words }
	tests := []struct {
		name   string
		config tunneltest.Config
		before func(*world)       // before the program starts
		online func(*app, *world) // once the tunnel is online; nil if it never is
		want   tunnelInfo         // parts of the words
		well   bool               // there is nothing to do
	}{
		{
			name:   "N04 wrong authtoken",
			config: tunneltest.Config{Accounts: map[string]tunneltest.Account{"2theAuthtokenOfSomebodyElse": {}}},
			want:   tunnelInfo{State: "failed", Code: "ERR_NGROK_107", Words: said("107")},
		},
		{
			name:   "N04 authtoken revoked while online",
			online: func(_ *app, w *world) { w.Revoke(authtoken) },
			want:   tunnelInfo{State: "failed", Code: "ERR_NGROK_300", Words: said("300")},
		},
		{
			name:   "N04 address held elsewhere",
			before: func(w *world) { w.Hold(domain) },
			want:   tunnelInfo{State: "retrying", Code: "ERR_NGROK_334", Words: said("334")},
		},
		{
			name:   "N04 service gone",
			online: func(_ *app, w *world) { w.Close() },
			want:   tunnelInfo{State: "retrying", Words: said(tunnel.CauseRefused)},
		},
		{
			name:   "N01 no requests left this month",
			before: func(w *world) { w.UseUp("727") },
			online: func(*app, *world) {},
			want:   tunnelInfo{State: "online", Test: said("727")},
		},
		{
			name:   "N01 no bytes left this month",
			online: func(a *app, w *world) { w.UseUp("725"); w.KillSessions() },
			want:   tunnelInfo{State: "online", Test: said("725")},
		},
		{
			name:   "N03 warning page",
			config: tunneltest.Config{Interstitial: true},
			online: func(*app, *world) {},
			want:   tunnelInfo{State: "online", Words: fmt.Sprintf(shimtest.TextTunnelOnline, publicOrigin)},
			well:   true,
		},
		{
			name: "N06 other domain",
			online: func(a *app, w *world) {
				up := shimtest.NewUpstream(a.t, shimtest.Options{})
				signedIn(a.t, a, a.url(a.addEndpoint("Linear", up.URL, "")), up.Key())
				w.Rename(authtoken, renamed)
				w.KillSessions()
			},
			want: tunnelInfo{State: "online", Stranded: []string{"\u201cTest client\u201d"}},
			well: true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.config)
			if tt.before != nil {
				tt.before(w)
			}
			a := startIn(t, w)
			if tt.online != nil {
				a.waitOnline()
				tt.online(a, w)
			}
			var got tunnelInfo
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("the status was %+v at last, want %+v", got, tt.want)
				}
			})
			eventually(t, patience, "the status says what is wrong", func() bool {
				got = a.tunnel()
				return got.State == tt.want.State && got.Code == tt.want.Code &&
					strings.Contains(got.Words, tt.want.Words) && strings.Contains(got.Test, tt.want.Test) &&
					(tt.want.Test == "") == (got.Test == "") && len(got.Stranded) == len(tt.want.Stranded)
			})
			if !tt.well && got.Test == "" && got.Next == "" {
				t.Errorf("nothing says what to do about %q", got.Words)
			}
			if len(tt.want.Stranded) > 0 && got.Stranded[0] != tt.want.Stranded[0] {
				t.Errorf("clients to add again: %q, want %q", got.Stranded, tt.want.Stranded)
			}
			seen := places{"command status": a.run("", "status"), "command tunnel": a.run("", "tunnel")}
			for place, text := range seen {
				for _, words := range append([]string{got.Words, got.Next, got.Test}, got.Stranded...) {
					if place == "command status" && words != got.Words {
						continue
					}
					if !strings.Contains(unwrapped(text), words) {
						t.Errorf("the %s does not say %q:\n%s", place, words, text)
					}
				}
			}
			mustNotTell(t, a, seen)
		})
	}
}

// unwrapped is text without the line breaks of a terminal.
func unwrapped(text string) string { return strings.Join(strings.Fields(text), " ") }

// mustNotTell searches for the authtoken in seen and in everything else that a
// program leaves behind.
func mustNotTell(t *testing.T, a *app, seen places) {
	t.Helper()
	find := finder{t: t}
	find.add("authtoken", authtoken)
	if len(find.find("x"+authtoken+"y")) == 0 {
		t.Fatal("the search misses a planted authtoken")
	}
	for _, path := range []string{"/api/status", "/api/slugs", "/api/grants", "/api/activity"} {
		var raw rawText
		a.api("GET", path, nil, &raw)
		seen["answer of "+path] = string(raw)
	}
	seen.addFiles(t, a.dir, ", while all is there")
	a.kill()
	seen.addFiles(t, a.dir, "")
	seen["output"] = a.out.String()
	for place, text := range seen {
		if found := find.find(text); len(found) > 0 {
			t.Errorf("the %s stands in %s", found[0], place)
		}
	}
}

// A rawText is JSON exactly as it was sent.
type rawText []byte

// UnmarshalJSON implements json.Unmarshaler.
func (r *rawText) UnmarshalJSON(b []byte) error { *r = append(rawText(nil), b...); return nil }
