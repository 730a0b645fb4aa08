package shim_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// attempts decodes the timeline, of one grant unless that is "".
func (p *program) attempts(grant string) []api.Attempt {
	p.t.Helper()
	status, out := p.api("GET", "/api/timeline?grant="+grant, nil)
	if status != http.StatusOK {
		p.t.Fatalf("GET /api/timeline = %d %v", status, out)
	}
	b, err := json.Marshal(out["timeline"])
	if err != nil {
		p.t.Fatal(err)
	}
	var all []api.Attempt
	if err := json.Unmarshal(b, &all); err != nil {
		p.t.Fatal(err)
	}
	return all
}

// way returns the steps of an attempt in one line.
func way(a api.Attempt) string {
	var steps []string
	for _, e := range a.Events {
		step := string(e.Step)
		if e.Why != "" {
			step += ":" + e.Why
		}
		if e.Status != 0 {
			step = fmt.Sprintf("%s=%d", step, e.Status)
		}
		steps = append(steps, step)
	}
	return strings.Join(steps, " ")
}

func (p *program) onlyGrant() string {
	p.t.Helper()
	_, out := p.api("GET", "/api/grants", nil)
	grants, _ := out["grants"].([]any)
	if len(grants) != 1 {
		p.t.Fatalf("there are %d grants, want 1", len(grants))
	}
	return grants[0].(map[string]any)["id"].(string)
}

// TestTimelineOfGrant follows a client from its registration to its first tool
// call, over a restart.
func TestTimelineOfGrant(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	_, mcpURL := p.add(up.URL, nil)
	p.post(mcpURL, "", initialize)
	c := p.client(mcpURL)
	b := p.browser()
	if page := b.Consent(c.AuthorizeURL(), map[string]string{"api_key": "canary-wrong-key", "action": "approve"}); page.Location != "" {
		t.Fatalf("a wrong key led to %s", page.Location)
	}
	all := p.attempts("")
	if len(all) != 1 || way(all[0]) != "found register authorize consent key:rejected" || all[0].Diagnosis.Cause != "key rejected" || all[0].Endpoint != "Weather" {
		t.Fatalf("after a wrong key: %+v", all)
	}
	if st := p.shim.Status(); len(st.Attempts) != 1 || st.Attempts[0].Diagnosis.Next == "" {
		t.Errorf("the status says of it: %+v", st.Attempts)
	}
	c.Connect(b, up.Key())
	grant := p.onlyGrant()
	p = p.restart()
	s := session(t, mcpURL, c.Access)
	want := "found register authorize consent key:rejected key approve exchange call"
	if all := p.attempts(""); len(all) != 1 || way(all[0]) != want || all[0].Diagnosis.State != "connected" || all[0].Grant != grant {
		t.Errorf("got %+v, want %s", all, want)
	}
	tools, err := s.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: tools.Tools[0].Name, Arguments: map[string]any{}}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the end of the timeline", func() bool { return len(p.attempts("")) == 0 })
	all = p.attempts(grant)
	if len(all) != 1 || way(all[0]) != want+" tool" || all[0].Diagnosis.State != "done" {
		t.Errorf("got %+v, want %s tool", all, want)
	}
	b2, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"canary", c.Access, c.Refresh, c.State, c.ID, up.Key(), "code_challenge"} {
		if strings.Contains(string(b2), secret) {
			t.Errorf("the timeline holds %q: %s", secret, b2)
		}
	}
	if status, _ := p.api("DELETE", "/api/grants/"+grant, nil); status != http.StatusNoContent {
		t.Errorf("DELETE = %d", status)
	}
	if all := p.attempts(grant); len(all) != 0 {
		t.Errorf("a revoked grant has a timeline: %+v", all)
	}
}

// TestTimelineStops stops attempts where real clients stop.
func TestTimelineStops(t *testing.T) {
	tests := []struct {
		name  string
		do    func(p *program, up *shimtest.Upstream, mcpURL string)
		cause string
		whose string
	}{
		{"stale id", func(p *program, _ *shimtest.Upstream, mcpURL string) {
			c := p.client(mcpURL)
			c.ID = "k2o_c_stale"
			p.browser().Open(c.AuthorizeURL())
		}, "authorize client", "client"},
		{"denied", func(p *program, _ *shimtest.Upstream, mcpURL string) {
			p.browser().Consent(p.client(mcpURL).AuthorizeURL(), map[string]string{"action": "deny"})
		}, "approve denied", "yours"},
		{"code used twice", func(p *program, up *shimtest.Upstream, mcpURL string) {
			c := p.client(mcpURL)
			page := p.browser().Consent(c.AuthorizeURL(), map[string]string{"api_key": up.Key(), "action": "approve"})
			code := c.CodeFrom(page.Location)
			c.Redeem(code)
			c.Redeem(code)
		}, "exchange reused", "client"},
		{"wrong verifier", func(p *program, up *shimtest.Upstream, mcpURL string) {
			c := p.client(mcpURL)
			page := p.browser().Consent(c.AuthorizeURL(), map[string]string{"api_key": up.Key(), "action": "approve"})
			c.Verifier += "x"
			c.Redeem(c.CodeFrom(page.Location))
		}, "exchange pkce", "client"},
		{"paused", func(p *program, up *shimtest.Upstream, mcpURL string) {
			c := p.client(mcpURL)
			c.Connect(p.browser(), up.Key())
			if err := p.shim.SetPaused(true); err != nil {
				p.t.Fatal(err)
			}
			p.post(mcpURL, c.Access, initialize)
		}, "call paused", "yours"},
		{"key died", func(p *program, up *shimtest.Upstream, mcpURL string) {
			c := p.client(mcpURL)
			c.Connect(p.browser(), up.Key())
			up.SetKey("another")
			p.post(mcpURL, c.Access, initialize)
		}, "call 401", "yours"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t)
			up := shimtest.NewUpstream(t, shimtest.Options{})
			_, mcpURL := p.add(up.URL, nil)
			tt.do(p, up, mcpURL)
			var got api.Attempt
			waitFor(t, tt.cause, func() bool {
				all := p.attempts("")
				i := slices.IndexFunc(all, func(a api.Attempt) bool { return a.Diagnosis.Cause == tt.cause })
				if i >= 0 {
					got = all[i]
				}
				return i >= 0
			})
			d := got.Diagnosis
			words, next := timeline.Words(tt.cause, timeline.Attempt{App: got.App, Client: got.Client, Agent: got.Agent})
			if d.Whose != tt.whose || d.Words != words || d.Next != next || got.Via != api.ViaLocal {
				t.Errorf("got %+v, want %q, %q and %q", got, tt.whose, words, next)
			}
		})
	}
}

