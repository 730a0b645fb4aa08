package e2e

import (
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/shim/shimtest/catalogue"
	"github.com/key2oauth/key2oauth/tunnel"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// A finding is one element of a report of the doctor.
type finding struct {
	ID, Group, What, State, Whose, Words, Next string
}

// A checkup is what key2oauth doctor --json prints.
type checkup struct {
	OK       bool
	Findings []finding
}

// find returns the first finding whose id has this prefix.
func (c checkup) find(id string) finding {
	for _, f := range c.Findings {
		if strings.HasPrefix(f.ID, id) {
			return f
		}
	}
	return finding{}
}

// doctor runs key2oauth doctor. Its exit code must agree with its report.
func (a *app) doctor() (c checkup) {
	a.t.Helper()
	cmd := exec.Command(a.exe, "doctor", "--json", "--data-dir", a.dir)
	out, err := cmd.Output()
	if jsonErr := json.Unmarshal(out, &c); jsonErr != nil {
		a.t.Fatalf("key2oauth doctor: %v, and it printed %q", err, out)
	}
	for _, secret := range []string{shimtest.DefaultKey, authtoken, otherKey} {
		if strings.Contains(string(out), secret) {
			a.t.Errorf("the report holds a secret: %s", out)
		}
	}
	if code := cmd.ProcessState.ExitCode(); (code == 0) != c.OK || code > 1 {
		a.t.Errorf("the exit code is %d for a report that is ok: %v", code, c.OK)
	}
	return c
}

const otherKey = "sk-canary-other-8c1d"

// A setUp breaks something, and returns a function that repairs it, or nil.
type setUp func(t *testing.T, a *app) (undo func())

// server adds a server with its key, and then breaks the server.
func server(o shimtest.Options, breakIt func(*shimtest.Upstream)) setUp {
	return func(t *testing.T, a *app) func() {
		up := shimtest.NewUpstream(t, o)
		a.addEndpoint("Server", up.URL, up.Key())
		if breakIt != nil {
			breakIt(up)
		}
		return nil
	}
}

func answering(f shimtest.Fault) setUp {
	return server(shimtest.Options{}, func(up *shimtest.Upstream) { up.Break(f) })
}

// edge breaks the connection from the internet.
func edge(breakIt func(*tunneltest.Edge), mend func(*tunneltest.Edge)) setUp {
	return func(_ *testing.T, a *app) func() {
		breakIt(a.world.Edge)
		return func() { mend(a.world.Edge) }
	}
}

// down breaks the tunnel, waits until that shows, and opens the tunnel again
// afterward.
func down(state string, breakIt, mend func(t *testing.T, e *tunneltest.Edge)) setUp {
	return func(t *testing.T, a *app) func() {
		breakIt(t, a.world.Edge)
		eventually(t, time.Minute, "the tunnel is "+state, func() bool { return a.tunnel().State == state })
		return func() {
			if mend != nil {
				mend(t, a.world.Edge)
			}
			a.api("PUT", "/api/tunnel", map[string]string{"provider": "ngrok"}, nil)
			a.waitOnline()
		}
	}
}

// on6 is an upstream that listens only on the IPv6 loopback address.
func on6(t *testing.T, a *app) func() {
	ln, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		testenv.Skip(t, "has no IPv6: "+err.Error())
	}
	up := shimtest.NewUpstream(t, shimtest.Options{})
	srv := &http.Server{Handler: up}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	a.addEndpoint("Server", "http://"+ln.Addr().String()+"/mcp", up.Key())
	return nil
}

// elsewhere is where redirects lead. No key may be sent there.
const elsewhere = "http://127.0.0.1:9/mcp"

