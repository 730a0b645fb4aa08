package shim_test

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// TestSample starts the sample server by its button, connects an app to it, and
// stops it. What runs on at quit or after a crash is removed too, and nothing of
// it can be restored.
func TestSample(t *testing.T) {
	made := 0
	cfg := shim.Config{Dir: t.TempDir(), Keychain: "file", Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Sample: func(key string) http.Handler {
		made++
		return shimtest.NewUpstream(t, shimtest.Options{Key: key})
	}}
	p := startConfig(t, cfg, "127.0.0.1:0")
	b := p.owner()
	begin := func() (slug string) {
		t.Helper()
		page := b.Submit(b.Form(b.Open("/"), "/sample"), nil)
		all := p.slugs()
		if page.Status != http.StatusOK || len(all) != 1 || all[0]["state"] != "ok" || page.URL.Path != "/servers/"+all[0]["slug"].(string)+"/connect" {
			t.Fatalf("started: %d at %s, %v", page.Status, page.URL.Path, all)
		}
		return all[0]["slug"].(string)
	}
	slug := begin()
	c := p.client(p.origin + "/" + slug + "/mcp")
	consent := b.Open(c.AuthorizeURL())
	saved := p.slugs()[0]["credentials"].([]any)[0].(map[string]any)["id"].(string)
	if status, body := c.Redeem(c.CodeFrom(b.Submit(b.Form(consent, consent.URL.Path), map[string]string{"credential": saved, "action": "approve"}).Location)); status != http.StatusOK {
		t.Fatalf("POST /token = %d %v", status, body)
	}
	if n := toolCount(t, session(t, c.Resource, c.Access)); n != shimtest.Tools {
		t.Errorf("%d tools, want %d", n, shimtest.Tools)
	}
	page := b.Open("/servers/" + slug)
	if !strings.Contains(page.Body, web.Text("sample.stop")) {
		t.Error("its page has no button that stops it")
	}
	if done := b.Submit(b.Form(page, "/sample/stop"), nil); done.Status != http.StatusOK || len(p.slugs()) != 0 {
		t.Errorf("stopped: %d, %v", done.Status, p.slugs())
	}
	if strings.Contains(b.Open("/servers/deleted").Body, slug) {
		t.Error("the sample can be restored")
	}

	// Started twice it runs once; deleted like any server it can be started again.
	slug = begin()
	if again := b.Submit(shimtest.Form{Action: "/sample", Fields: b.Form(b.Open("/servers/"+slug), "/sample/stop").Fields}, nil); again.Status != http.StatusForbidden {
		t.Errorf("a form token of another form: %d, want 403", again.Status)
	}
	p.api("DELETE", "/api/slugs/"+slug, nil)
	begin()
	if made != 3 {
		t.Errorf("%d servers were made, want 3", made)
	}
	p = p.restart()
	if all := p.slugs(); len(all) != 0 {
		t.Errorf("after the program has quit there is %v", all)
	}
}

// TestSampleAfterCrash: a sample that a crash left is removed at the next start.
func TestSampleAfterCrash(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, _ := p.add(up.URL, map[string]any{"api_key": up.Key()})
	kept, _ := p.add(up.URL, nil)
	if err := p.shim.NoteSample(slug); err != nil {
		t.Fatal(err)
	}
	p = p.restart()
	if all := p.slugs(); len(all) != 1 || all[0]["slug"] != kept {
		t.Errorf("after the crash there is %v, want %s alone", all, kept)
	}
}
