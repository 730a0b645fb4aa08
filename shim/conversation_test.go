package shim_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/timeline"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/shim/shimtest/conversation"
)

// The conversations of real clients with the built program. The tests in e2e
// write them if the flag -record is set.
func conversations(t *testing.T) map[string][]conversation.Turn {
	t.Helper()
	files, err := filepath.Glob("testdata/conversations/*.jsonl")
	if err != nil || len(files) < 10 {
		t.Fatalf("there are %d recorded conversations (%v), want 10 at least", len(files), err)
	}
	all := make(map[string][]conversation.Turn)
	for _, file := range files {
		turns, err := conversation.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".jsonl")] = turns
	}
	return all
}

// A replay repeats what a client said once, and plays its user.
type replay struct {
	p     *program
	up    *shimtest.Upstream
	slug  string
	names conversation.Placeholders
	http  *http.Client
	owner *shimtest.Browser // on this computer
	page  *shimtest.Page    // the page that the owner sees
	ctx   context.Context
}

// A moment is one thing that a client or its user does.
type moment struct {
	step timeline.Step // the step that it leads to
	do   func(*testing.T)
}

func newReplay(t *testing.T, p *program, turns []conversation.Turn, from string) *replay {
	t.Helper()
	stateless := true
	for _, turn := range turns {
		stateless = stateless && turn.Header["Mcp-Session-Id"] == ""
	}
	r := &replay{p: p, up: shimtest.NewUpstream(t, shimtest.Options{Stateless: stateless}), http: p.far(from).Client(), owner: p.browser(), ctx: t.Context()}
	var mcpURL string
	r.slug, mcpURL = p.add(r.up.URL, nil)
	r.names.Bind("{slug}", r.slug)
	r.names.Bind("{origin}", strings.TrimSuffix(mcpURL, "/"+r.slug+"/mcp"))
	r.names.Bind("{state}", "s-"+rand.Text())
	verifier := rand.Text() + rand.Text()
	r.names.Bind("{code_verifier}", verifier)
	r.names.Bind("{code_challenge}", conversation.S256(verifier))
	return r
}

// moments lists what to do, in order. In the recording, the browser came to
// /authorize and then the owner answered on this computer.
func (r *replay) moments(turns []conversation.Turn) (all []moment) {
	for _, turn := range turns {
		step := timeline.Found
		switch {
		case turn.Path == "/register":
			step = timeline.Registered
		case turn.Path == "/authorize":
			step = timeline.Asked
		case turn.Path == "/token":
			step = timeline.Exchanged
		case turn.RPC() == "tools/call":
			step = timeline.Tool
		case turn.Method == http.MethodPost && turn.Status < 300:
			step = timeline.Called
		}
		all = append(all, moment{step, func(t *testing.T) { r.say(t, turn) }})
		if step == timeline.Asked {
			all = append(all, moment{timeline.Shown, r.open}, moment{timeline.Approved, r.approve})
		}
	}
	return all
}

// say sends what the client sent.
func (r *replay) say(t *testing.T, turn conversation.Turn) {
	t.Helper()
	fill := func(all map[string]string) url.Values {
		v := url.Values{}
		for name, value := range all {
			v.Set(name, r.names.Fill(value))
		}
		return v
	}
	var body io.Reader
	switch {
	case turn.Form != nil:
		body = strings.NewReader(fill(turn.Form).Encode())
	case turn.Body != nil:
		// The recorded upstream's tool has another name here.
		text := strings.Replace(string(turn.Body), `"name":"test_simple_text"`, `"name":"echo","arguments":{"text":"x"}`, 1)
		body = strings.NewReader(r.names.Fill(text))
	}
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, turn.Method, r.names.Fill("{origin}"+turn.Path), body)
	if err != nil {
		t.Fatal(err)
	}
	req.URL.RawQuery = fill(turn.Query).Encode()
	for name, value := range turn.Header {
		req.Header.Set(name, r.names.Fill(strings.Replace(value, "test_simple_text", "echo", 1)))
	}
	resp, err := r.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if turn.Status/100 != resp.StatusCode/100 && turn.Method != http.MethodGet || turn.Status == http.StatusUnauthorized && resp.StatusCode != turn.Status {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		t.Fatalf("%s %s = %d %s, was %d", turn.Method, turn.Path, resp.StatusCode, b, turn.Status)
	}
	if turn.Method == http.MethodGet && turn.Header["Accept"] == "text/event-stream" || turn.RPC() == "subscriptions/listen" {
		return // a stream, which never ends
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	r.names.Answered(turn.Path, resp.Header.Get("Mcp-Session-Id"), b)
	if turn.Path == "/authorize" {
		r.page = &shimtest.Page{URL: resp.Request.URL, Status: resp.StatusCode, Body: string(b)}
	}
}

