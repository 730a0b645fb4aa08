package shim_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// stateOf is the state of a server as the API has it.
func (p *program) stateOf(slug string) string {
	p.t.Helper()
	_, o := p.api("GET", "/api/slugs/"+slug, nil)
	state, _ := o["state"].(string)
	return state
}

// concern finds a concern of the status about a server.
func (p *program) concern(kind, slug string) (c api.Concern, ok bool) {
	for _, c := range p.shim.Status().Concerns {
		if c.Kind == kind && c.Slug == slug {
			return c, true
		}
	}
	return c, false
}

// deadServer is the address of a server that does not run.
func deadServer(t *testing.T) string {
	up := httptest.NewServer(http.NotFoundHandler())
	up.Close()
	return up.URL + "/mcp"
}

// TestStateWhenAdded: a server is asked as it is added. The API adds it in any
// case, and its state says what it is.
func TestStateWhenAdded(t *testing.T) {
	p := start(t)
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte("<!doctype html><title>Hello</title>"))
	}))
	defer plain.Close()
	up := shimtest.NewUpstream(t, shimtest.Options{})
	open := shimtest.NewUpstream(t, shimtest.Options{})
	open.OpenTo("initialize", "tools/list")
	for _, tt := range []struct {
		name, url, key, state, concern string
	}{
		{"nobody", deadServer(t), "", api.EndpointUnreachable, api.ConcernUnreachable},
		{"no such host", "https://no-such-host.invalid/mcp", "", api.EndpointUnreachable, api.ConcernUnreachable},
		{"nobody, with a key", deadServer(t), "sk-0123456789abcdef", api.EndpointUnreachable, api.ConcernUnreachable},
		{"web server", plain.URL, "", api.EndpointUnreachable, api.ConcernUnreachable},
		{"asks for a key", up.URL, "", api.EndpointKeyNeeded, api.ConcernKeyWanted},
		{"needs none", open.URL, "", api.EndpointOK, ""},
		{"key", up.URL, up.Key(), api.EndpointOK, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			slug, _ := p.add(tt.url, map[string]any{"api_key": tt.key, "display_name": tt.name})
			waitFor(t, "the state "+tt.state, func() bool { return p.stateOf(slug) == tt.state })
			if tt.concern == "" {
				return
			}
			c, ok := p.concern(tt.concern, slug)
			if want := web.UrgentWords(tt.concern, tt.name); !ok || c.Words != want {
				t.Errorf("the concern is %+v, want %q", c, want)
			}
		})
	}
}

// TestAddUnreachable: the page, and a request with "check", adds a server that is
// not there only if told to.
func TestAddUnreachable(t *testing.T) {
	p := start(t)
	gone := deadServer(t)
	for _, key := range []string{"", "sk-0123456789abcdef"} {
		in := map[string]any{"upstream_url": gone, "check": true, "api_key": key}
		status, out := p.api("POST", "/api/slugs", in)
		if status != http.StatusBadRequest || out["error"] == "" || out["can_force"] != true {
			t.Errorf("POST with check = %d %v, want 400 and that force helps", status, out)
		}
		in["force"] = true
		if status, out := p.api("POST", "/api/slugs", in); status != http.StatusCreated {
			t.Errorf("POST with check and force = %d %v, want 201", status, out)
		}
	}
	before := len(p.shim.Status().Concerns)

	b := p.owner()
	page := b.Submit(b.Form(b.Open("/servers/add"), "/servers"), map[string]string{"upstream_url": gone})
	if page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Body, `name="force"`) {
		t.Errorf("the page answers %d, want the form again with a button to add it anyway", page.Status)
	}
	if n := len(p.shim.Status().Concerns); n != before {
		t.Errorf("%d concerns, want the %d from before: nothing was added", n, before)
	}
	b.Submit(b.Form(page, "/servers"), map[string]string{"upstream_url": gone, "force": "1"})
	if n := len(p.shim.Status().Concerns); n != before+1 {
		t.Errorf("%d concerns, want %d: it was added anyway, and is not reachable", n, before+1)
	}
}

