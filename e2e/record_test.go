package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/shim/shimtest/conversation"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// To record the timeline's test cases again, run: CI=true go test ./e2e -run
// 'M01.*ThroughTunnel' -record
var record = flag.Bool("record", false, "write down what real clients say through the tunnel, with secrets struck out, as test cases for the timeline")

// conversations is the folder where the tests of the timeline find the
// recordings.
const conversations = "../shim/testdata/conversations"

// recording watches a client. With -record it saves what the client said.
// Otherwise it checks that the client still signs in as it did in the
// recording.
func recording(t testing.TB) func(http.Handler) http.Handler {
	file := filepath.Join(conversations, conversationName(t.Name())+".jsonl")
	before, err := conversation.Read(file)
	if err != nil && !*record {
		return nil // a test without a recorded client
	}
	rec := new(conversation.Recorder)
	t.Cleanup(func() {
		now := rec.Turns()
		switch {
		case t.Failed() || len(now) == 0:
		case *record:
			if err := rec.WriteFile(file); err != nil {
				t.Error(err)
			}
		default:
			if diff := cmp.Diff(signInOf(before), signInOf(now)); diff != "" {
				t.Errorf("the client does not sign in as in its recording (-recorded +now); -record updates the recording:\n%s", diff)
			}
		}
	})
	return rec.Wrap
}

// signInOf lists a client's requests until it has its tokens, without
// repetitions: on a slow machine some clients try again.
func signInOf(turns []conversation.Turn) []string {
	var all []string
	for _, turn := range turns {
		all = append(all, fmt.Sprintf("%s %s = %d", turn.Method, turn.Path, turn.Status))
		if turn.Path == "/token" {
			break
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// conversationName turns a test's name into a file name. It contains the
// client, its protocol, and whether its upstream keeps sessions.
func conversationName(test string) string {
	test, row, _ := strings.Cut(strings.ToLower(test), "/")
	row = strings.NewReplacer("m01_", "", ".mjs", "", "stateless=true", "stateless", "stateless=false", "sessions").Replace(row)
	if strings.Contains(test, "goclient") { // the names of its rows do not contain it
		row = "go-sdk " + row
	}
	return strings.Trim(notInNames.ReplaceAllString(row, "-"), "-")
}

// TestRecordingHoldsNoSecret records a client that uses every kind of secret in
// a conversation, and searches the recording for them. The same search must
// find them in what the client sent.
func TestRecordingHoldsNoSecret(t *testing.T) {
	t.Parallel()
	rec, sent := new(conversation.Recorder), new(testenv.Output)
	a := startIn(t, newWorld(t, tunneltest.Config{Wrap: func(next http.Handler) http.Handler {
		next = rec.Wrap(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := httputil.DumpRequest(r, true)
			if err != nil {
				t.Error(err)
			}
			sent.Write(append(b, '\n'))
			next.ServeHTTP(w, r)
		})
	}}))
	a.waitOnline()
	up := shimtest.NewUpstream(t, shimtest.Options{})
	e := a.addEndpoint("Linear", up.URL, "")
	c := oauthClient(t, a, "http://127.0.0.1:45678/callback", e.MCP)
	secrets := map[string]string{"slug": e.Slug, "client id": c.ID, "state": c.State, "verifier": c.Verifier, "challenge": conversation.S256(c.Verifier), "port": "45678"}
	back := shimtest.NewBrowser(t, a.origin).Consent(continueLink(t, a, c.AuthorizeURL()), map[string]string{"api_key": up.Key(), "action": "approve"}).Location
	secrets["code"] = c.CodeFrom(back)
	if status, body := c.Redeem(secrets["code"]); status != http.StatusOK {
		t.Fatalf("POST /token = %d %v", status, body)
	}
	secrets["access token"], secrets["refresh token"] = c.Access, c.Refresh
	post(t, a.http(), e.MCP, c.Access, ping)
	c.DoRefresh(c.Refresh)
	secrets["next access token"] = c.Access
	secrets["foreign token"] = "canary-of-another-server"
	post(t, a.http(), e.MCP+"?api_key=canary-query", secrets["foreign token"], ping)
	secrets["query"] = "canary-query"
	began := post(t, a.http(), e.MCP, c.Access, `{"jsonrpc":"2.0","id":"canary-id","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"},"other":"canary-param"}}`)
	secrets["id"], secrets["parameter"] = "canary-id", "canary-param"
	session, err := http.NewRequest("POST", e.MCP, strings.NewReader(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"text":"canary-argument"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	mcpHeader(session, c.Access)
	secrets["session"], secrets["argument"] = began.Header.Get("Mcp-Session-Id"), "canary-argument"
	session.Header.Set("Mcp-Session-Id", secrets["session"])
	session.Header.Set("Cookie", "k=canary-cookie")
	session.Header.Set("X-Api-Key", "canary-header")
	secrets["cookie"], secrets["header"] = "canary-cookie", "canary-header"
	if called := send(t, a.http(), session); called.Status != http.StatusOK {
		t.Fatalf("the call = %d %s", called.Status, called.Body)
	}

	recorded := string(rec.Text())
	for what, secret := range secrets {
		if secret == "" || !strings.Contains(sent.String(), secret) && !strings.Contains(sent.String(), url.QueryEscape(secret)) {
			t.Errorf("the client did not send its %s, so nothing is proven", what)
		}
		if strings.Contains(recorded, secret) || strings.Contains(recorded, url.QueryEscape(secret)) {
			t.Errorf("the %s was recorded", what)
		}
	}
	for _, want := range []string{`"path":"/{slug}/mcp"`, `"code_verifier":"{code_verifier}"`, `Bearer {access_token.2}`, `Bearer {unknown}`, `"Mcp-Session-Id":"{session}"`, `"method":"tools/call"`} {
		if !strings.Contains(recorded, want) {
			t.Errorf("nothing of %s was recorded:\n%s", want, recorded)
		}
	}
	for _, secret := range []string{up.Key(), authtoken} {
		if strings.Contains(recorded, secret) {
			t.Error("a key was recorded")
		}
	}
}
