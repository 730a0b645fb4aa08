package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// listen follows the program's events from the beginning.
func (c *canary) listen() {
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.a.origin+"/api/events", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.a.run("", "token"))
	resp, err := fresh.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	c.events = new(testenv.Output)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer resp.Body.Close()
		io.Copy(c.events, resp.Body) // until c.stop cancels it
	}()
	c.stop = func() {
		cancel()
		<-done
		c.keep(req, resp, c.events.String())
	}
	c.t.Cleanup(cancel)
}

// endpoint adds an endpoint by form and by API, with wrong turns.
func (c *canary) endpoint() {
	c.t.Helper()
	upstream := c.up.URL + "?vendor=" + strings.NewReplacer("+", "%2B", "/", "%2F", "&", "%26").Replace(canaryQuery)
	c.find.add("upstream's query", "vendor="+strings.NewReplacer("+", "%2B", "/", "%2F", "&", "%26").Replace(canaryQuery))
	c.open("/") // not the owner
	for range 2 {
		link := c.a.ownerLink()
		_, ticket, _ := strings.Cut(link, "ticket=")
		c.find.add("ticket", ticket)
		c.submit(c.open(link), "/open", nil)
	}
	for _, cookie := range c.browser.HTTP.Jar.Cookies(&url.URL{Scheme: "http", Host: c.a.addr}) {
		c.find.add("owner's cookie", cookie.Value)
	}
	c.submit(c.open("/"), "/sample", nil)
	var sample struct{ Slugs []struct{ Slug string } }
	c.a.api("GET", "/api/slugs", nil, &sample)
	for _, e := range sample.Slugs {
		c.submit(c.open("/servers/"+e.Slug), "/sample/stop", nil)
	}
	home := c.open("/servers/add")
	c.submit(home, "/servers", map[string]string{"upstream_url": upstream, "api_key": canaryWrong})
	c.submit(home, "/servers", map[string]string{"upstream_url": fmt.Sprintf(`{"mcpServers":{"x":{"url":%q,"headers":{"Authorization":"Bearer %s"}}}}`, upstream, "sk-snippet-9a8b7c6d5e")})
	c.submit(home, "/servers", map[string]string{"upstream_url": `{"mcpServers": sk-snippet-9a8b7c6d5e`})
	c.find.add("key in a snippet", "sk-snippet-9a8b7c6d5e")
	c.submit(home, "/servers", map[string]string{"upstream_url": upstream, "api_key": canaryKey, "display_name": "From the form"})
	for _, step := range []string{"/steps/hide"} {
		c.submit(c.open("/"), step, nil)
	}
	c.ask("POST", "/api/slugs", map[string]string{"upstream_url": upstream, "api_key": canaryWrong})
	c.ask("POST", "/api/slugs", map[string]string{"upstream_url": "ftp://user:" + canaryWrong + "@x/?" + canaryQuery})
	made := c.ask("POST", "/api/slugs", map[string]string{"upstream_url": upstream, "api_key": canaryKey, "display_name": "Linear"})
	c.e.Slug, _ = made["slug"].(string)
	c.e.Local, _ = made["local_mcp_endpoint"].(string)
	if c.e.Slug == "" {
		c.t.Fatalf("no endpoint was made: %v", made)
	}
}

// signIn signs in one client, after a wrong key, and denies another.
func (c *canary) signIn() {
	c.t.Helper()
	denied := oauthClient(c.t, c.a, "http://127.0.0.1:1/callback", c.e.Local)
	c.find.add("state", denied.State)
	page := c.open(denied.AuthorizeURL())
	c.submit(page, page.URL.Path, map[string]string{"action": "deny"})

	c.client = oauthClient(c.t, c.a, "http://127.0.0.1:1/callback", c.e.Local)
	c.find.add("state", c.client.State)
	c.find.add("verifier", c.client.Verifier)
	consent := c.open(c.client.AuthorizeURL())
	action := consent.URL.Path
	c.note(c.browser.Do(c.browser.FormRequest(shimtest.Form{Action: action + "/open"}, nil))) // as its script does
	c.ask("GET", "/api/status", nil)                                                          // the status names the waiting client
	c.open("/")
	wrong := c.submit(consent, action, map[string]string{"credential": "new", "api_key": canaryWrong, "action": "approve"})
	done := c.submit(wrong, action, map[string]string{"credential": "new", "api_key": canaryKey, "action": "approve"})
	code := c.client.CodeFrom(done.Location)
	c.find.add("code", code)
	c.open(action) // already answered

	c.client.Verifier += "x" // a wrong one changes nothing
	c.client.Redeem(code)
	c.client.Verifier = strings.TrimSuffix(c.client.Verifier, "x")
	if status, body := c.client.Redeem(code); status != http.StatusOK {
		c.t.Fatalf("POST /token = %d %v", status, body)
	}
	c.tokens()
	if status, body := c.client.DoRefresh(c.client.Refresh); status != http.StatusOK {
		c.t.Fatalf("POST /token = %d %v", status, body)
	}
	c.tokens()
	c.call(c.client.Access)

	// A client with a custom scheme gets the code in a link on a page. The code may
	// appear nowhere else.
	app := oauthClient(c.t, c.a, "com.example.canary:/callback", c.e.Local)
	page = c.browser.Open(app.AuthorizeURL())
	delete(c.places, c.last)
	c.browser.Submit(c.browser.Form(page, page.URL.Path), map[string]string{"credential": "new", "api_key": canaryKey, "action": "approve"})
	delete(c.places, c.last)
}