// open continues to the page on this computer.
func (r *replay) open(t *testing.T) {
	r.page = r.owner.Open(continueLink(t, r.p, r.page))
}

// approve pastes the key on that page.
func (r *replay) approve(t *testing.T) {
	t.Helper()
	page := r.owner.Submit(r.owner.Form(r.page, r.page.URL.Path), map[string]string{"api_key": r.up.Key(), "action": "approve"})
	u, err := url.Parse(page.Location)
	if err != nil || u.Query().Get("code") == "" {
		t.Fatalf("consent ended at %s with %d:\n%s", page.URL, page.Status, page.Body)
	}
	r.names.Bind("{code}", u.Query().Get("code"))
}

// ends maps a step to the diagnosis of an attempt that stops after it.
var ends = map[timeline.Step]struct {
	state, cause string
	whose        timeline.Party
	stopped      timeline.Step
}{
	timeline.Found:      {timeline.Stopped, "found", timeline.PartyClient, timeline.Registered},
	timeline.Registered: {timeline.Stopped, "register ngrok", timeline.PartyTunnel, timeline.Asked},
	timeline.Asked:      {timeline.Stopped, "authorize public", timeline.PartyOwner, timeline.Shown},
	timeline.Shown:      {timeline.Stopped, "consent", timeline.PartyOwner, timeline.Approved},
	timeline.Approved:   {timeline.Stopped, "approve", timeline.PartyClient, timeline.Exchanged},
	timeline.Exchanged:  {timeline.Stopped, "exchange silent", timeline.PartyClient, timeline.Called},
	timeline.Called:     {timeline.Connected, "connected", timeline.NoParty, timeline.Tool},
	timeline.Tool:       {timeline.Done, "", timeline.NoParty, ""},
}

// rank orders the steps of ends.
var rank = map[timeline.Step]int{
	timeline.Found: 1, timeline.Registered: 2, timeline.Asked: 3, timeline.Shown: 4, timeline.Approved: 5,
	timeline.Exchanged: 6, timeline.Called: 7, timeline.Tool: 8,
}

// only returns the one attempt at r's endpoint, finished or not.
func (r *replay) only(t *testing.T) api.Attempt {
	t.Helper()
	var all []api.Attempt
	for _, a := range r.p.attempts("") {
		if a.Slug == r.slug {
			all = append(all, a)
		}
	}
	_, out := r.p.api("GET", "/api/grants", nil)
	for _, g := range out["grants"].([]any) {
		if g := g.(map[string]any); len(all) == 0 && g["slug"] == r.slug {
			all = r.p.attempts(g["id"].(string))
		}
	}
	if len(all) != 1 {
		t.Fatalf("there are %d attempts, want one: %+v", len(all), all)
	}
	return all[0]
}

