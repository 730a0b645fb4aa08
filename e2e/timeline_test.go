package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/api"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/shim/shimtest/catalogue"
)

// An attempt is one element of GET /api/timeline.
type attempt struct {
	Client, App, Agent, Via, Slug, Host string

	Events    []struct{ Step, Why string }
	Diagnosis struct{ State, Stopped, Cause, Whose, Words, Next string }
}

// says reports whether the diagnosis is what the catalogue has for a cause.
func (a attempt) says(cause string) bool {
	app := &api.Attempt{Client: a.Client, App: a.App, Agent: a.Agent}
	words, next := catalogue.Cause(cause, app.Who())
	return words != "" && a.Diagnosis.Cause == cause && a.Diagnosis.Words == words && a.Diagnosis.Next == next
}

func (a *app) attempts() []attempt {
	a.t.Helper()
	var answer struct{ Timeline []attempt }
	a.api("GET", "/api/timeline", nil, &answer)
	return answer.Timeline
}

// via says how the clients of this test reach the program.
func (a *app) via() string {
	switch {
	case a.world == nil:
		return "local"
	case a.world.Edge == nil:
		return "external"
	}
	return "ngrok"
}

// mustHaveTimeline checks the timeline of the only grant, once its client has
// used a tool.
func (a *app) mustHaveTimeline(t testing.TB) {
	t.Helper()
	grants := a.grants()
	if len(grants) != 1 {
		t.Fatalf("there are %d grants, want 1", len(grants))
	}
	var got attempt
	eventually(t, patience, "the timeline of the grant is whole", func() bool {
		var answer struct{ Timeline []attempt }
		a.api("GET", "/api/timeline?grant="+grants[0].ID, nil, &answer)
		if len(answer.Timeline) == 1 {
			got = answer.Timeline[0]
		}
		return got.Diagnosis.State == "done"
	})
	via := a.via()
	var steps []string
	for _, e := range got.Events {
		// Clients of this test lose their access token right after the first tool. The
		// timeline may show that before the end of the tool's response.
		if step := strings.TrimSuffix(e.Step+":"+e.Why, ":"); step != "token:unknown" {
			steps = append(steps, step)
		}
	}
	const want = "found register authorize consent key approve exchange call tool"
	// It may also show the refresh that follows.
	if way := strings.Replace(strings.Join(steps, " "), " call refresh tool", " call tool", 1); way != want || got.Via != via || got.Client == "" || got.Client != grants[0].ClientName {
		t.Errorf("%q came by %s: %s, want %q by %s: %s", got.Client, got.Via, way, grants[0].ClientName, via, want)
	}
}

// A walk is one attempt to connect that a test makes step by step.
type walk struct {
	*shimtest.OAuthClient
	t   *testing.T
	app *app
	up  *shimtest.Upstream
	e   endpointInfo
}

// begin runs discovery and registers.
func (w *walk) begin() {
	w.t.Helper()
	w.post("")
	w.OAuthClient = oauthClient(w.t, w.app, "http://127.0.0.1:3118/callback", w.app.url(w.e))
}

// answer submits the form of the consent page.
func (w *walk) answer(values map[string]string) *shimtest.Page {
	w.t.Helper()
	authorize := w.AuthorizeURL()
	if w.app.world != nil {
		authorize = continueLink(w.t, w.app, authorize)
	}
	return shimtest.NewBrowser(w.t, w.app.origin).Consent(authorize, values)
}

// approved continues to the code.
func (w *walk) approved() (code string) {
	w.t.Helper()
	w.begin()
	return w.CodeFrom(w.answer(map[string]string{"api_key": w.up.Key(), "action": "approve"}).Location)
}

// signIn continues to the tokens.
func (w *walk) signIn() {
	w.t.Helper()
	if status, body := w.Redeem(w.approved()); status != http.StatusOK {
		w.t.Fatalf("POST /token = %d %v", status, body)
	}
}

// ask opens an authorization URL with one parameter changed, or removed if
// value is "".
func (w *walk) ask(param, value string) {
	w.t.Helper()
	w.begin()
	u, err := url.Parse(w.AuthorizeURL())
	if err != nil {
		w.t.Fatal(err)
	}
	q := u.Query()
	q.Del(param)
	if value != "" {
		q.Set(param, value)
	}
	u.RawQuery = q.Encode()
	w.browse(u.String())
}