func (c *canary) tokens() {
	c.find.add("access token", c.client.Access)
	c.find.add("refresh token", c.client.Refresh)
}

func (c *canary) call(token string) reply {
	c.t.Helper()
	r, err := callTool(fresh, c.e.Local, token, "echo", map[string]string{"text": "canary-argument-31337"})
	if err != nil {
		c.t.Fatal(err)
	}
	c.find.add("tool's argument", "canary-argument-31337")
	return r
}

// repair changes the key at the upstream, and the owner pastes the new one.
func (c *canary) repair() {
	c.t.Helper()
	c.up.SetKey(canaryNext)
	for range 4 {
		c.call(c.client.Access)
	}
	c.open("/")
	page := c.open("/servers/" + c.e.Slug + "/key")
	credentials := regexp.MustCompile(`name="credential" value="([^"]+)"`).FindAllStringSubmatch(page.Body, -1)
	if len(credentials) == 0 {
		c.t.Fatalf("there is no key to replace:\n%s", page.Body)
	}
	for _, m := range credentials {
		c.submit(page, page.URL.Path, map[string]string{"credential": m[1], "api_key": canaryWrong})
		c.submit(page, page.URL.Path, map[string]string{"credential": m[1], "api_key": canaryNext})
		c.ask("PUT", "/api/slugs/"+c.e.Slug+"/key", map[string]string{"credential": m[1], "api_key": canaryWrong})
		c.ask("PUT", "/api/slugs/"+c.e.Slug+"/key", map[string]string{"credential": m[1], "api_key": canaryNext})
	}
	if r := c.call(c.client.Access); r.Status != http.StatusOK || strings.Contains(r.Body, "rejected") {
		c.t.Errorf("a call with the next key = %d %s", r.Status, r.Body)
	}
	// One upstream breaks and another is gone: error messages often contain URLs.
	c.up.Break(shimtest.CutMidBody())
	callTool(fresh, c.e.Local, c.client.Access, "echo", nil) // cut on purpose
	c.up.Break(shimtest.Redirect(307, "http://elsewhere.example/"))
	c.call(c.client.Access)
	c.up.Break(nil)
	c.up.Close()
	c.call(c.client.Access)
	c.ask("PUT", "/api/slugs/"+c.e.Slug+"/key", map[string]string{"api_key": canaryNext})
}

// manage visits the remaining pages and API routes.
func (c *canary) manage() {
	c.t.Helper()
	slug := "/servers/" + c.e.Slug
	c.open(slug)
	c.submit(c.open(slug+"/again"), slug+"/again", map[string]string{"display_name": "x", "api_key": canaryWrong})
	page := c.open(slug + "/edit")
	c.submit(page, slug+"/edit", map[string]string{"upstream_url": strings.TrimSuffix(c.up.URL, "/mcp") + "/other?vendor=" + canaryQuery, "display_name": "x"})
	c.submit(page, slug+"/edit", map[string]string{"upstream_url": "ftp://x/?" + canaryQuery, "display_name": "x"})
	for _, path := range []string{"/", "/activity", "/activity?q=echo&server=" + c.e.Slug, "/nothing-here"} {
		c.open(path)
	}
	for _, path := range []string{"/api/slugs", "/api/slugs/" + c.e.Slug, "/api/grants", "/api/status", "/api/activity", "/api/activity?slug=" + c.e.Slug, "/api/nothing"} {
		c.ask("GET", path, nil)
	}
	c.ask("PATCH", "/api/slugs/"+c.e.Slug, map[string]string{"upstream_url": c.up.URL + "?vendor=" + canaryQuery})
	c.ask("PATCH", "/api/slugs/"+c.e.Slug, map[string]string{"upstream_url": "ftp://x/?" + canaryQuery})
	c.submit(c.open("/check"), "/check", nil)
	c.open("/check")
	for _, path := range []string{"/api/timeline", "/api/doctor"} {
		c.ask("GET", path, nil)
	}
	c.ask("POST", "/api/doctor", nil)
	made := c.ask("POST", "/api/open", nil)
	if link, ok := made["link"].(string); ok {
		_, ticket, _ := strings.Cut(link, "ticket=")
		c.find.add("ticket", ticket)
	}
	c.ask("POST", "/api/pause", nil)
	c.call(c.client.Access)
	c.submit(c.open("/"), "/resume", nil)
	c.submit(c.open("/"), "/pause", nil)
	c.ask("POST", "/api/resume", nil)
	// These are not offered while the keychain is a file, and no record is damaged.
	for _, path := range []string{"/keychain/unlock", "/keychain/keep", "/keychain/file", "/damaged"} {
		c.browser.Submit(shimtest.Form{Action: path, Fields: []shimtest.Field{{Type: "hidden", Name: "form_token", Value: "x"}}}, nil)
	}
}

