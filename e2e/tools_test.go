package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// A reply is a response that was read completely.
type reply struct {
	Status int
	Header http.Header
	Body   string
}

// callTool calls a tool of an endpoint in a single request. A stateless
// upstream accepts that without a session. Safe to use on any goroutine.
func callTool(c *http.Client, endpoint, token, tool string, args any) (reply, error) {
	params, err := json.Marshal(map[string]any{"name": tool, "arguments": args})
	if err != nil {
		return reply{}, err
	}
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":%s}`, params)
	req, err := http.NewRequest(http.MethodPost, endpoint, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	resp, err := c.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{Status: resp.StatusCode, Header: resp.Header, Body: string(b)}, err
}

// fresh uses no connection twice, because these tests restart the program.
var fresh = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// says reports whether a is a tool's answer with exactly this text.
func (a reply) says(text string) bool {
	var rpc struct {
		Result struct {
			IsError bool `json:"isError"`
			Content []struct {
				Text string `json:"text"`
			} `json:"content"`
		} `json:"result"`
	}
	body := a.Body
	if strings.HasPrefix(a.Header.Get("Content-Type"), "text/event-stream") {
		_, body, _ = strings.Cut(body[max(0, strings.LastIndex(body, "\ndata: ")):], "data: ")
	}
	return a.Status == http.StatusOK && json.Unmarshal([]byte(body), &rpc) == nil &&
		!rpc.Result.IsError && len(rpc.Result.Content) == 1 && rpc.Result.Content[0].Text == text
}

// A user is a client that has signed in, with everything that it ever received.
type user struct {
	*shimtest.OAuthClient
	t       testing.TB
	http    *http.Client // nil means fresh
	access  []string
	refresh []string
	calls   int
}

// signedIn signs a new client in by pasting key.
func signedIn(t testing.TB, a *app, endpoint, key string) *user {
	t.Helper()
	u := &user{OAuthClient: oauthClient(t, a, "http://127.0.0.1:1/callback", endpoint), t: t}
	if a.world != nil {
		u.http = a.http()
	}
	a.connect(u.OAuthClient, key)
	u.keep()
	return u
}

// keep remembers the tokens of the last answer.
func (u *user) keep() {
	u.access = append(u.access, u.Access)
	u.refresh = append(u.refresh, u.Refresh)
}

// call calls a tool with the newest token.
func (u *user) call() reply {
	u.t.Helper()
	return u.callWith(u.Access)
}

func (u *user) callWith(token string) reply {
	u.t.Helper()
	u.calls++
	a, err := callTool(cmp.Or(u.http, fresh), u.Resource, token, "echo", map[string]string{"text": u.text()})
	if err != nil {
		u.t.Fatal(err)
	}
	return a
}

// text is the expected result of the last call.
func (u *user) text() string { return fmt.Sprintf("call %d", u.calls) }

// mustCall makes a call that has to work.
func (u *user) mustCall(when string) {
	u.t.Helper()
	if a := u.call(); !a.says(u.text()) {
		u.t.Errorf("%s: a call = %d %s, want %q", when, a.Status, a.Body, u.text())
	}
}

// mustRefresh uses a refresh token that has to work.
func (u *user) mustRefresh(when, token string) {
	u.t.Helper()
	status, body := u.DoRefresh(token)
	if status != http.StatusOK {
		u.t.Errorf("%s: refresh token %d of %d = %d %v, want 200", when, slices.Index(u.refresh, token)+1, len(u.refresh), status, body["error"])
		return
	}
	u.keep()
}

// mustAll uses every token that the user ever received. All must work until
// they are revoked.
func (u *user) mustAll(when string) {
	u.t.Helper()
	for i, token := range u.access {
		if a := u.callWith(token); !a.says(u.text()) {
			u.t.Errorf("%s: a call with access token %d of %d = %d %s, want %q", when, i+1, len(u.access), a.Status, a.Body, u.text())
		}
	}
	for _, token := range slices.Clone(u.refresh) {
		u.mustRefresh(when, token)
	}
}
