package shim_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/key2oauth/key2oauth/shim/internal/web"
	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// keysOf lists the credentials of an endpoint.
func (p *program) keysOf(slug string) []map[string]any {
	p.t.Helper()
	_, o := p.api("GET", "/api/slugs/"+slug, nil)
	var all []map[string]any
	for _, c := range o["credentials"].([]any) {
		all = append(all, c.(map[string]any))
	}
	return all
}

func TestLabels(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{Key: "sk-live-0123456789abcdef"})
	slug, _ := p.add(up.URL, map[string]any{"api_key": up.Key()})
	p.add(up.URL, map[string]any{"api_key": up.Key()})
	id := p.keysOf(slug)[0]["id"].(string)
	action := "/servers/" + slug + "/keys/" + id
	b := p.owner()
	for _, tt := range []struct {
		name, label string
		want        int
		says, kept  string
	}{
		{"a name", " Work \u202eaccount ", 200, "", "Work account"},
		{"nothing", "  ", 422, "Enter a name", "Work account"},
		{"too long", strings.Repeat("x", 200), 422, "longer", "Work account"},
		{"the key", up.Key(), 422, web.TextLabelIsKey, "Work account"},
		{"a part of the key", "key 01234567", 422, web.TextLabelIsKey, "Work account"},
		{"another key", "old sk-test-fedcba9876543210", 422, web.TextLabelIsKey, "Work account"},
		{"an address", "grace.hopper1906@example.com", 200, "", "grace.hopper1906@example.com"},
		{"markup", "<b>", 200, "", "<b>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			page := b.Submit(b.Form(b.Open(action), action), map[string]string{"label": tt.label})
			if page.Status != tt.want || !strings.Contains(page.Body, tt.says) {
				t.Errorf("got %d, want %d and words about %q", page.Status, tt.want, tt.says)
			}
			if strings.Contains(page.Body, "01234567") {
				t.Error("the page has a part of the key")
			}
			if got := p.keysOf(slug)[0]["label"]; got != tt.kept {
				t.Errorf("label %q, want %q", got, tt.kept)
			}
		})
	}
	if status, out := p.api("PATCH", "/api/slugs/"+slug+"/credentials/"+id, map[string]any{"label": "api"}); status != 200 || p.keysOf(slug)[0]["label"] != "api" {
		t.Errorf("PATCH = %d %v", status, out)
	}
	for _, path := range []string{"/api/slugs/nothing/credentials/" + id, "/api/slugs/" + slug + "/credentials/nothing"} {
		for _, method := range []string{"PATCH", "DELETE"} {
			if status, _ := p.api(method, path, map[string]any{"label": "x"}); status != http.StatusNotFound {
				t.Errorf("%s %s = %d, want 404", method, path, status)
			}
		}
	}
}

// TestDeleteKey: the page names the apps that use the key, and they are signed
// out. Apps with another key keep working.
func TestDeleteKey(t *testing.T) {
	p := start(t)
	up := shimtest.NewUpstream(t, shimtest.Options{})
	slug, mcpURL := p.add(up.URL, map[string]any{"api_key": up.Key()})
	first := p.keysOf(slug)[0]["id"].(string)
	b := p.owner()
	connect := func(answer map[string]string) *shimtest.OAuthClient {
		t.Helper()
		c := p.client(mcpURL)
		answer["action"] = "approve"
		page := b.Consent(c.AuthorizeURL(), answer)
		if status, body := c.Redeem(c.CodeFrom(page.Location)); status != http.StatusOK {
			t.Fatalf("POST /token = %d %v", status, body)
		}
		return c
	}
	gone := connect(map[string]string{"credential": first})
	stays := connect(map[string]string{"credential": "new", "api_key": up.Key()})
	if got := len(p.keysOf(slug)); got != 2 {
		t.Fatalf("there are %d keys, want 2", got)
	}

	action := "/servers/" + slug + "/keys/" + first + "/delete"
	page := b.Open(action)
	if got := strings.Count(page.Body, web.Text("keygone.app", "")); got != 1 {
		t.Errorf("the page names %d apps, want 1", got)
	}
	if got := len(p.keysOf(slug)); got != 2 {
		t.Fatal("looking at the question deleted the key")
	}
	b.Submit(b.Form(page, action), nil)
	if keys := p.keysOf(slug); len(keys) != 1 || keys[0]["id"] == first {
		t.Errorf("left are %v", keys)
	}
	if resp, _ := p.post(mcpURL, gone.Access, initialize); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a call of the app that used it = %d, want 401", resp.StatusCode)
	}
	if resp, _ := p.post(mcpURL, stays.Access, initialize); resp.StatusCode != http.StatusOK {
		t.Errorf("a call of the other app = %d, want 200", resp.StatusCode)
	}
	if page := b.Open(action); page.Status != http.StatusNotFound {
		t.Errorf("the page of a deleted key = %d, want 404", page.Status)
	}
}
