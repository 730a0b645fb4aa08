// Package windows holds the tests that must run on Windows itself. The program
// asks Windows which user a connection belongs to.
package windows

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/key2oauth/key2oauth/shim/shimtest"
)

// A running is a program that is already running. KEY2OAUTH_TEST_EXE names its
// file, KEY2OAUTH_DATA_DIR its data folder.
type running struct {
	t           *testing.T
	exe, origin string
}

// TestLogin signs a client in to the running program. That uses the parts that
// depend on Windows: the keychain, and which user a connection belongs to.
func TestLogin(t *testing.T) {
	exe, dir := os.Getenv("KEY2OAUTH_TEST_EXE"), os.Getenv("KEY2OAUTH_DATA_DIR")
	if exe == "" || dir == "" {
		t.Skip("requires a running program, named by KEY2OAUTH_TEST_EXE and KEY2OAUTH_DATA_DIR")
	}
	r := &running{t: t, exe: exe}
	b, err := os.ReadFile(filepath.Join(dir, "instance.json"))
	if err != nil {
		t.Fatal(err)
	}
	var info struct {
		Origin string `json:"local_origin"`
	}
	if err := json.Unmarshal(b, &info); err != nil {
		t.Fatal(err)
	}
	r.origin = info.Origin

	r.waitKeychain()
	owner := shimtest.NewBrowser(t, r.origin)
	if p := owner.SignIn(r.run("open", "--print")); p.Status != http.StatusOK || p.URL.Path != "/" {
		t.Fatalf("the owner's link leads to %s (%d)", p.URL, p.Status)
	}
	up := shimtest.NewUpstream(t, shimtest.Options{Stateless: true, JSON: true})
	var e struct {
		MCP string `json:"mcp_endpoint"`
	}
	r.api("POST", "/api/slugs", map[string]string{"upstream_url": up.URL, "display_name": "Linear", "api_key": up.Key()}, &e)
	c := shimtest.NewOAuthClient(t, r.origin, "http://127.0.0.1:1/callback")
	c.Resource = e.MCP
	c.Connect(shimtest.NewBrowser(t, r.origin), up.Key())

	req, err := http.NewRequest("POST", e.MCP, strings.NewReader(
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello from Windows"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.Access)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if status, body := r.send(req); status != http.StatusOK || !strings.Contains(body, "hello from Windows") {
		t.Errorf("a call = %d %s", status, body)
	}
}

func (r *running) waitKeychain() {
	r.t.Helper()
	var status struct {
		SameUser bool `json:"same_user_check"`
		Keychain struct{ Mode, State, Words string }
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		r.api("GET", "/api/status", nil, &status)
		if status.Keychain.State == "ready" && status.Keychain.Mode == "os" {
			break
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("the keychain: %+v", status.Keychain)
		}
	}
	if !status.SameUser {
		r.t.Error("connections are not checked to come from the owner")
	}
}

// run runs another command of the program and returns what it printed.
func (r *running) run(args ...string) string {
	r.t.Helper()
	out, err := exec.Command(r.exe, args...).Output()
	if err != nil {
		r.t.Fatalf("key2oauth %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

func (r *running) api(method, path string, in, out any) {
	r.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequest(method, r.origin+path, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.run("token"))
	req.Header.Set("Content-Type", "application/json")
	status, answer := r.send(req)
	if status/100 != 2 {
		r.t.Fatalf("%s %s = %d %s", method, path, status, answer)
	}
	if err := json.Unmarshal([]byte(answer), out); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) send(req *http.Request) (status int, body string) {
	r.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, b.String()
}