// browse opens a URL in the browser of the client's user.
func (w *walk) browse(u string) *shimtest.Page {
	w.t.Helper()
	if w.app.world != nil {
		return w.app.farBrowser().Open(u)
	}
	return shimtest.NewBrowser(w.t, w.app.origin).Open(u)
}

// post sends a first call.
func (w *walk) post(token string) {
	w.t.Helper()
	req, err := http.NewRequest("POST", w.app.url(w.e), strings.NewReader(
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := w.app.http().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
}

// brokenServer is a sign-in after which the server answers with f.
func brokenServer(f shimtest.Fault) func(*walk) {
	return func(w *walk) {
		w.signIn()
		w.up.Break(f)
		w.post(w.Access)
	}
}

// A stop is how an attempt ends in the field.
type stop struct {
	name  string
	do    func(w *walk)
	cause string
	whose string // "" while it may still continue
}

// stops are the stops of apps on this computer, which also apply to all others.
// Those in TestTimelineStops of package shim are not repeated.
var stops = []stop{
	{"nobody opens the browser", (*walk).begin, "register", ""},
	{"client that never comes back", func(w *walk) { w.approved() }, "approve", ""},
	{"client that has access and does nothing", (*walk).signIn, "exchange silent", ""},
	{"it works as far as it goes", func(w *walk) { w.signIn(); w.post(w.Access) }, "connected", ""},

	{"foreign redirect", func(w *walk) { w.ask("redirect_uri", "https://elsewhere.example/") }, "authorize redirect", "client"},
	{"no PKCE", func(w *walk) { w.ask("code_challenge", "") }, "authorize pkce", "client"},
	{"implicit flow", func(w *walk) { w.ask("response_type", "token") }, "authorize refused", "client"},

	{"wrong key", func(w *walk) {
		w.begin()
		w.answer(map[string]string{"api_key": otherKey, "action": "approve"})
	}, "key rejected", "yours"},
	{"server away at consent", func(w *walk) {
		w.begin()
		w.up.Close()
		w.answer(map[string]string{"api_key": otherKey, "action": "approve"})
	}, "key unreachable", "upstream"},
	{"server is a web page", func(w *walk) {
		w.begin()
		w.up.Break(shimtest.HTML())
		w.answer(map[string]string{"api_key": otherKey, "action": "approve"})
	}, "key not_mcp", "yours"},

	{"client that registers twice", func(w *walk) {
		w.begin()
		second := shimtest.NewOAuthClient(w.t, w.app.origin, "http://127.0.0.1:3118/other")
		code := w.CodeFrom(w.answer(map[string]string{"api_key": w.up.Key(), "action": "approve"}).Location)
		w.ID = second.ID
		w.Redeem(code)
	}, "exchange mixed", "client"},
	{"other redirect at the exchange", func(w *walk) { code := w.approved(); w.Redirect += "/"; w.Redeem(code) }, "exchange redirect", "client"},
	{"expired grant", func(w *walk) {
		w.signIn()
		for _, g := range w.app.grants() {
			if g.Slug == w.e.Slug {
				w.app.run("", "revoke", g.ID)
			}
		}
		w.DoRefresh(w.Refresh)
	}, "refresh unknown", "yours"},
	{"key pasted for a token", func(w *walk) { w.signIn(); w.post(otherKey) }, "token unknown", "client"},

	{"403 on initialize", brokenServer(shimtest.Status(http.StatusForbidden, "blocked")), "call 403", "upstream"},
	{"wrong path", brokenServer(shimtest.Status(http.StatusNotFound, "not here")), "call 404", "yours"},
	{"GET-only server", brokenServer(shimtest.Status(http.StatusMethodNotAllowed, "GET only")), "call 405", "yours"},
	{"limit of the server", brokenServer(shimtest.Status(http.StatusTooManyRequests, "slow down")), "call 429", "upstream"},
	{"server fails", brokenServer(shimtest.Status(http.StatusInternalServerError, "panic")), "call 5xx", "upstream"},
	{"server overloaded", brokenServer(shimtest.Status(http.StatusServiceUnavailable, "later")), "call busy", "upstream"},
	{"redirecting server", brokenServer(shimtest.Redirect(http.StatusFound, elsewhere)), "call 502", "upstream"},
	{"server down", func(w *walk) { w.signIn(); w.up.Close(); w.post(w.Access) }, "call 502", "upstream"},
}

// TestN07TimelineAfterPowerCut checks that the timeline of a grant lasts as
// long as the grant, even if the power goes right after the approval.
func TestN07TimelineAfterPowerCut(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	a := startApp(t)
	for range 3 {
		up := shimtest.NewUpstream(t, shimtest.Options{})
		w := &walk{t: t, app: a, up: up, e: a.addEndpoint("Server", up.URL, "")}
		code := w.approved()
		a.restart()
		http.DefaultClient.CloseIdleConnections()
		var mine []attempt
		for _, x := range a.attempts() {
			if x.Slug == w.e.Slug {
				mine = append(mine, x)
			}
		}
		if len(mine) != 1 || mine[0].Diagnosis.Cause != "approve" || mine[0].Client == "" {
			t.Errorf("after the power cut the timeline is %+v, want the step where the app stopped", mine)
		}
		if status, body := w.Redeem(code); status != http.StatusOK {
			t.Errorf("POST /token = %d %v", status, body)
		}
		a.restart()
		http.DefaultClient.CloseIdleConnections()
		goesOn := func(cause string) {
			for _, x := range a.attempts() {
				if x.Slug == w.e.Slug && x.Diagnosis.Cause != cause {
					t.Errorf("the app went on, and the timeline says %+v, want %s", x, cause)
				}
			}
		}
		goesOn("exchange silent")
		w.post(w.Access)
		goesOn("connected")
	}
}

// farStops are the stops of apps that come through the tunnel.
var farStops = []stop{
	{"no browser comes through", (*walk).begin, "register ngrok", ""},
	{"warning page in the way", func(w *walk) {
		w.app.world.SetInterstitial(true)
		defer w.app.world.SetInterstitial(false)
		w.begin()
		if page := w.browse(w.AuthorizeURL()); !strings.Contains(page.Body, "Visit Site") {
			w.t.Errorf("the browser saw %s", page.Body)
		}
	}, "register ngrok", ""},
	{"browser leaves on the public page", func(w *walk) { w.begin(); w.browse(w.AuthorizeURL()) }, "authorize public", ""},
	{"page on this computer is not answered", func(w *walk) {
		w.begin()
		shimtest.NewBrowser(w.t, w.app.origin).Open(continueLink(w.t, w.app, w.AuthorizeURL()))
	}, "consent", ""},
	{"phone waits for the number", func(w *walk) {
		w.begin()
		b := w.app.farBrowser()
		page := b.Open(w.AuthorizeURL())
		for _, f := range page.Forms {
			if strings.HasPrefix(f.Action, "/authorize/") {
				b.Submit(f, nil)
			}
		}
	}, "waiting", ""},
	{"mistyped address", func(w *walk) { w.ask("resource", w.app.issuer()+"/zzzzzzzzzzzz/mcp") }, "authorize resource", "yours"},
	{"client with a stale id", func(w *walk) { w.ask("client_id", "k2o_c_stale") }, "authorize client", "client"},
	{"wrong key", func(w *walk) { w.begin(); w.answer(map[string]string{"api_key": otherKey, "action": "approve"}) }, "key rejected", "yours"},
	{"client that never comes back", func(w *walk) { w.approved() }, "approve", ""},
	{"code used twice", func(w *walk) { code := w.approved(); w.Redeem(code); w.Redeem(code) }, "exchange reused", "client"},
	{"client that has access and does nothing", (*walk).signIn, "exchange silent", ""},
	{"token of another origin", func(w *walk) {
		here := *w.app
		here.world = nil // the same client at the local address
		local := &walk{t: w.t, app: &here, up: w.up, e: w.e}
		local.signIn()
		w.post(local.Access)
	}, "token other origin", "client"},
	{"key died", func(w *walk) { w.signIn(); w.up.SetKey(otherKey); w.post(w.Access) }, "call 401", "yours"},
	{"403 on initialize", brokenServer(shimtest.Status(http.StatusForbidden, "blocked")), "call 403", "upstream"},
	{"domain held after the approval", func(w *walk) {
		w.approved()
		w.app.world.Hold(w.app.world.Hosts()[0])
		w.app.world.KillSessions()
		eventually(w.t, time.Minute, "the tunnel is lost", func() bool { return w.app.tunnel().State == "retrying" })
	}, "approve offline", ""},
}

// TestN07Timeline stops attempts where clients, owners and servers stop them,
// and compares the diagnosis.
func TestN07Timeline(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	a := startApp(t)
	mustDiagnose(t, a, stops)
	var st struct{ Attempts []attempt }
	a.api("GET", "/api/status", nil, &st)
	if len(st.Attempts) != 5 || st.Attempts[0].Diagnosis.Words == "" {
		t.Errorf("the status lists %+v, want the last 5", st.Attempts)
	}
	if out := a.run("", "status"); !strings.Contains(unwrapped(out), st.Attempts[0].Diagnosis.Words) || strings.Contains(out+a.out.String(), otherKey) {
		t.Errorf("the status says nothing of attempts, or it or the log holds a key:\n%s", out)
	}
}

// TestN07TimelineThroughTunnel stops attempts of apps on the internet. The page
// says for each which app it is, where it comes from and what it wanted.
func TestN07TimelineThroughTunnel(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	a := startTunneled(t)
	mustDiagnose(t, a, farStops)
	b := shimtest.NewBrowser(t, a.origin)
	b.SignIn(a.ownerLink())
	page := b.Open("/check")
	for _, want := range []string{"Test client", shimtest.Text("attempt.via.public"), "Server", shimtest.Text("step.authorize"), shimtest.Text("step.waiting")} {
		if page.Status != http.StatusOK || !strings.Contains(page.Body, want) {
			t.Errorf("the page (%d) does not say %q", page.Status, want)
		}
	}
}

// TestN07TimelineThroughOwnTunnel does the same with a tunnel that the owner
// runs. It has no warning page like ngrok's.
func TestN07TimelineThroughOwnTunnel(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	o := newOwnTunnel(t)
	a := o.start(t)
	o.waitListening(t, a)
	mustDiagnose(t, a, []stop{
		{"no browser comes through", (*walk).begin, "register", ""},
		{"browser leaves on the public page", func(w *walk) { w.begin(); w.browse(w.AuthorizeURL()) }, "authorize public", ""},
		{"client that never comes back", func(w *walk) { w.approved() }, "approve", ""},
		{"key died", func(w *walk) { w.signIn(); w.up.SetKey(otherKey); w.post(w.Access) }, "call 401", "yours"},
	})
}

// mustDiagnose lets attempts stop, and compares the diagnosis of each.
func mustDiagnose(t *testing.T, a *app, stops []stop) {
	for _, tt := range stops {
		t.Run(tt.name, func(t *testing.T) {
			up := shimtest.NewUpstream(t, shimtest.Options{})
			w := &walk{t: t, app: a, up: up, e: a.addEndpoint("Server", up.URL, "")}
			tt.do(w)
			var got attempt
			look := func() bool {
				for _, x := range a.attempts() {
					// A refresh does not name its server, and a wrong address has none.
					mine := x.Slug == w.e.Slug || x.Slug == "" && tt.cause == "refresh unknown"
					if mine && x.Diagnosis.Cause == tt.cause {
						got = x
						return true
					}
				}
				return false
			}
			for end := time.Now().Add(patience); !look(); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("no attempt is diagnosed as %q: %+v", tt.cause, a.attempts())
				}
			}
			d := got.Diagnosis
			goesOn := tt.whose == "" && tt.cause != "connected"
			if d.Whose != tt.whose || (d.State == "going") != goesOn || d.Words == "" || !goesOn && !got.says(tt.cause) {
				t.Errorf("got %+v, want %q and the catalogue's words", got, tt.whose)
			}
			via := a.via()
			if tt.cause == "token other origin" { // not the side where it signed in
				via = "local"
			}
			// An unknown registration has no known client.
			if got.Via != via || got.Client == "" && tt.cause != "authorize client" {
				t.Errorf("it is %q by %s, want by %s", got.Client, got.Via, via)
			}
		})
	}
}