// TestConversations replays what each recorded client said. After each step it
// checks what the timeline would report if the client had stopped there.
func TestConversations(t *testing.T) {
	for name, turns := range conversations(t) {
		t.Run(name, func(t *testing.T) {
			p := startPublic(t)
			r := newReplay(t, p, turns, farAddr)
			client, top, seen := "", timeline.Step(""), make(map[timeline.Step]bool)
			for _, turn := range turns {
				var msg map[string]any
				if turn.Path == "/register" && json.Unmarshal(turn.Body, &msg) == nil {
					client, _ = msg["client_name"].(string)
				}
			}
			for i, m := range r.moments(turns) {
				m.do(t)
				if rank[m.step] > rank[top] {
					top = m.step
				}
				seen[top] = true
				var a api.Attempt
				var d timeline.Diagnosis
				want := ends[top]
				for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
					a = r.only(t)
					// An hour later, with nothing new.
					record, err := json.Marshal(a)
					if err != nil {
						t.Fatal(err)
					}
					known, _ := timeline.Parse(record)
					d = timeline.Diagnose(known, timeline.Circumstances{Now: time.Now().Add(time.Hour)})
					if d.State == want.state && d.Cause == want.cause || time.Now().After(end) {
						break
					}
				}
				if d.State != want.state || d.Cause != want.cause || d.Whose != want.whose || d.Stopped != want.stopped {
					t.Fatalf("stopped after %d, %s (%s), it is diagnosed as %+v, want %+v", i, top, way(a), d, want)
				}
				if d.Words == "" || d.State == timeline.Stopped && d.Next == "" {
					t.Errorf("stopped after %s, the diagnosis does not say what to do: %+v", top, d)
				}
				if a.Via != timeline.Ngrok || rank[top] >= rank[timeline.Registered] && a.Client != client {
					t.Errorf("after %s it is %q by %q, want %q by ngrok", top, a.Client, a.Via, client)
				}
			}
			if len(seen) != len(ends) {
				t.Errorf("the conversation came by %d steps, want %d: %v", len(seen), len(ends), seen)
			}
			if steps := way(r.only(t)); steps != wholeWay {
				t.Errorf("the steps are %q", steps)
			}
		})
	}
}

// TestConversationsAtOnce interleaves all clients, from as many addresses and
// to as many servers: their attempts are kept apart.
func TestConversationsAtOnce(t *testing.T) {
	p := startPublic(t)
	var all []*replay
	var left [][]moment
	for _, turns := range conversations(t) {
		r := newReplay(t, p, turns, fmt.Sprintf("203.0.113.%d", len(all)+20))
		all, left = append(all, r), append(left, r.moments(turns))
	}
	for spoke := true; spoke; {
		spoke = false
		for i, moments := range left {
			if len(moments) > 0 {
				moments[0].do(t)
				left[i], spoke = moments[1:], true
			}
		}
	}
	for _, r := range all {
		waitFor(t, "the tool", func() bool { return strings.HasSuffix(way(r.only(t)), " tool") })
		if steps := way(r.only(t)); steps != wholeWay {
			t.Errorf("the steps are %q", steps)
		}
	}
}

const wholeWay = "found register authorize consent key approve exchange call tool"

// secretLooking matches what looks like a token, code, key or ID.
var secretLooking = regexp.MustCompile(`k2o_|sk-|eyJ|[A-Za-z0-9_-]*[0-9][A-Za-z0-9_-]*[A-Za-z][A-Za-z0-9_-]{14,}`)

// TestConversationsHoldNoSecret: every secret in the recordings is replaced by
// a placeholder. That the recorder replaces them is tested where it records.
func TestConversationsHoldNoSecret(t *testing.T) {
	for _, planted := range []string{`"Bearer k2o_at_x"`, `"state":"0b9f4a61c2d84e5f"`, "5YV2KQ7WJ3N4XH6TBRD9ZC8MPA"} {
		if !secretLooking.MatchString(planted) {
			t.Errorf("%s is not recognized as a secret", planted)
		}
	}
	for name, turns := range conversations(t) {
		for i, turn := range turns {
			b, err := json.Marshal(turn)
			if err != nil {
				t.Fatal(err)
			}
			if found := secretLooking.FindAll(b, -1); found != nil {
				t.Errorf("%s, line %d, holds %s", name, i+1, bytes.Join(found, []byte(", ")))
			}
			for _, at := range []string{turn.Header["Authorization"], turn.Query["state"], turn.Query["client_id"], turn.Form["code"], turn.Form["code_verifier"], turn.Form["client_id"]} {
				if at != "" && !strings.HasSuffix(at, "}") {
					t.Errorf("%s, line %d, holds %q where a placeholder must be", name, i+1, at)
				}
			}
		}
	}
}
