package shim_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/selfcheck"
)

// TestSelfcheckIsPrivate: the built-in server exists only for an examination,
// on one origin, for the tokens of its own grants, and is in no list.
func TestSelfcheckIsPrivate(t *testing.T) {
	p := start(t)
	_, mcpURL, other := p.connect()
	check, err := p.shim.Selfcheck(false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.shim.Selfcheck(true); err == nil {
		t.Error("there is a check on a public origin that there is not")
	}
	checkURL := p.origin + "/" + check.Slug + "/mcp"
	const call = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"ping"}}`
	for _, token := range []string{"", "nonsense", other.Access} {
		if resp, body := p.post(checkURL, token, call); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("a stranger's call was answered %d %s", resp.StatusCode, body)
		}
	}
	c := p.client(checkURL)
	u, err := url.Parse(c.AuthorizeURL())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := check.Code("k2o_c_nobody", c.Redirect, u.Query().Get("code_challenge")); err == nil {
		t.Error("a client that is not registered gets a code")
	}
	code, err := check.Code(c.ID, c.Redirect, u.Query().Get("code_challenge"))
	if err != nil {
		t.Fatal(err)
	}
	if status, body := c.Redeem(code); status != http.StatusOK {
		t.Fatalf("POST /token = %d %v", status, body)
	}
	if resp, body := p.post(checkURL, c.Access, call); resp.StatusCode != http.StatusOK || !strings.Contains(body, `"id":7`) || !strings.Contains(body, selfcheck.Answer) {
		t.Errorf("the call was answered %d %s", resp.StatusCode, body)
	}
	if resp, _ := p.post(mcpURL, c.Access, call); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the token of a check opens another server: %d", resp.StatusCode)
	}
	for _, path := range []string{"/api/slugs", "/api/grants", "/api/timeline", "/api/activity", "/api/status"} {
		_, out := p.api("GET", path, nil)
		b, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), check.Slug) || strings.Contains(string(b), selfcheck.Answer) {
			t.Errorf("%s lists the check: %s", path, b)
		}
	}
	check.End()
	if resp, _ := p.post(checkURL, c.Access, call); resp.StatusCode != http.StatusNotFound {
		t.Errorf("after its end the check answers %d", resp.StatusCode)
	}
	if status, _ := c.DoRefresh(c.Refresh); status == http.StatusOK {
		t.Error("after its end the check's access can be renewed")
	}
	if resp, _ := p.post(mcpURL, other.Access, initialize); resp.StatusCode != http.StatusOK {
		t.Errorf("another grant suffered: %d", resp.StatusCode)
	}
}

// TestSelfcheckIsNoAttempt: an examination's requests stay out of the timeline.
// All others are recorded, no matter what a client calls itself.
func TestSelfcheckIsNoAttempt(t *testing.T) {
	p := start(t)
	check, err := p.shim.Selfcheck(false)
	if err != nil {
		t.Fatal(err)
	}
	look := func(nonce string) {
		t.Helper()
		req, err := http.NewRequest("GET", p.origin+"/.well-known/oauth-authorization-server", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("User-Agent", "Key2OAuth-check/1")
		req.Header.Set(selfcheck.Header, nonce)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("the metadata = %d", resp.StatusCode)
		}
	}
	look(check.Nonce)
	if all := p.attempts(""); len(all) != 0 {
		t.Errorf("an examination is an attempt: %+v", all)
	}
	for i, nonce := range []string{"", "guessed", check.Nonce[1:]} {
		look(nonce)
		if all := p.attempts(""); len(all) != 1 || max(all[0].Events[0].Count, 1) != i+1 {
			t.Errorf("a stranger with the nonce %q stays out of the timeline: %+v", nonce, all)
		}
	}
	check.End()
	look(check.Nonce)
	if all := p.attempts(""); len(all) != 1 || all[0].Events[0].Count != 4 {
		t.Errorf("the nonce of an examination that has ended hides its sender: %+v", all)
	}
}

// An examiner stands in for the doctor and reports what the test tells it to.
type examiner struct{ tell chan api.Finding }

func (e examiner) Examine(_ context.Context, tell func(api.Finding)) {
	for f := range e.tell {
		tell(f)
	}
}

// TestExamine: the report grows while it is made, and a second examination
// shows the one already running.
func TestExamine(t *testing.T) {
	doc := examiner{make(chan api.Finding)}
	p := start(t)
	p.shim.SetExaminer(doc.Examine)
	if status, _ := p.api("GET", "/api/doctor", nil); status != http.StatusNotFound {
		t.Errorf("a report before any examination: %d", status)
	}
	p.shim.Examine()
	p.shim.Examine()
	state := func() (ended any, states []string) {
		_, out := p.api("GET", "/api/doctor", nil)
		for _, f := range out["findings"].([]any) {
			states = append(states, f.(map[string]any)["state"].(string))
		}
		return out["ended"], states
	}
	doc.tell <- api.Finding{ID: "a", State: api.FindingRunning}
	doc.tell <- api.Finding{ID: "a", State: api.FindingFailed}
	doc.tell <- api.Finding{ID: "b", State: api.FindingRunning}
	waitFor(t, "two findings", func() bool { _, s := state(); return strings.Join(s, " ") == "failed running" })
	if ended, _ := state(); ended != nil {
		t.Errorf("the report has an end: %v", ended)
	}
	close(doc.tell)
	waitFor(t, "the end", func() bool { ended, _ := state(); return ended != nil })
	if _, out := p.api("GET", "/api/doctor", nil); out["ok"] != false {
		t.Errorf("a report with a failure is %v", out["ok"])
	}
}