// settings changes each setting, on its page and by API.
func (c *canary) settings() {
	c.t.Helper()
	form := func(action string, values map[string]string) { c.submit(c.open("/settings"), action, values) }
	connect := "/servers/" + c.e.Slug + "/connect"
	for _, path := range []string{connect, connect + "/claude-code", connect + "/claude", connect + "/other?at=internet"} {
		c.open(path)
	}
	for _, path := range []string{"/live", "/live/bar", "/live/servers/" + c.e.Slug, "/live" + connect + "/claude-code?since=" + strconv.FormatInt(time.Now().Unix(), 10)} {
		live, err := http.NewRequest("GET", c.a.origin+path, nil)
		if err != nil {
			c.t.Fatal(err)
		}
		live.Header.Set("Sec-Fetch-Site", "same-origin")
		c.note(c.browser.Do(live))
	}
	form("/settings/lifetime", map[string]string{"lifetime": "3600"})
	form("/settings/lifetime", map[string]string{"lifetime": canaryWrong})
	c.submit(c.open("/settings/delete"), "/settings/delete", map[string]string{"word": canaryWrong})
	form("/settings/log-level", map[string]string{"log_level": canaryWrong})
	form("/settings/log-level", map[string]string{"log_level": "debug"})
	for _, e := range c.endpoints() {
		c.open("/servers/" + e.Slug + "/apps")
		for _, k := range e.Credentials {
			action := "/servers/" + e.Slug + "/keys/" + k.ID
			page := c.open(action)
			c.submit(page, action, map[string]string{"label": "x" + canaryKey})
			c.submit(page, action, map[string]string{"label": "work"})
			c.ask("PATCH", "/api/slugs/"+e.Slug+"/credentials/"+k.ID, map[string]string{"label": canaryNext})
			c.ask("PATCH", "/api/slugs/"+e.Slug+"/credentials/"+k.ID, map[string]string{"label": "home"})
			c.open(action + "/delete")
		}
	}
	// Not offered without a desktop, or a proxy in the environment.
	for _, action := range []string{"/settings/login", "/steps/login", "/settings/proxy", "/settings/quit"} {
		c.browser.Submit(shimtest.Form{Action: action, Fields: []shimtest.Field{{Type: "hidden", Name: "form_token", Value: "x"}}}, nil)
	}
	c.open("/settings/export")
	c.open("/settings/licenses")
	c.move()
	c.ask("GET", "/api/export", nil)
	c.ask("POST", "/api/import", map[string]any{"format": canaryKey})
	form("/settings/import", map[string]string{"file": `{"format":"key2oauth endpoints 1","endpoints":[{"slug":"k3v9x2m7q4ab","display_name":"x","upstream_url":"https://a.example/?` + canaryQuery + `"}]}`})
	c.ask("DELETE", "/api/damaged/grant/x", nil)
	c.ask("POST", "/api/backup", map[string]any{"file": filepath.Join(c.backups, "backup.db")})
	c.ask("POST", "/api/backup", map[string]any{"file": canaryKey})
	c.ask("GET", "/api/settings", nil)
	c.ask("PATCH", "/api/settings", map[string]any{"log_level": canaryWrong})
}

