package shim_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// A caller is a connected client that calls tools without a session.
type caller struct {
	p     *program
	up    *shimtest.Upstream
	slug  string
	url   string
	token string
}

func newCaller(p *program, name string) *caller {
	p.t.Helper()
	up := shimtest.NewUpstream(p.t, shimtest.Options{Stateless: true, JSON: true})
	slug, mcpURL := p.add(up.URL, map[string]any{"display_name": name})
	c := p.client(mcpURL)
	c.Connect(p.browser(), up.Key())
	return &caller{p, up, slug, mcpURL, c.Access}
}

// call calls a tool and returns the whole answer.
func (c *caller) call(tool, text string) string {
	c.p.t.Helper()
	name, err := json.Marshal(tool)
	if err != nil {
		c.p.t.Fatal(err)
	}
	_, body := c.p.post(c.url, c.token, fmt.Sprintf(
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%s,"arguments":{"text":%q}}}`, name, text))
	return body
}

// activity asks the API for calls. It returns them, and their tools or methods
// in one line.
func (p *program) activity(query string) (calls []map[string]any, line string) {
	p.t.Helper()
	status, out := p.api("GET", "/api/activity?"+query, nil)
	if status != http.StatusOK {
		p.t.Fatalf("GET /api/activity?%s = %d %v", query, status, out)
	}
	var names []string
	for _, v := range out["activity"].([]any) {
		c := v.(map[string]any)
		calls = append(calls, c)
		if c["tool"] != "" {
			names = append(names, c["tool"].(string))
		} else {
			names = append(names, c["method"].(string))
		}
	}
	return calls, strings.Join(names, " ")
}

func TestActivity(t *testing.T) {
	p := start(t)
	if status, out := p.api("GET", "/api/activity", nil); status != http.StatusOK || fmt.Sprint(out) != "map[activity:[]]" {
		t.Errorf("at first: got %d %v, want an empty list", status, out)
	}
	a, b := newCaller(p, "Weather"), newCaller(p, "Notes")
	started := time.Now()
	a.call("echo", "hello")
	p.post(a.url, a.token, `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`)
	b.call("echo", "hello")
	a.up.Break(shimtest.Status(http.StatusForbidden, "no"))
	a.call("big", "")
	a.up.Break(nil)
	b.up.SetKey("sk-another")
	b.call("echo", "hello")
	p.post(a.url, "", `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`) // an unauthorized call, which counts for no app

	_, out := p.api("GET", "/api/grants", nil)
	grant := make(map[string]map[string]any) // by slug
	for _, v := range out["grants"].([]any) {
		g := v.(map[string]any)
		grant[g["slug"].(string)] = g
	}

	calls, line := p.activity("")
	if want := "echo big echo tools/list echo"; line != want {
		t.Fatalf("got %q, want %q", line, want)
	}
	for i, want := range []struct {
		slug, method string
		status       float64
	}{
		{b.slug, "tools/call", 401}, {a.slug, "tools/call", 403}, {b.slug, "tools/call", 200}, {a.slug, "tools/list", 200}, {a.slug, "tools/call", 200},
	} {
		c := calls[i]
		if got, want := slices.Sorted(maps.Keys(c)), strings.Fields("app client grant method ms slug status time tool"); !slices.Equal(got, want) {
			t.Fatalf("got fields %q, want %q", got, want)
		}
		g := grant[want.slug]
		if c["slug"] != want.slug || c["method"] != want.method || c["status"] != want.status ||
			c["grant"] != g["id"] || c["client"] != g["client_name"] || c["client"] == "" || c["app"] != g["app"] {
			t.Errorf("call %d: got %v, want %+v of %v", i, c, want, g)
		}
		at, err := time.Parse(time.RFC3339Nano, c["time"].(string))
		if err != nil || !strings.HasSuffix(c["time"].(string), "Z") || at.Before(started) || at.After(time.Now()) {
			t.Errorf("call %d: got time %v, want one in UTC since %v", i, c["time"], started)
		}
		if ms := c["ms"].(float64); ms < 0 || ms > 60_000 {
			t.Errorf("call %d: got %v ms", i, ms)
		}
	}

	third := url.QueryEscape(calls[2]["time"].(string))
	tests := []struct{ name, query, want string }{
		{"slug", "slug=" + a.slug, "big tools/list echo"},
		{"grant", "grant=" + grant[b.slug]["id"].(string), "echo echo"},
		{"slug of another's grant", "slug=" + a.slug + "&grant=" + grant[b.slug]["id"].(string), ""},
		{"limit", "limit=2", "echo big"},
		{"before", "before=" + third, "tools/list echo"},
		{"all at once", "before=" + third + "&slug=" + a.slug + "&limit=1", "tools/list"},
		{"unknown slug", "slug=zzzzzzzzzzzz", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, got := p.activity(tt.query); got != tt.want {
				t.Errorf("?%s: got %q, want %q", tt.query, got, tt.want)
			}
		})
	}
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "before=yesterday"} {
		if status, out := p.api("GET", "/api/activity?"+query, nil); status != http.StatusBadRequest || out["error"] == nil {
			t.Errorf("?%s: got %d %v, want 400 and why", query, status, out)
		}
	}

	p = p.restart()
	if again, _ := p.activity(""); fmt.Sprint(again) != fmt.Sprint(calls) {
		t.Errorf("after a restart: got %v, want %v", again, calls)
	}
}

// TestActivityIsTheOwners: neither a stranger nor a public origin can see who
// calls what.
func TestActivityIsTheOwners(t *testing.T) {
	p := start(t)
	for _, path := range []string{"/api/activity", "/activity"} {
		if page := p.browser().Open(path); page.Status != http.StatusUnauthorized {
			t.Errorf("%s for a stranger: got %d, want 401", path, page.Status)
		}
		if got := p.shim.PublicRoutes()("GET", path); got != http.StatusNotFound {
			t.Errorf("%s on a public origin: got %d, want 404", path, got)
		}
	}
}

// TestActivityHoldsNoBodies: a tool's input and output are stored nowhere, and
// a stored name is bounded and clean.
func TestActivityHoldsNoBodies(t *testing.T) {
	const canary, planted = "canary-argument-81f3", "canary-tool-name-2c9e"
	p := start(t)
	c := newCaller(p, "Weather")
	if answer := c.call("echo", canary); !strings.Contains(answer, canary) {
		t.Fatalf("the tool answered %q, want the canary in it", answer)
	}
	c.call(planted+"\u202e\u0007"+strings.Repeat("x", 4000), canary)
	calls, _ := p.activity("")
	tool := calls[0]["tool"].(string)
	if len(tool) > 128 || !strings.HasPrefix(tool, planted+"x") {
		t.Errorf("got the tool %q, want it cut off and without invisible characters", tool)
	}
	page := p.owner().Open("/activity").Body
	p.stop()

	places := map[string]string{"API": fmt.Sprint(calls), "page": page, "log": p.log.String()}
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(p.dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		places[e.Name()] = string(b)
	}
	// A search that finds nothing proves something only if it could find
	// something.
	for _, place := range []string{"API", "page", "state.db"} {
		if !strings.Contains(places[place], planted) {
			t.Errorf("the search does not find the tool's name in %s", place)
		}
	}
	for place, text := range places {
		for what, secret := range map[string]string{"argument": canary, "access token": c.token, "API key": c.up.Key()} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s is in %s", what, place)
			}
		}
	}
}

// TestActivityEvents: each call appears on the event stream as it ends, as an
// object of its own.
func TestActivityEvents(t *testing.T) {
	p := start(t)
	c := newCaller(p, "Weather")
	c.call("big", "") // before anything listens
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", p.origin+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func(want string) (data string) {
		for event := ""; lines.Scan(); {
			if e, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				event = e
			}
			if d, ok := strings.CutPrefix(lines.Text(), "data: "); ok && event == want {
				return d
			}
		}
		t.Fatalf("the stream ended without %s: %v", want, lines.Err())
		return ""
	}
	next("status")
	for i := range 3 {
		c.call(fmt.Sprint("tool", i), "")
	}
	for i := range 3 {
		var got map[string]any
		if err := json.Unmarshal([]byte(next("activity")), &got); err != nil {
			t.Fatal(err)
		}
		calls, _ := p.activity("")
		if want := calls[len(calls)-2-i]; fmt.Sprint(got) != fmt.Sprint(want) || got["tool"] != fmt.Sprint("tool", i) {
			t.Errorf("event %d: got %v, want %v", i, got, want)
		}
	}
}

var cells = regexp.MustCompile(`<td role="cell" class="what"><code class="mono">([^<]*)</code>`)

// TestActivityPage searches and turns pages as a browser without JavaScript
// does.
func TestActivityPage(t *testing.T) {
	p := start(t)
	b := p.owner()
	shown := func(page *shimtest.Page) (tools []string) {
		t.Helper()
		if page.Status != http.StatusOK {
			t.Fatalf("%s: got %d", page.URL, page.Status)
		}
		table, _, _ := strings.Cut(page.Body, "<template")
		for _, m := range cells.FindAllStringSubmatch(table, -1) {
			tools = append(tools, m[1])
		}
		return tools
	}
	says := func(page *shimtest.Page, want string) {
		t.Helper()
		if !strings.Contains(page.Body, want) {
			t.Errorf("%s does not say %q", page.URL, want)
		}
	}
	if page := b.Open("/"); !strings.Contains(page.Body, `href="/activity"`) {
		t.Error("the home page has no link to activity")
	}
	says(b.Open("/activity"), web.Text("activity.none.first"))
	weather, notes := newCaller(p, "Weather"), newCaller(p, "Notes")
	says(b.Open("/activity"), web.Text("activity.none.2"))

	const many = 120
	for i := range many {
		weather.call(fmt.Sprint("w", i), "")
	}
	notes.call("remember", "")
	notes.up.Break(shimtest.Status(http.StatusForbidden, "no"))
	notes.call("forget", "")

	var all []string
	for link := "/activity"; link != ""; {
		page := b.Open(link)
		all = append(all, shown(page)...)
		link = ""
		if _, after, ok := strings.Cut(page.Body, `id="older" href="`); ok {
			link, _, _ = strings.Cut(after, `"`)
			link = html.UnescapeString(link)
		}
	}
	if len(all) != many+2 || all[0] != "forget" || all[1] != "remember" || all[2] != fmt.Sprint("w", many-1) || all[many+1] != "w0" {
		t.Errorf("got %d calls on all pages: %q", len(all), all)
	}

	tests := []struct{ name, query, want string }{
		{"tool", "q=w11", "w119 w118 w117 w116 w115 w114 w113 w112 w111 w110 w11"},
		{"capitals", "q=W119", "w119"},
		{"server", "q=notes", "forget remember"},
		{"outcome", "q=refused", "forget"},
		{"two words", "q=notes+rem", "remember"},
		{"two words that do not meet", "q=weather+rem", ""},
		{"method", "q=tools/list", ""},
		{"refused", "show=refused", "forget"},
		{"repeated keys", "show=keys", ""},
		{"app", "app=nobody", ""},
		{"an unknown choice", "show=x&q=remember", "remember"},
		{"filter", "server=" + notes.slug, "forget remember"},
		{"filter and search", "q=forget&server=" + notes.slug, "forget"},
		{"filter that excludes", "q=forget&server=" + weather.slug, ""},
		{"a server that is gone", "server=zzzzzzzzzzzz&q=remember", "remember"},
		{"not a time", "before=x&q=remember", "remember"},
		{"markup", "q=%3Cscript%3E", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page := b.Open("/activity?" + tt.query)
			if got := strings.Join(shown(page), " "); got != tt.want {
				t.Errorf("?%s: got %q, want %q", tt.query, got, tt.want)
			}
			if tt.want == "" {
				says(page, web.Text("activity.none.found"))
			}
			if strings.Contains(page.Body, "<script>") {
				t.Error("the search is on the page as markup")
			}
		})
	}

	// How app and server talk is left out, unless it went wrong.
	p.post(weather.url, weather.token, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	if page := b.Open("/activity?q=ping"); len(shown(page)) != 0 || !strings.Contains(page.Body, web.Text("activity.hidden.1")) || !strings.Contains(page.Body, "/activity?q=ping&amp;show=all") {
		t.Errorf("a protocol message: %q\n%s", shown(page), page.Body)
	}
	if got := shown(b.Open("/activity?q=ping&show=all")); len(got) != 1 {
		t.Errorf("with protocol messages: got %q, want ping", got)
	}
	notes.up.Break(shimtest.Status(http.StatusForbidden, "no"))
	p.post(notes.url, notes.token, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	if got := shown(b.Open("/activity?q=ping")); len(got) != 1 {
		t.Errorf("a protocol message that was refused: got %q, want ping", got)
	}

	p.api("DELETE", "/api/slugs/"+notes.slug, nil)
	page := b.Open("/activity?q=remember")
	if got := strings.Join(shown(page), " "); got != "remember" {
		t.Errorf("after its server was deleted: got %q, want remember", got)
	}
	says(page, web.Text("activity.gone"))
}

// BenchmarkCall is a whole signed-in call, from the client through the proxy to
// an upstream and back.
func BenchmarkCall(b *testing.B) {
	p := start(b)
	c := newCaller(p, "Weather")
	// The official server would cost far more than what is measured here.
	c.up.Break(shimtest.Status(http.StatusOK, `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hello"}]}}`))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			req, err := http.NewRequest("POST", c.url, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"}}}`))
			if err != nil {
				b.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+c.token)
			req.Header.Set("Content-Type", "application/json")
			resp, err := client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
				b.Errorf("got %d, %v, want 200", resp.StatusCode, err)
			}
			resp.Body.Close()
		}
	})
}