// setUps are mistakes that people, servers and ngrok make, and some states that
// only look like mistakes.
var setUps = []struct {
	name  string
	setUp setUp
	id    string // prefix of the finding's id
	state string
	whose string
	next  string // what to do
}{
	{"good server", server(shimtest.Options{}, nil), "servers.", "ok", "", ""},
	{"legacy SSE", server(shimtest.Options{LegacySSE: true}, nil), "servers.", "ok", "", ""},
	{"IPv6 only", on6, "servers.", "ok", "", ""},
	{"dead key", server(shimtest.Options{}, func(up *shimtest.Upstream) { up.SetKey(otherKey) }), "servers.", "failed", "yours", catalogue.NextRejected},
	{"wrong header", func(t *testing.T, a *app) func() {
		up := shimtest.NewUpstream(t, shimtest.Options{Header: "X-Api-Key"})
		e := a.addEndpoint("Server", up.URL, up.Key())
		a.api("PATCH", "/api/slugs/"+e.Slug, map[string]string{"auth_header_name": "Authorization", "auth_header_prefix": "Bearer "}, nil)
		return nil
	}, "servers.", "failed", "yours", catalogue.NextHeader},
	{"redirecting upstream", answering(shimtest.Redirect(http.StatusFound, elsewhere)), "servers.", "failed", "yours", catalogue.NextAddress},
	{"HTML upstream", answering(shimtest.HTML()), "servers.", "failed", "yours", catalogue.NextNotMCP},
	{"wrong path", answering(shimtest.Status(http.StatusNotFound, "404 page not found")), "servers.", "failed", "yours", catalogue.NextNotMCP},
	{"upstream that is no MCP server", answering(shimtest.NotJSONRPC()), "servers.", "failed", "yours", catalogue.NextNotMCP},
	{"failing upstream", answering(shimtest.Status(http.StatusInternalServerError, "panic")), "servers.", "failed", "upstream", catalogue.NextBusy},
	{"upstream over its quota", answering(shimtest.Status(http.StatusTooManyRequests, "slow down")), "servers.", "failed", "upstream", catalogue.NextBusy},
	{"upstream that is down", server(shimtest.Options{}, func(up *shimtest.Upstream) { up.Close() }), "servers.", "failed", "upstream", catalogue.NextServer},
	{"upstream with a certificate of its own", server(shimtest.Options{TLS: true}, nil), "servers.", "failed", "upstream", catalogue.NextCertificate},
	{"http on an https port", func(t *testing.T, a *app) func() {
		up := shimtest.NewUpstream(t, shimtest.Options{})
		a.addEndpoint("Server", strings.Replace(up.URL, "http:", "https:", 1), up.Key())
		return nil
	}, "servers.", "failed", "yours", catalogue.NextPlain},
	{"upstream without a name", func(_ *testing.T, a *app) func() {
		a.addEndpoint("Server", "https://nowhere.invalid/mcp", shimtest.DefaultKey)
		return nil
	}, "servers.", "failed", "yours", catalogue.NextName},
	{"keyless upstream", func(t *testing.T, a *app) func() {
		up := shimtest.NewUpstream(t, shimtest.Options{})
		up.OpenTo("server/discover", "initialize", "notifications/initialized", "tools/list", "")
		a.addEndpoint("Server", up.URL, up.Key())
		return nil
	}, "servers.", "warn", "yours", catalogue.NextKeyless},
	{"no key", func(t *testing.T, a *app) func() {
		a.addEndpoint("Server", shimtest.NewUpstream(t, shimtest.Options{}).URL, "")
		return nil
	}, "servers.", "skipped", "", ""},
	{"clock off", server(shimtest.Options{}, func(up *shimtest.Upstream) {
		up.AddHeader("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
	}), "servers.clock", "failed", "yours", catalogue.NextClock},
	{"paused", func(_ *testing.T, a *app) func() {
		a.run("", "pause")
		return func() { a.run("", "resume"); a.waitOnline() }
	}, "computer.paused", "failed", "yours", catalogue.NextResume},

	{"warning page", edge(func(e *tunneltest.Edge) { e.SetInterstitial(true) }, func(e *tunneltest.Edge) { e.SetInterstitial(false) }), "public.page", "warn", "ngrok", catalogue.NextNgrokPage},
	{"requests used up", edge(func(e *tunneltest.Edge) { e.UseUp("727") }, func(e *tunneltest.Edge) { e.UseUp("") }), "public.reach", "failed", "yours", tunnel.ProblemOf("727").Next},
	{"bandwidth used up", edge(func(e *tunneltest.Edge) { e.UseUp("725") }, func(e *tunneltest.Edge) { e.UseUp("") }), "public.reach", "failed", "yours", tunnel.ProblemOf("725").Next},
	{"domain held", down("retrying", func(_ *testing.T, e *tunneltest.Edge) {
		e.Hold(tunneltest.DefaultDomain)
		e.KillSessions()
	}, func(_ *testing.T, e *tunneltest.Edge) { e.Release(tunneltest.DefaultDomain) }), "public.tunnel", "failed", "ngrok", tunnel.ProblemOf("334").Next},
	{"tunnel stopped at ngrok", down("failed", func(t *testing.T, e *tunneltest.Edge) {
		if err := e.Send(tunneltest.DefaultDomain, tunneltest.Stop); err != nil {
			t.Fatal(err)
		}
	}, nil), "public.tunnel", "failed", "yours", tunnel.ProblemOf(tunnel.CauseStopped).Next},
	{"ngrok unreachable", down("retrying", func(_ *testing.T, e *tunneltest.Edge) { e.Close() }, func(t *testing.T, e *tunneltest.Edge) {
		if err := e.Reopen(); err != nil {
			t.Fatal(err)
		}
	}), "public.tunnel", "failed", "network", tunnel.ProblemOf(tunnel.CauseRefused).Next},
	{"offline by the owner's word", func(_ *testing.T, a *app) func() {
		a.api("PUT", "/api/tunnel", map[string]string{"provider": "off"}, nil)
		return func() {
			a.api("PUT", "/api/tunnel", map[string]string{"provider": "ngrok"}, nil)
			a.waitOnline()
		}
	}, "public.tunnel", "skipped", "", ""},
	// This comes last, because nothing restores the account.
	{"tunnel refused", func(t *testing.T, a *app) func() {
		a.world.Revoke(authtoken)
		a.world.KillSessions()
		eventually(t, time.Minute, "the tunnel has failed", func() bool { return a.tunnel().State == "failed" })
		return nil
	}, "public.tunnel", "failed", "yours", tunnel.ProblemOf("300").Next},
}

// TestDoctor breaks things for real, the way they break in the field, and runs
// the doctor. Each time the doctor must name the right cause and say what to
// do.
func TestDoctor(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	a := startIn(t, newWorld(t, tunneltest.Config{Accounts: map[string]tunneltest.Account{authtoken: {}}}))
	a.waitOnline()
	if c := a.doctor(); !c.OK || c.find("public.revoke").State != "ok" || c.find("local.revoke").State != "ok" {
		t.Fatalf("an app with nothing wrong: %+v", c.Findings)
	}
	if all := a.attempts(); len(all) != 0 {
		t.Errorf("the doctor's own visit is in the timeline: %+v", all)
	}
	for _, tt := range setUps {
		t.Run(tt.name, func(t *testing.T) {
			undo := tt.setUp(t, a)
			c := a.doctor()
			f := c.find(tt.id)
			if f.State != tt.state || f.Whose != tt.whose || f.Next != tt.next {
				t.Errorf("got %+v, want %s, %s, %q; the report is %+v", f, tt.state, tt.whose, tt.next, c.Findings)
			}
			if (f.State == "failed" || f.State == "warn") && (f.Words == "" || f.Next == "" || f.Whose == "") {
				t.Errorf("it does not say who has to do what: %+v", f)
			}
			// The doctor blames nothing else.
			blamed := slices.DeleteFunc(c.Findings, func(g finding) bool { return g.State != "failed" || g.ID == f.ID })
			if len(blamed) > 0 && tt.name != "paused" { // which closes the tunnel too
				t.Errorf("also blamed: %+v", blamed)
			}
			for _, slug := range a.slugs() {
				a.api("DELETE", "/api/slugs/"+slug, nil, nil)
			}
			if undo != nil {
				undo()
			}
		})
	}
}

func (a *app) slugs() (all []string) {
	a.t.Helper()
	var answer struct{ Slugs []endpointInfo }
	a.api("GET", "/api/slugs", nil, &answer)
	for _, s := range answer.Slugs {
		all = append(all, s.Slug)
	}
	return all
}

// mustBlame runs the doctor and checks one finding.
func (a *app) mustBlame(id, state, whose, words, next string) {
	a.t.Helper()
	f := a.doctor().find(id)
	if f.State != state || f.Whose != whose || !strings.Contains(f.Words, words) || f.Next != next {
		a.t.Errorf("got %+v, want %s, %s, %q and %q", f, state, whose, words, next)
	}
}