// move makes the file for another computer, and looks for another's in vain.
func (c *canary) move() {
	c.t.Helper()
	link, _ := c.ask("POST", "/api/open", map[string]string{"page": "move"})["link"].(string)
	_, rest, _ := strings.Cut(link, "ticket=")
	ticket, _, _ := strings.Cut(rest, "&")
	c.find.add("ticket", ticket)
	c.submit(c.open("/settings/move"), "/settings/move/ask", nil)
	page := c.note(c.browser.SignIn(link))
	c.submit(page, "/settings/move/in", map[string]string{"file_passphrase": canaryPassphrase})
	c.submit(page, "/settings/move/out", map[string]string{"passphrase": canaryPassphrase, "again": canaryWrong})
	file := c.submit(page, "/settings/move/out", map[string]string{"passphrase": canaryPassphrase, "again": canaryPassphrase})
	if file.Status != http.StatusOK {
		c.t.Errorf("the file for another computer: %d", file.Status)
	}
	c.browser.Submit(shimtest.Form{Action: "/settings/move/take", Fields: []shimtest.Field{{Type: "hidden", Name: "form_token", Value: "x"}}}, nil)
}

// tunnel turns access from the internet on and off, on its page and by API.
func (c *canary) tunnel() {
	c.t.Helper()
	form := func(action string, values map[string]string) { c.submit(c.open("/tunnel?change=1"), action, values) }
	form("/tunnel/ngrok", map[string]string{"authtoken": canaryWrongAuthtoken})
	form("/tunnel/ngrok", map[string]string{"authtoken": "ngrok config add-authtoken " + canaryAuthtoken})
	c.open("/")
	form("/tunnel/test", nil)
	form("/tunnel/off", nil)
	form("/tunnel/on", nil)
	c.ask("PUT", "/api/tunnel", map[string]string{"provider": "ngrok", "authtoken": canaryWrongAuthtoken})
	c.ask("PUT", "/api/tunnel", map[string]string{"provider": canaryAuthtoken, "authtoken": canaryAuthtoken})
	c.ask("PUT", "/api/tunnel", map[string]string{"provider": "ngrok", "url": "https://x/" + canaryAuthtoken})
	if st := c.ask("PUT", "/api/tunnel", map[string]string{"provider": "ngrok", "authtoken": canaryAuthtoken}); st["state"] != "online" {
		c.t.Errorf("PUT /api/tunnel = %v, want it online", st)
	}
	c.ask("POST", "/api/tunnel/test", nil)
	c.ask("GET", "/api/status", nil)
	form("/tunnel/external", map[string]string{"public_url": "http://k2o.example.com"})
	form("/tunnel/external", map[string]string{"public_url": "https://k2o.example.com", "preset": "caddy"})
	c.ask("PUT", "/api/tunnel", map[string]string{"provider": "off"})
}

// commands runs the commands that print something about the state.
func (c *canary) commands() {
	c.t.Helper()
	for _, args := range [][]string{
		{"list"}, {"list", "--json"}, {"url", c.e.Slug}, {"grants"}, {"grants", "--json"}, {"status"}, {"status", "--json"}, {"tunnel"}, {"tunnel", "--json"}, {"version"},
		{"pause"}, {"resume"}, {"open", "--print"},
	} {
		out := c.a.run("", args...)
		c.places["command "+args[0]] += out
		if _, ticket, ok := strings.Cut(out, "ticket="); ok {
			c.find.add("ticket", strings.Fields(ticket)[0])
		}
	}
	for _, args := range [][]string{{"doctor"}, {"doctor", "--json"}} {
		out, err := exec.Command(c.a.exe, append(args, "--data-dir", c.a.dir)...).CombinedOutput()
		if e, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || e.ExitCode() != 1) || !strings.Contains(string(out), "From the form") {
			c.t.Errorf("key2oauth doctor: %v, and it printed:\n%s", err, out)
		}
		c.places["command doctor"] += string(out)
	}
}

// strangers sends the requests of people who are not the owner, with secrets in
// the wrong places.
func (c *canary) strangers() {
	c.t.Helper()
	c.find.add("made-up token", "k2o_at_canary-not-a-token")
	c.call("k2o_at_canary-not-a-token")
	c.browser.Open("/activity?access_token=" + c.client.Access)
	delete(c.places, c.last) // a search may be shown to the person who asks for it
	for _, path := range []string{"/authorize?client_id=x&state=" + c.client.State, "/nothing?code=" + c.client.Verifier, "/" + c.e.Slug + "/mcp?token=" + c.client.Access} {
		resp, err := fresh.Get(c.a.origin + path)
		if err != nil {
			c.t.Fatal(err)
		}
		resp.Body.Close()
	}
	c.client.PostForm("/token", map[string][]string{"grant_type": {"refresh_token"}, "refresh_token": {c.client.Refresh + "x"}, "client_id": {c.client.ID}})
	c.client.PostForm("/revoke", map[string][]string{"token": {c.client.Access}, "client_id": {c.client.ID}})
	c.call(c.client.Access)
}

