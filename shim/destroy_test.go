package shim_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// leftIn lists what is in a folder.
func leftIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestL08DeleteEverything: the owner types a word, all files are deleted, calls
// end and the program stops serving. The next start is like a first run.
func TestL08DeleteEverything(t *testing.T) {
	p := start(t)
	_, mcpURL, c := p.connect()
	stream := session(t, mcpURL, c.Access)
	toolCount(t, stream)
	b := p.owner()
	const action = "/settings/delete"
	question := b.Open(action)
	for _, words := range []string{web.Text("wipe.servers.1"), web.Text("wipe.keys.1"), web.Text("wipe.apps.1"), p.dir} {
		if !strings.Contains(question.Body, words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	for _, word := range []string{"", "no", "delete it"} {
		if page := b.Submit(b.Form(question, action), map[string]string{"word": word}); page.Status != http.StatusUnprocessableEntity {
			t.Errorf("the word %q = %d, want 422", word, page.Status)
		}
	}
	if got := len(p.slugs()); got != 1 {
		t.Fatalf("without the word %d servers are left, want 1", got)
	}

	page := b.Submit(b.Form(question, action), map[string]string{"word": " Delete "})
	if page.Status != http.StatusOK || !strings.Contains(page.Body, web.TextDeletedTitle) {
		t.Errorf("with the word = %d\n%s", page.Status, page.Body)
	}
	if got := leftIn(t, p.dir); len(got) != 0 {
		t.Errorf("left in the data folder: %v", got)
	}
	waitFor(t, "the program to stop serving", func() bool {
		conn, err := net.DialTimeout("tcp", p.addr, time.Second)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	token := p.token
	p = p.restart()
	if p.token == token {
		t.Error("the admin token is the one from before")
	}
	if got := p.slugs(); len(got) != 0 {
		t.Errorf("after a restart there are %v", got)
	}
	if resp, _ := p.post(mcpURL, c.Access, initialize); resp.StatusCode == http.StatusOK {
		t.Error("after a restart the client's token is still good")
	}
	if page := b.Open("/"); page.Status != http.StatusUnauthorized {
		t.Errorf("after a restart the owner's session = %d, want 401", page.Status)
	}
}

// The API accepts this only with the token: a page on this origin is not
// enough.
func TestDeleteEverythingByAPI(t *testing.T) {
	p := start(t)
	p.connect()
	b := p.owner()
	req := b.FormRequest(b.Form(b.Open("/settings/delete"), "/settings/delete"), nil)
	req.Method, req.URL.Path = http.MethodDelete, "/api/everything"
	if page := b.Do(req); page.Status != http.StatusForbidden || len(p.slugs()) != 1 {
		t.Errorf("by the owner's cookie = %d, want 403", page.Status)
	}
	status, out := p.api("DELETE", "/api/everything", nil)
	if status != http.StatusOK || len(out["left"].([]any)) != 0 {
		t.Errorf("DELETE /api/everything = %d %v", status, out)
	}
	p.stop()
	if got := leftIn(t, p.dir); len(got) != 0 {
		t.Errorf("left in the data folder: %v", got)
	}
}

// Without a running program, a state that cannot be opened is deleted too.
// Files that are not ours are left alone.
func TestDeleteEverythingOffline(t *testing.T) {
	p := start(t)
	p.connect()
	p.stop()
	for name, content := range map[string]string{"state.db": "rotten", "notes.txt": "mine"} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	left, err := shim.DeleteEverything(p.dir, nil)
	if err != nil || len(left) != 0 {
		t.Errorf("DeleteEverything = %v, %v", left, err)
	}
	if got, want := leftIn(t, p.dir), []string{"notes.txt"}; !slices.Equal(got, want) {
		t.Errorf("left %v, want %v", got, want)
	}
}