// TestStateFollowsCalls: a call that fails has the server asked, and a good answer
// ends what was found.
func TestStateFollowsCalls(t *testing.T) {
	p := start(t)
	up, mcpURL, c := p.connect()
	slug := strings.Split(strings.TrimPrefix(mcpURL, p.origin+"/"), "/")[0]
	p.post(mcpURL, c.Access, initialize)
	if got := p.stateOf(slug); got != api.EndpointOK {
		t.Fatalf("after a good call the state is %q", got)
	}
	up.Break(shimtest.HTML())
	p.post(mcpURL, c.Access, initialize)
	waitFor(t, "the server to be a web server", func() bool { return p.stateOf(slug) == api.EndpointUnreachable })
	if e, ok := p.concern(api.ConcernUnreachable, slug); !ok || e.Next == "" {
		t.Errorf("no concern says why: %+v", e)
	}
	up.Break(nil)
	p.post(mcpURL, c.Access, initialize)
	waitFor(t, "a good answer to count", func() bool { return p.stateOf(slug) == api.EndpointOK })
}

// TestStateWhenPageOpens: the page of a server has it asked, in the background.
func TestStateWhenPageOpens(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, _ := p.add(up.URL, map[string]any{"api_key": up.Key()})
	b := p.owner()
	up.Reset()
	b.Open("/")
	if n := len(up.Requests()); n != 0 {
		t.Errorf("the list of servers asked one %d times", n)
	}
	up.Break(shimtest.HTML())
	b.Open("/servers/" + slug)
	waitFor(t, "the server to be a web server", func() bool { return p.stateOf(slug) == api.EndpointUnreachable })
	if body := b.Open("/servers/" + slug).Body; !strings.Contains(body, web.ServerState(api.EndpointUnreachable)) {
		t.Error("the page does not say so")
	}

	// A key that stopped working is found, and then not sent again.
	other, _ := p.add(up.URL, map[string]any{"api_key": "sk-0123456789abcdef", "force": true})
	up.Break(nil)
	b.Open("/servers/" + other)
	waitFor(t, "the key to be rejected", func() bool { return p.stateOf(other) == api.EndpointRejected })
	up.Reset()
	b.Open("/servers/" + other)
	p = p.restart()
	p.owner().Open("/servers/" + other)
	testenv.Still(t, "requests to a server whose key is rejected", func() int64 { return 1 + int64(len(up.Requests())) })
	if up.Saw("sk-0123456789abcdef") {
		t.Error("a rejected key is sent again")
	}
}

// TestStateAtStart: what a server answered last outlives the program, as far as
// calls showed it, and one whose last answer was not good is asked again.
func TestStateAtStart(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, _ := p.add(up.URL, map[string]any{"api_key": up.Key()})
	if got := p.stateOf(slug); got != api.EndpointOK {
		t.Fatalf("after a key that works the state is %q", got)
	}
	p = p.restart()
	if got := p.stateOf(slug); got != api.EndpointOK {
		t.Errorf("after a restart the state is %q, want what the key's last trial said", got)
	}
}

// TestStateWhilePaused: while everything is paused, that is the state of every
// server for people, and it is said once.
func TestStateWhilePaused(t *testing.T) {
	p := start(t)
	slug, _ := p.add(deadServer(t), nil)
	if status, _ := p.api("POST", "/api/pause", nil); status != http.StatusOK {
		t.Fatal(status)
	}
	o, err := p.shim.Overview()
	if err != nil {
		t.Fatal(err)
	}
	if e := o.Endpoints[0]; e.StateWords != web.ServerState(web.StatePaused) || e.Why != "" || e.State != api.EndpointUnreachable || e.Slug != slug {
		t.Errorf("while paused a server is %+v", e)
	}
	st := o.Status
	var kinds []string
	for _, c := range st.Concerns {
		kinds = append(kinds, c.Kind)
	}
	if len(kinds) == 0 || kinds[0] != api.ConcernPaused || st.Internet.State != api.InternetPaused {
		t.Errorf("while paused the concerns are %q and the internet is %q", kinds, st.Internet.State)
	}
	for _, kind := range kinds {
		if kind == api.ConcernUnreachable || kind == api.ConcernInternet {
			t.Errorf("while paused there is the concern %q", kind)
		}
	}
}

