package shim_test

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// repeats answers tools/call with the key that came.
func repeats(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodPost {
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Request-Id", r.Header.Get("Authorization"))
	io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"`+r.Header.Get("Authorization")+`"}]}}`)
	return true
}

// TestRepeatedKey: an app does not get the key that its server repeats, and the
// owner is told, also after a restart.
func TestRepeatedKey(t *testing.T) {
	p := start(t)
	quiet, loud := newCaller(p, "Quiet"), newCaller(p, "Loud")
	quiet.call("echo", "hello")
	if out := p.owner().Open("/servers/" + loud.slug).Body; strings.Contains(out, html.EscapeString(web.Text("card.struck.1"))) {
		t.Error("the page accuses a server at first")
	}
	loud.up.Break(repeats)
	for range 2 {
		answer := loud.call("echo", "hello")
		if strings.Contains(answer, loud.up.Key()) || !strings.Contains(answer, `"text":"`+strings.Repeat("*", len("Bearer ")+len(loud.up.Key()))+`"`) {
			t.Errorf("the app gets %s", answer)
		}
	}
	check := func(when string) {
		calls, _ := p.activity("slug=" + loud.slug)
		if calls[0]["struck"] != 2.0 || calls[1]["struck"] != 2.0 {
			t.Errorf("%s: got the calls %v, want 2 struck in both", when, calls[:2])
		}
		if calls, _ := p.activity("slug=" + quiet.slug); calls[0]["struck"] != nil {
			t.Errorf("%s: got the call %v", when, calls[0])
		}
		if _, st := p.api("GET", "/api/status", nil); st["struck"] != 2.0 {
			t.Errorf("%s: status has %v, want 2 answers", when, st["struck"])
		}
		for slug, want := range map[string]any{quiet.slug: nil, loud.slug: 2.0} {
			if _, o := p.api("GET", "/api/slugs/"+slug, nil); o["struck"] != want {
				t.Errorf("%s: the server has %v, want %v", when, o["struck"], want)
			}
		}
		page := p.owner().Open("/servers/" + loud.slug).Body
		if n := strings.Count(page, html.EscapeString(web.Text("card.struck", 2))); n != 1 {
			t.Errorf("%s: the page says %d times that a server repeated its key, want once", when, n)
		}
		page = p.owner().Open("/activity?q=" + strings.ReplaceAll(web.Text("activity.struck"), " ", "+")).Body
		if n := strings.Count(page, `struck">`); n != 2 {
			t.Errorf("%s: %d calls are marked, want 2", when, n)
		}
	}
	check("at once")
	p = p.restart()
	check("after a restart")
}

// TestUnwatchedKeys: of a key that is not looked for the page says why, and of
// any other nothing.
func TestUnwatchedKeys(t *testing.T) {
	p := start(t)
	var slugs []string
	for key, want := range map[string]string{
		"short-key-12345":      "short",
		"me@company.example":   "guessable",
		"long-enough-12345678": "",
	} {
		up := shimtest.NewUpstream(t, shimtest.Options{Key: key})
		slug, _ := p.add(up.URL, map[string]any{"api_key": key})
		slugs = append(slugs, slug)
		_, o := p.api("GET", "/api/slugs/"+slug, nil)
		c := o["credentials"].([]any)[0].(map[string]any)
		if got, _ := c["unwatched"].(string); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
	page := ""
	for _, slug := range slugs {
		page += p.owner().Open("/servers/" + slug).Body
	}
	for _, why := range []string{"short", "guessable"} {
		if n := strings.Count(page, html.EscapeString(web.Text("card.key."+why))); n != 1 {
			t.Errorf("the page says %d times %q, want once", n, why)
		}
	}
}

// TestKeyInPath: a key in the path of a server's address comes back in no
// answer, and stands on no page, in no answer of the API and in no file that is
// meant to have no keys.
func TestKeyInPath(t *testing.T) {
	const key = "Ab3dEf6hIj9kLm2nOp5qRs8t"
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true, Path: "/s/" + key + "/mcp"})
	slug, mcpURL := p.add(up.URL, nil)
	app := p.client(mcpURL)
	app.Connect(p.browser(), up.Key())
	c := &caller{p, up, slug, mcpURL, app.Access}
	up.Break(func(w http.ResponseWriter, r *http.Request) bool {
		http.Error(w, "no route for "+r.URL.Path, http.StatusNotFound)
		return true
	})
	if answer := c.call("echo", "hello"); !strings.Contains(answer, "no route for /s/****") || strings.Contains(answer, key) {
		t.Errorf("the app gets %s", answer)
	}
	b := p.owner()
	for _, path := range []string{"/", "/servers/" + slug, "/activity", "/settings", "/settings/export", "/check"} {
		if page := b.Open(path); page.Status != http.StatusOK || strings.Contains(page.Body, key) {
			t.Errorf("%s, %d: the page has the key", path, page.Status)
		}
	}
	for _, path := range []string{"/api/slugs", "/api/slugs/" + slug, "/api/status", "/api/export", "/api/activity", "/api/grants"} {
		if _, out := p.api("GET", path, nil); strings.Contains(fmt.Sprint(out), key) {
			t.Errorf("%s has the key: %v", path, out)
		}
	}
	_, o := p.api("GET", "/api/slugs/"+slug, nil)
	if want := strings.Replace(up.URL, key, "…", 1); o["upstream_url"] != want {
		t.Errorf("the address is shown as %v, want %s", o["upstream_url"], want)
	}

	// What is shown can be sent back, and keeps all as it is. With a hidden part
	// in it, nothing else can.
	if status, out := p.api("PATCH", "/api/slugs/"+slug, map[string]any{"upstream_url": o["upstream_url"], "display_name": "Mine"}); status != http.StatusOK {
		t.Errorf("PATCH = %d %v", status, out)
	}
	edit := "/servers/" + slug + "/edit"
	form, values := b.Form(b.Open(edit), edit), map[string]string{}
	for _, f := range form.Fields {
		values[f.Name] = f.Value
	}
	values["display_name"] = "Yours"
	if page := b.Submit(form, values); page.Status != http.StatusOK {
		t.Errorf("the form gives %d", page.Status)
	}
	if status, out := p.api("PATCH", "/api/slugs/"+slug, map[string]any{"upstream_url": o["upstream_url"].(string) + "/v2"}); status != http.StatusBadRequest {
		t.Errorf("PATCH of a hidden address = %d %v", status, out)
	}
	up.Break(nil)
	if answer := c.call("echo", "still here"); !strings.Contains(answer, "still here") {
		t.Errorf("after the changes the app gets %s", answer)
	}
}