// TestTimelineIsOver: a failed attempt is no longer news once the same app has
// connected.
func TestTimelineIsOver(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	_, mcpURL := p.add(up.URL, nil)
	_, other := p.add(up.URL, nil)
	stale := p.client(mcpURL)
	stale.ID = "k2o_c_stale"
	p.browser().Open(stale.AuthorizeURL())
	c := p.client(mcpURL)
	p.browser().Consent(c.AuthorizeURL(), map[string]string{"api_key": "canary-wrong-key", "action": "approve"})
	elsewhere := p.client(other)
	p.browser().Consent(elsewhere.AuthorizeURL(), map[string]string{"api_key": "canary-wrong-key", "action": "approve"})
	causes := func() (all []string) {
		for _, a := range p.shim.Status().Attempts {
			all = append(all, a.Diagnosis.Cause)
		}
		return all
	}
	if got := strings.Join(causes(), ", "); got != "key rejected, key rejected, authorize client" {
		t.Fatalf("there stopped: %s", got)
	}
	again := p.client(mcpURL)
	again.Connect(p.browser(), up.Key())
	if got := strings.Join(causes(), ", "); got != "key rejected" {
		t.Errorf("after the app got there: %s; want that at the other server", got)
	}
	if all := p.attempts(""); len(all) != 4 {
		t.Errorf("the page lists %d attempts, want all 4 of the day", len(all))
	}
}

// TestCheckPage: only the owner sees which apps failed to connect, how others
// connected, and what an examination found.
func TestCheckPage(t *testing.T) {
	doc := examiner{make(chan api.Finding)}
	p := start(t)
	p.shim.SetExaminer(doc.Examine)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	_, mcpURL := p.add(up.URL, nil)
	c := p.client(mcpURL)
	c.Connect(p.browser(), up.Key())
	p.browser().Consent(p.client(mcpURL).AuthorizeURL(), map[string]string{"api_key": "canary-wrong-key", "action": "approve"})

	if page := p.browser().Open(p.origin + "/check"); page.Status != http.StatusUnauthorized {
		t.Errorf("a stranger gets the page with %d", page.Status)
	}
	b := p.owner()
	page := b.Open(p.origin + "/check")
	_, next := timeline.Words("key rejected", timeline.Attempt{Client: "Test client"})
	for _, want := range []string{web.Text("refused.key"), next, web.Text("whose.yours")} {
		if page.Status != http.StatusOK || !strings.Contains(html.UnescapeString(page.Body), want) {
			t.Errorf("the page (%d) does not say %q", page.Status, want)
		}
	}
	if strings.Contains(page.Body, "canary") || strings.Contains(page.Body, c.Access) {
		t.Error("the page holds a secret")
	}
	server := b.Open(p.origin + "/servers/" + strings.Split(mcpURL, "/")[3])
	for _, want := range []string{web.Text("attempt.how"), web.Text("step.exchange"), web.Text("urgent.stopped")} {
		if !strings.Contains(html.UnescapeString(server.Body), want) {
			t.Errorf("the server's page does not say %q", want)
		}
	}
	page = b.Submit(b.Form(page, "/check"), nil)
	if page.Status != http.StatusOK || !strings.Contains(page.Body, web.Text("check.state.running")) || !strings.Contains(page.Body, `http-equiv="refresh"`) {
		t.Errorf("after the button the page (%d) does not say that it checks:\n%s", page.Status, page.Body)
	}
	doc.tell <- api.Finding{ID: "x", Group: "servers", What: "Weather", State: api.FindingFailed, Whose: "upstream", Words: "It is away.", Next: "Wait."}
	close(doc.tell)
	waitFor(t, "the report", func() bool {
		body := b.Open(p.origin + "/check").Body
		return strings.Contains(body, web.Text("check.failed.1")) && strings.Contains(body, "It is away.") && strings.Contains(body, web.Text("whose.upstream"))
	})
}
