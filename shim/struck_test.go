package shim_test

import (
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
	if out := p.owner().Open("/").Body; strings.Contains(out, html.EscapeString(web.Text("card.struck.1"))) {
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
		page := p.owner().Open("/").Body
		if n := strings.Count(page, html.EscapeString(web.Text("card.struck", 2))); n != 1 {
			t.Errorf("%s: the page says %d times that a server repeated its key, want once", when, n)
		}
		page = p.owner().Open("/activity?q=" + strings.ReplaceAll(web.Text("activity.struck"), " ", "+")).Body
		if n := strings.Count(page, `<span class="badge warn struck">`); n != 2 {
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
	for key, want := range map[string]string{
		"short-key-12345":      "short",
		"me@company.example":   "guessable",
		"long-enough-12345678": "",
	} {
		up := shimtest.NewUpstream(t, shimtest.Options{Key: key})
		slug, _ := p.add(up.URL, map[string]any{"api_key": key})
		_, o := p.api("GET", "/api/slugs/"+slug, nil)
		c := o["credentials"].([]any)[0].(map[string]any)
		if got, _ := c["unwatched"].(string); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
	page := p.owner().Open("/").Body
	for _, why := range []string{"short", "guessable"} {
		if n := strings.Count(page, html.EscapeString(web.Text("card.key."+why))); n != 1 {
			t.Errorf("the page says %d times %q, want once", n, why)
		}
	}
}
