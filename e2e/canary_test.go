package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestL05NothingLeaks goes the whole way at the most talkative log level and
// then looks for every secret of it wherever somebody else could: in what the
// program printed, its command line and environment, its files, the answers of
// the admin API and the pages.
func TestL05NothingLeaks(t *testing.T) {
	t.Parallel()
	const key, query = "sk-canary-4f7a9c2e8b1d", "canary-query-77f0a1"
	up := shimtest.NewUpstream(t, shimtest.Options{Key: key})
	a := startApp(t)
	e := a.addEndpoint("Linear", up.URL+"?vendor="+query, key)
	c := oauthClient(t, a, "http://127.0.0.1:1/callback", e.Local)
	b := shimtest.NewBrowser(t, a.origin)
	b.SignIn(a.ownerLink())

	consent := b.Open(c.AuthorizeURL())
	form := b.Form(consent, consent.URL.Path)
	wrong := b.Submit(form, map[string]string{"credential": "new", "api_key": "sk-canary-wrong-5512", "action": "approve"})
	done := b.Submit(b.Form(wrong, consent.URL.Path), map[string]string{"credential": "new", "api_key": key, "action": "approve"})
	code := c.CodeFrom(done.Location)
	if status, body := c.Redeem(code); status != http.StatusOK {
		t.Fatalf("POST /token = %d %v", status, body)
	}
	first, firstRefresh := c.Access, c.Refresh
	if status, body := c.DoRefresh(c.Refresh); status != http.StatusOK {
		t.Fatalf("POST /token = %d %v", status, body)
	}
	for _, token := range []string{c.Access, "k2o_at_canary-not-a-token"} {
		call(t, e.Local, token)
	}
	adminToken := a.run("", "token")

	places := map[string]string{
		"page consent": consent.Body, "page wrong key": wrong.Body, "output": a.out.String(),
	}
	for _, path := range []string{"/", "/endpoints/" + e.Slug, "/endpoints/" + e.Slug + "/key", "/endpoints/" + e.Slug + "/delete", "/activity"} {
		places["page "+path] = b.Open(path).Body
	}
	for _, path := range []string{"/api/slugs", "/api/slugs/" + e.Slug, "/api/grants", "/api/status", "/api/activity"} {
		places["answer of "+path] = apiText(t, a, path)
	}
	if runtime.GOOS == "linux" {
		for _, name := range []string{"cmdline", "environ"} {
			places[name] = readFile(t, fmt.Sprintf("/proc/%d/%s", a.cmd.Process.Pid, name))
		}
	}
	places["output"] = a.out.String()
	a.kill() // the database is looked at when nothing is left in memory
	err := filepath.WalkDir(a.dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			places["file "+d.Name()] = readFile(t, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	secrets := map[string]string{
		"API key": key, "wrong API key": "sk-canary-wrong-5512", "upstream's query": query,
		"code": code, "state": c.State, "verifier": c.Verifier,
		"first access token": first, "first refresh token": firstRefresh,
		"access token": c.Access, "refresh token": c.Refresh, "made-up token": "k2o_at_canary-not-a-token",
		"admin token": adminToken,
	}
	find := func(text string) (found []string) {
		for what, s := range secrets {
			if s == "" {
				t.Fatalf("there is no %s to look for", what)
			}
			if strings.Contains(text, s) || strings.Contains(text, url.QueryEscape(s)) {
				found = append(found, what)
			}
		}
		return found
	}
	// A search that finds nothing proves something only if it can find.
	for what, s := range secrets {
		if len(find("x"+s+"y")) == 0 {
			t.Fatalf("the search misses a planted %s", what)
		}
	}
	if len(places) < 12 {
		t.Errorf("only %d places were looked at", len(places))
	}
	for place, text := range places {
		if text == "" && !strings.HasPrefix(place, "file ") {
			t.Errorf("%s is empty, so it proves nothing", place)
		}
		for _, what := range find(text) {
			// The token of the admin API is a file that only the owner's user
			// can read.
			if what == "admin token" && place == "file admin-token" {
				continue
			}
			t.Errorf("the %s stands in %s", what, place)
		}
	}
}

// call sends a request to an endpoint, for what it leaves in the log.
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

func apiText(t *testing.T, a *app, path string) string {
	t.Helper()
	var raw json.RawMessage
	a.api("GET", path, nil, &raw)
	return string(raw)
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