// A forged header does not choose what the owner reads, and says so. The note
// outlives the program.
func TestForgedHeader(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	slug, mcpURL := p.add(up.URL, map[string]any{"api_key": up.Key()})
	c := p.client(mcpURL)
	_, obj := p.api("GET", "/api/slugs/"+slug, nil)
	saved := obj["credentials"].([]any)[0].(map[string]any)["id"].(string)
	page := p.owner().Consent(c.AuthorizeURL(), map[string]string{"credential": saved, "action": "approve"})
	if status, body := c.Redeem(c.CodeFrom(page.Location)); status != http.StatusOK {
		t.Fatalf("POST /token = %d %v", status, body)
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", mcpURL, strings.NewReader(
		`[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_repository"}},{"jsonrpc":"2.0","id":2,"method":"ping"}]`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.Access)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Mcp-Method", "ping")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	check := func(p *program, when string) {
		t.Helper()
		waitFor(t, "two calls "+when, func() bool {
			_, out := p.api("GET", "/api/activity", nil)
			return len(out["activity"].([]any)) == 2
		})
		_, out := p.api("GET", "/api/activity", nil)
		for i, want := range []string{"ping  differs", "tools/call delete_repository differs"} {
			got := out["activity"].([]any)[i].(map[string]any)
			if s := fmt.Sprintln(got["method"], got["tool"], got["note"]); strings.TrimSpace(s) != want {
				t.Errorf("%s, call %d is told as %q, want %q", when, i, s, want)
			}
		}
	}
	check(p, "at once")
	p = p.restart()
	check(p, "after a restart")
	if page := p.owner().Open("/activity").Body; !strings.Contains(page, html.EscapeString(web.Text("activity.note.differs"))) {
		t.Error("the page does not say that the headers differ")
	}
}