// An owned is an endpoint with its keys, as the API lists them.
type owned struct {
	Slug        string
	Credentials []struct{ ID string }
}

func (c *canary) endpoints() []owned {
	var list struct{ Slugs []owned }
	c.a.api("GET", "/api/slugs", nil, &list)
	return list.Slugs
}

// end revokes and deletes, on the pages and by API.
func (c *canary) end() {
	c.t.Helper()
	for i, g := range c.a.grants() {
		if i == 0 {
			c.submit(c.open("/grants/"+g.ID+"/revoke"), "/grants/"+g.ID+"/revoke", nil)
			continue
		}
		c.ask("DELETE", "/api/grants/"+g.ID, nil)
	}
	c.ask("DELETE", "/api/grants/none", nil)
	c.client.DoRefresh(c.client.Refresh)
	var list struct{ Slugs []struct{ Slug string } }
	c.a.api("GET", "/api/slugs", nil, &list)
	for i, e := range c.endpoints() {
		for _, k := range e.Credentials {
			if action := "/servers/" + e.Slug + "/keys/" + k.ID + "/delete"; i == 0 {
				c.submit(c.open(action), action, nil)
				continue
			}
			c.ask("DELETE", "/api/slugs/"+e.Slug+"/credentials/"+k.ID, nil)
		}
	}
	for i, e := range list.Slugs {
		if i == 0 {
			c.submit(c.open("/servers/"+e.Slug+"/delete"), "/servers/"+e.Slug+"/delete", nil)
			c.submit(c.open("/servers/deleted"), "/servers/deleted", map[string]string{"slug": e.Slug})
			c.submit(c.open("/servers/"+e.Slug+"/delete"), "/servers/"+e.Slug+"/delete", nil)
			c.submit(c.open("/servers/deleted"), "/servers/deleted", map[string]string{"slug": e.Slug, "action": "forget"})
			continue
		}
		c.ask("DELETE", "/api/slugs/"+e.Slug, nil)
	}
	c.submit(c.open("/"), "/sign-out", nil)
	c.stop()
}

// deleteEverything starts the program and ends it by the API. Then it starts
// the program again and deletes everything.
func (c *canary) deleteEverything() {
	c.t.Helper()
	c.a.start()
	c.ask("POST", "/api/quit", nil)
	if err := c.a.cmd.Wait(); err != nil {
		c.t.Errorf("after quit, the program ended with %v", err)
	}
	c.a.cmd = nil
	c.a.start()
	c.ask("DELETE", "/api/everything", nil)
	if err := c.a.cmd.Wait(); err != nil {
		c.t.Errorf("after everything was deleted, the program ended with %v", err)
	}
	c.a.cmd = nil
	c.places["output at the end"] = c.a.out.String()
	if _, err := os.Stat(c.a.dir); !os.IsNotExist(err) {
		c.t.Errorf("after everything was deleted, the data folder is still there: %v", err)
	}
}

// routeCall matches how pages and API routes are registered.
var routeCall = regexp.MustCompile(`\b(?:page|route)\("([^"]+)"`)

// mustHaveSeenEveryRoute compares the requests that were sent with the
// program's own list of routes. A new route that this test misses fails it.
func (c *canary) mustHaveSeenEveryRoute() {
	c.t.Helper()
	var source string
	for _, file := range []string{"serve.go", "internal/dashboard/dashboard.go", "internal/connect/connect.go", "internal/movepages/movepages.go", "internal/adminapi/adminapi.go"} {
		source += readFile(c.t, "../shim/"+file)
	}
	mux := http.NewServeMux()
	seen := make(map[string]bool)
	for _, m := range routeCall.FindAllStringSubmatch(source, -1) {
		mux.Handle(m[1], http.NotFoundHandler())
		seen[m[1]] = false
	}
	if len(seen) < 30 {
		c.t.Fatalf("%d routes were found in the source", len(seen))
	}
	for _, req := range c.seen {
		_, pattern := mux.Handler(req)
		seen[pattern] = true
	}
	for pattern, ok := range seen {
		if !ok {
			c.t.Errorf("no request was sent to %s", pattern)
		}
	}
}

// call sends a request to an endpoint, to leave traces in the log.
func call(t *testing.T, endpoint, token string) {
	t.Helper()
	req, err := http.NewRequest("POST", endpoint, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
