package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/e2e/testenv"
	"github.com/key2oauth/key2oauth/shim/shimtest"
	"github.com/key2oauth/key2oauth/tunnel/tunneltest"
)

// TestL05NothingLeaks runs a complete session, wrong turns included, at the
// most verbose log level. Then it searches for every secret of the session in
// all places where others could see it: what the program and its commands
// printed, its command line and environment, its files, and every response of
// the admin API and the pages.
func TestL05NothingLeaks(t *testing.T) {
	t.Parallel()
	c := newCanary(t)
	c.endpoint()
	c.signIn()
	c.repair()
	c.manage()
	c.settings()
	c.tunnel()
	c.commands()
	c.strangers()
	c.places.addFiles(t, c.a.dir, ", while all is there")
	c.places.addFiles(t, c.backups, ", a backup")
	c.end()

	if runtime.GOOS == "linux" {
		c.places.addProcess(t, c.a.cmd.Process.Pid)
	}
	c.a.stop() // the last writes are searched too
	c.places["output"] = c.a.out.String()
	c.places.addFiles(t, c.a.dir, "")
	c.deleteEverything()

	for what := range c.find.forms {
		c.find.plant(what)
	}
	for _, kind := range []string{"answer ", "file state.db", "file admin-token", "output", "command "} {
		found := false
		for place, text := range c.places {
			found = found || strings.HasPrefix(place, kind) && text != ""
		}
		if !found {
			t.Errorf("there is no %s, so nothing was proven of it", kind)
		}
	}
	for place, text := range c.places {
		for _, what := range c.find.find(text) {
			if !belongs(what, place, text) {
				t.Errorf("the %s stands in %s", what, place)
			}
		}
	}
	c.mustHaveSeenEveryRoute()
}

// belongs reports whether a secret is in a place where it has to be.
func belongs(what, place, text string) bool {
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	switch what {
	case "admin token": // readable only by the owner's OS user
		return strings.HasPrefix(place, "file admin-token")
	case "form token": // forms on our own pages contain it
		return strings.HasPrefix(place, "answer ") && !strings.Contains(place, " /api/") && strings.Contains(body, `name="form_token"`)
	case "ticket": // in the page that redeems it and the call that makes it
		return strings.Contains(place, "GET /open = 200") || strings.Contains(place, "POST /api/open = 201") || place == "command open"
	case "owner's cookie": // set once, by the browser's own request
		return strings.Contains(place, "POST /open = 303") && !strings.Contains(body, "k2o_")
	case "upstream's query": // in the form that the owner just filled in
		return strings.Contains(place, "POST /servers") && strings.Contains(body, `name="upstream_url"`)
	case "code", "state": // sent back to the client in a header
		return strings.Contains(place, "POST /consent/") && strings.HasPrefix(head, "303") && body == ""
	}
	return false
}

// The canary keys contain characters that encodings change.
const (
	canaryKey   = `sk-canary+4f/7a=9c&2e<8b"1d%5f`
	canaryWrong = `sk-wrong+55/12=c8&0b<99"42%e1`
	canaryNext  = `sk-next+a1/b2=c3&d4<e5"f6%07`
	canaryQuery = "canary-query+77/f0&a1"

	canaryPassphrase     = "canary Passphrase 4f_71?"
	canaryAuthtoken      = "2canaryAuthtoken4e_7Yd81kQwLmZx"
	canaryWrongAuthtoken = "2wrongAuthtoken9b_3Ks72jRvNpTc"
)

// A canary is a program with its owner's browser and its clients. All of their
// responses are kept.
type canary struct {
	t       *testing.T
	a       *app
	up      *shimtest.Upstream
	e       endpointInfo
	client  *shimtest.OAuthClient
	browser *shimtest.Browser
	find    finder
	backups string          // a folder with a backup
	events  *testenv.Output // what /api/events has sent
	stop    func()
	*recorder
}

func newCanary(t *testing.T) *canary {
	t.Helper()
	c := &canary{t: t, up: shimtest.NewUpstream(t, shimtest.Options{Key: canaryKey, Stateless: true, JSON: true}), recorder: &recorder{places: make(places)}}
	c.find.t = t
	c.backups = t.TempDir()
	edge := tunneltest.Start(t, tunneltest.Config{Accounts: map[string]tunneltest.Account{canaryAuthtoken: {}}})
	ca, err := edge.CAFile(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c.a = startExe(t, built(t, buildForTests), "KEY2OAUTH_TEST_EDGE="+edge.Addr(), "KEY2OAUTH_TEST_EDGE_CA="+ca, "KEY2OAUTH_PUBLIC_ADDR=127.0.0.1:0")
	c.find.add("authtoken", canaryAuthtoken)
	c.find.add("wrong authtoken", canaryWrongAuthtoken)
	c.browser = shimtest.NewBrowser(t, c.a.origin)
	c.browser.HTTP.Transport = c.recorder
	c.find.add("API key", canaryKey)
	c.find.add("passphrase", canaryPassphrase)
	c.find.add("wrong API key", canaryWrong)
	c.find.add("next API key", canaryNext)
	c.find.add("upstream's query", canaryQuery)
	c.find.add("admin token", c.a.run("", "token"))
	c.listen()
	return c
}

// ask calls the admin API and accepts any response.
func (c *canary) ask(method, path string, body any) (answer map[string]any) {
	c.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	req, err := http.NewRequest(method, c.a.origin+path, bytes.NewReader(b))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.a.run("", "token"))
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.recorder.RoundTrip(req)
	if err != nil {
		c.t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body) // in memory already
	json.Unmarshal(text, &answer)    // a 204 has no body
	return answer
}

// open opens a page and notes the form tokens on it.
func (c *canary) open(path string) *shimtest.Page {
	c.t.Helper()
	return c.note(c.browser.Open(path))
}

func (c *canary) submit(p *shimtest.Page, action string, values map[string]string) *shimtest.Page {
	c.t.Helper()
	return c.note(c.browser.Submit(c.browser.Form(p, action), values))
}

func (c *canary) note(p *shimtest.Page) *shimtest.Page {
	for _, form := range p.Forms {
		for _, field := range form.Fields {
			if field.Name == "form_token" {
				c.find.add("form token", field.Value)
			}
		}
	}
	return p
}