// TestNamesOfServers: a server is called what it calls itself, unless its owner
// says otherwise, and no two are called the same.
func TestNamesOfServers(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	var names []string
	for range 2 {
		_, out := p.api("POST", "/api/slugs", map[string]any{"upstream_url": up.URL, "api_key": up.Key()})
		names = append(names, out["display_name"].(string))
	}
	if !strings.HasPrefix(up.URL, "http://127.0.0.1:") || strings.Contains(names[0], "127.0.0.1") || names[1] != names[0]+" 2" {
		t.Errorf("the servers are called %q", names)
	}
	_, out := p.api("POST", "/api/slugs", map[string]any{"upstream_url": "https://mcp.no-such-host.invalid/mcp"})
	if got := out["display_name"]; got != "no-such-host.invalid" {
		t.Errorf("a server that does not answer is called %q", got)
	}
}

// TestFoundOnly: a look at an address is no failed connection.
func TestFoundOnly(t *testing.T) {
	p := start(t)
	_, mcpURL := p.add(shimtest.NewUpstream(t, shimtest.Options{}).URL, nil)
	p.post(mcpURL, "", initialize)
	if all := p.attempts(""); len(all) != 1 || all[0].Diagnosis.Cause != api.CauseFound {
		t.Fatalf("the timeline is %+v, want a look", all)
	}
	body := p.owner().Open("/check").Body
	if words := web.Text("step.found"); strings.Contains(body, words) {
		t.Errorf("the page says %q", words)
	}
}

// TestOneTruth brings servers into states and compares what every surface says of
// them: the list and the page, the API, what the tray is told, and what the
// command line prints. Then the same while everything is paused.
func TestOneTruth(t *testing.T) {
	p := start(t)
	up, dead := shimtest.NewUpstream(t, shimtest.Options{}), shimtest.NewUpstream(t, shimtest.Options{Key: "sk-that-will-change-0123"})
	silent := shimtest.NewUpstream(t, shimtest.Options{})
	silent.Break(shimtest.Hang())
	slugs := map[string]string{}
	add := func(state, url string, more map[string]any) {
		if more == nil {
			more = map[string]any{}
		}
		more["display_name"] = "Server " + state
		slugs[state], _ = p.add(url, more)
	}
	add(api.EndpointOK, up.URL, map[string]any{"api_key": up.Key()})
	add(api.EndpointKeyNeeded, up.URL, nil)
	add(api.EndpointUnreachable, deadServer(t), nil)
	add(api.EndpointRejected, dead.URL, map[string]any{"api_key": dead.Key()})
	add(api.EndpointNotTried, silent.URL, nil)
	dead.SetKey("sk-another")
	b := p.owner()
	b.Open("/servers/" + slugs[api.EndpointRejected])
	waitFor(t, "the rejected key", func() bool { return p.stateOf(slugs[api.EndpointRejected]) == api.EndpointRejected })

	for _, paused := range []bool{false, true} {
		if paused {
			p.api("POST", "/api/pause", nil)
		}
		o, err := p.shim.Overview()
		if err != nil {
			t.Fatal(err)
		}
		told := map[string]string{}
		for _, e := range o.Endpoints {
			told[e.Slug] = e.StateWords
		}
		list := html.UnescapeString(b.Open("/").Body)
		for state, slug := range slugs {
			words := shim.ServerState(state, paused) // which the command line prints
			_, row, found := strings.Cut(list, `class="go name" href="/servers/`+slug+`">`)
			row, _, _ = strings.Cut(row, "</li>")
			page := html.UnescapeString(b.Open("/servers/" + slug).Body)
			if got := p.stateOf(slug); got != state || told[slug] != words || !found || !strings.Contains(row, words) || !strings.Contains(page, words) {
				t.Errorf("%q, paused %v: the API says %q, the tray %q, the list %q; want %q", state, paused, got, told[slug], row, words)
			}
		}
	}
}
